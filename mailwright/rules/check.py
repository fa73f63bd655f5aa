"""What is wrong with a rule that parses: unknown names, misplaced nodes, comparisons that can never be true."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.rules import syntax as s
from mailwright.rules.dependencies import Name, cycle_message, find_cycle, order
from mailwright.rules.kinds import UNDECLARED, Declared, Static, can_be_condition, can_match, static_kind
from mailwright.rules.limits import faults_of
from mailwright.rules.parse import Located, locate
from mailwright.rules.show import show
from mailwright.rules.values import ANY_PAGE, ANY_SCREEN, compare, constant

_CLOSE = 0.8  # so alike (difflib) that a name beside an open plan is told as a likely slip

Expects = Literal["condition", "value"]
"""What stands where a rule is asked for: true or false, or any value, true and false among them."""

__all__ = ["Expects", "Name", "Names", "check", "cycle_message", "doubts", "find_cycle", "order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a rule may name.

    Attributes:
        attributes: Declared attributes.
        segments: Declared segments.
        lists: Uploaded lists; None: any name is taken.
        events: Event name -> dotted property paths of the tracking plan (None: any); None: any event is taken.
        traits: Dotted trait paths of the tracking plan; None: any trait is taken.
        expressions: What attributes mean, for their types; those left out may be anything.
        types: Types by the tracking plan.
        open_events: Events that the plan lacks are let in too: a name beside it is a doubt at most, not a fault.
        open_properties: Events whose properties beside the plan are let in too.
        open_traits: Traits that the plan lacks are let in too.
        closed_traits: Dotted traits that no rule may read, each with the reason.
    """

    attributes: Collection[str] = ()
    segments: Collection[str] = ()
    lists: Collection[str] | None = None
    events: Mapping[str, Collection[str] | None] | None = None
    traits: Collection[str] | None = None
    expressions: Mapping[str, s.Expression] = field(default_factory=dict)
    types: Declared = UNDECLARED
    open_events: bool = False
    open_properties: Collection[str] = ()
    open_traits: bool = False
    closed_traits: Mapping[str, str] = field(default_factory=dict)


def check(node: s.Expression, names: Names, *, expects: Expects, path: str = "", source: str = "") -> list[Issue]:
    """Every fault of a rule, in the order of its text; none means that it can run.

    Args:
        node: The parsed rule.
        names: What it may name.
        expects: ``condition`` (a segment, an audience) must be true or false; ``value`` (an attribute) may be either.
        path: Where it stands, for the message.
        source: Its text, so that faults carry a caret; empty if it came as JSON.
    """
    return [issue for issue, is_doubt in _found(node, names, expects, path, source) if not is_doubt]


def doubts(node: s.Expression, names: Names, *, expects: Expects, path: str = "", source: str = "") -> list[Issue]:
    """What looks like a slip and may be meant: names close to one of the tracking plan, types that it excludes.

    Such a rule runs; `plan` tells of it. Arguments as for `check`.
    """
    return [issue for issue, is_doubt in _found(node, names, expects, path, source) if is_doubt]


def _found(node: s.Expression, names: Names, expects: str, path: str, source: str) -> list[tuple[Issue, bool]]:
    located = _located(node, source)
    found = _Check(names, located).expression(node, expects == "condition")
    return [(_issue(fault, path, source, located), fault.doubt) for fault in found]


@dataclass(frozen=True, slots=True)
class _Fault:
    node: s.Expression
    message: str
    hint: str = ""
    doubt: bool = False


def _located(node: s.Expression, source: str) -> Located | None:
    try:
        found = locate(source) if source else None
    except InvalidInput:
        return None
    return found if found is not None and found.expression == node else None


def _issue(fault: _Fault, path: str, source: str, located: Located | None) -> Issue:
    span = located.span(fault.node) if located else None
    return Issue(path=path, message=fault.message, hint=fault.hint, span=span, source=source if span else "")


class _Check:
    """One walk over a rule."""

    def __init__(self, names: Names, located: Located | None) -> None:
        self.names = names
        self.located = located
        # Types of attributes that need each other have no end; the cycle itself is reported where it is declared.
        self.expressions = {} if find_cycle(names.expressions, {}) else names.expressions

    # --- asked of the person ---

    def expression(self, node: s.Expression, condition: bool = False) -> Iterator[_Fault]:
        """Faults of an expression outside filters; `condition`: it must be true or false."""
        if condition:
            yield from self._as_condition(node)
        yield from (_Fault(node, message, hint) for message, hint in faults_of(node))
        yield from self._names(node)
        yield from self._closed(node)
        yield from self._comparison(node)
        if isinstance(node, s.Property | s.AnyOf):
            shown = ".".join(node.path)
            yield _Fault(node, f"{shown} is a property of an event, and none is asked here", "use it after `where`")
            return
        for child, asked in self._below(node):
            yield from self.expression(child, asked)
        for event, where in _filters(node):
            yield from self._filter(where, event)
            yield from self._open_filter(where, event)

    def _below(self, node: s.Expression) -> Iterator[tuple[s.Expression, bool]]:
        """The expressions below that are asked of the person, and whether each must be a condition."""
        match node:
            case s.Case(rows=rows, otherwise=otherwise):
                for when, value in rows:
                    yield from ((when, True), (value, False))
                yield from [(otherwise, False)] if otherwise else []
            case _:
                filters = [where for _, where in _filters(node)]
                below = [child for child in s.children(node) if not any(child is where for where in filters)]
                yield from ((child, isinstance(node, s.And | s.Or | s.Not)) for child in below)

    def _as_condition(self, node: s.Expression) -> Iterator[_Fault]:
        kind = static_kind(node, self.expressions)
        if isinstance(node, s.Value) and not can_be_condition(kind):
            yield _Fault(node, f"{show(node)} is {_said(kind)}, not true or false", _comparing(node))

    def _names(self, node: s.Expression) -> Iterator[_Fault]:
        match node:
            case s.Attribute(name=name) if name not in self.names.attributes:
                yield _Fault(node, f"there is no attribute {name!r}", self._attribute_hint(name))
            case s.InSegment(name=name) if name not in self.names.segments:
                yield _Fault(node, f"there is no segment {name!r}", nearest(name, self.names.segments))
            case s.InList(name=name) if self.names.lists is not None and name not in self.names.lists:
                yield _Fault(node, f"there is no list {name!r}", nearest(name, self.names.lists))
            case s.Trait(path=path) if self.names.traits is not None and not _within(path, self.names.traits):
                yield from self._beside(
                    node, f"trait {'.'.join(path)!r}", ".".join(path), self.names.traits, self.names.open_traits
                )
        yield from self._events(node)

    def _closed(self, node: s.Expression) -> Iterator[_Fault]:
        path = node.path if isinstance(node, s.Trait) else ("birthday",) if isinstance(node, s.Age) else ()
        for depth in range(1, len(path) + 1):
            if why := self.names.closed_traits.get(".".join(path[:depth])):
                yield _Fault(node, f"trait {'.'.join(path)!r} cannot be read here: {why}")
                return

    def _beside(
        self, node: s.Expression, what: str, name: str, known: Collection[str], is_open: bool
    ) -> Iterator[_Fault]:
        """A name that the tracking plan lacks: a fault, or where others are let in a doubt if one is much like it."""
        message = f"the tracking plan has no {what}"
        if not is_open:
            yield _Fault(node, message, nearest(name, known))
        elif close := get_close_matches(name, known, n=1, cutoff=_CLOSE):
            yield _Fault(node, message, f"did you mean {close[0]!r}?", doubt=True)

    def _attribute_hint(self, name: str) -> str:
        if self.names.traits is not None and name in self.names.traits:
            return f"a trait is written `trait {name}`"
        hint = nearest(name, self.names.attributes)
        if hint.startswith("did you mean"):
            return hint
        return f"a trait is written `trait {name}`, a property of an event stands inside `where (...)`; {hint}".rstrip(
            "; "
        )

    def _events(self, node: s.Expression) -> Iterator[_Fault]:
        plan = self.names.events
        if plan is None:
            return
        for event, paths in _reads(node):
            if event in (ANY_PAGE, ANY_SCREEN):
                continue
            if event not in plan:
                yield from self._beside(node, f"event {event!r}", event, plan, self.names.open_events)
                continue
            for path in paths:
                yield from self._planned(node, event, path)

    def _planned(self, node: s.Expression, event: str, path: tuple[str, ...]) -> Iterator[_Fault]:
        known = (self.names.events or {}).get(event)
        outside = "product" in path or path[:1] == ("context",)  # item facts and the context are in no plan
        if known is None or outside or _within(path, known):
            return
        is_open = event in self.names.open_properties
        shown = ".".join(path)
        yield from self._beside(node, f"property {shown!r} of {event!r}", shown, known, is_open)

    # --- comparisons ---

    def _comparison(self, node: s.Expression, event: str = "") -> Iterator[_Fault]:
        match node:
            case s.Compare(op=op, left=left, right=right):
                yield from self._pair(node, op, left, right, event)
            case s.BetweenValues(value=value, low=low, high=high):
                bounds = [*self._pair(node, ">=", value, low, event), *self._pair(node, "<=", value, high, event)]
                yield from bounds[:1]
                if _upside_down(low, high):
                    yield _Fault(
                        node, f"nothing lies between {show(low)} and {show(high)}", "write the smaller one first"
                    )
            case s.Arithmetic():
                yield from self._numbers(node)
            case s.In(value=value, options=options):
                op = "contains" if static_kind(value, self.expressions) == "list" else "="
                for option in options:
                    yield from self._pair(node, op, value, option, event)

    def _numbers(self, node: s.Arithmetic) -> Iterator[_Fault]:
        for side in (node.left, node.right):
            kind = static_kind(side, self.expressions)
            if kind not in ("number", "json", "any"):
                yield _Fault(side, f"{show(side)} is {_said(kind)}, and {node.op} takes numbers", "")

    def _pair(
        self, node: s.Expression, op: Any, left: s.Expression, right: s.Expression, event: str
    ) -> Iterator[_Fault]:
        kinds = [static_kind(side, self.expressions, self.names.types, event) for side in (left, right)]
        bare = [static_kind(side, self.expressions) for side in (left, right)]
        # What is declared as a time comes as text, and may be compared as the text that it is.
        as_text: list[Static] = [
            "text" if plain == "json" and kind in ("date", "instant") else kind
            for plain, kind in zip(bare, kinds, strict=True)
        ]
        if can_match(op, kinds[0], kinds[1]) or ("text" in kinds and can_match(op, as_text[0], as_text[1])):
            return
        doubt = can_match(op, bare[0], bare[1])
        never = "by the tracking plan this can never be true" if doubt else "this can never be true"
        message = f"{never}: {show(left)} is {_said(kinds[0])}, {show(right)} is {_said(kinds[1])}"
        yield _Fault(node, message, _kind_hint(kinds, left, right), doubt)

    # --- asked of one event ---

    def _filter(self, where: s.Expression, event: str, inside: bool = False) -> Iterator[_Fault]:
        """Faults of a filter; `inside`: within ``any of``, where paths start at the element."""
        yield from (_Fault(where, message, hint) for message, hint in faults_of(where))
        yield from self._comparison(where, "" if inside else event)
        match where:
            case s.Property(path=path):
                if not inside and self.names.events is not None and event in self.names.events:
                    yield from self._planned(where, event, path)
            case s.AnyOf(where=inner):
                yield from self._filter(inner, event, inside=True)
            case s.And() | s.Or() | s.Not() | s.Compare() | s.BetweenValues() | s.In() | s.IsKnown():
                for child in s.children(where):
                    yield from self._filter(child, event, inside)
            case s.AsTime(of=s.Property() as property):
                yield from self._filter(property, event, inside)
            case s.Constant() | s.Always():
                pass
            case _:
                hint = "close the filter's bracket before it: where (price > 50) and ..."
                yield _Fault(where, f"{show(where)} is asked of the person, not of one event", hint)

    def _open_filter(self, where: s.Expression, event: str) -> Iterator[_Fault]:
        """A later term of a filter without brackets that has an attribute's name: which is meant?"""
        if self.located is None or where not in self.located.open_filters or not isinstance(where, s.And | s.Or):
            return
        plan = (self.names.events or {}).get(event) or ()
        for term in where.terms[1:]:
            for node in (term, *s.children(term)):
                if isinstance(node, s.Property) and node.path[0] in self.names.attributes and node.path[0] not in plan:
                    name = node.path[0]
                    hint = f"where (... and {name} ...) asks the event, where (...) and {name} ... the attribute"
                    yield _Fault(
                        node, f"{name} is read as a property of {event!r}, but is an attribute's name too", hint
                    )


_KINDS = {
    "json": "what an event or trait brings",
    "any": "unknown",
    "object": "an object",
    "list": "a list",
    "instant": "an instant",
}


def _said(kind: str) -> str:
    return _KINDS.get(kind, f"a {kind}")


def _comparing(node: s.Expression) -> str:
    """How to make a condition of a value; two dates right after an event were taken for its window."""
    window = getattr(node, "window", None)
    if isinstance(window, s.Between) and isinstance(node, s.Aggregate):
        bare = show(msgspec.structs.replace(node, window=None))
        return f"to compare the value with the dates: ({bare}) between {window.first} and {window.last}"
    return f"compare it: {show(node)} > ..."


def _kind_hint(kinds: list[Any], left: s.Expression, right: s.Expression) -> str:
    if "json" in kinds and {"date", "instant"} & set(kinds):
        side = left if kinds[0] == "json" else right
        return f"text is a date only when told so: date of {show(side)}"
    if "duration" in kinds and "number" in kinds:
        return "give the number a unit, such as 28 days"
    return "types are never converted: '1' is not 1"


def _upside_down(low: s.Expression, high: s.Expression) -> bool:
    if not (isinstance(low, s.Constant) and isinstance(high, s.Constant)) or faults_of(low) or faults_of(high):
        return False
    return compare("<", constant(high), constant(low))


def _within(path: tuple[str, ...], known: Collection[str]) -> bool:
    """Whether a path, or something that it lies in or leads to, is known."""
    shown = ".".join(path)
    return any(shown == name or shown.startswith(name + ".") or name.startswith(shown + ".") for name in known)


def _filters(node: s.Expression) -> list[tuple[str, s.Expression]]:
    """The filters of a node with the event that each is asked of."""
    if isinstance(node, s.Sequence):
        return [(step.event, step.where) for step in node.steps if step.where]
    where = getattr(node, "where", None)
    return [(event, where) for event, _ in _reads(node)[:1]] if where else []


def _reads(node: s.Expression) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    """The events that a node reads, the one its filter is asked of first, with the paths it reads of each."""
    match node:
        case s.Did(event=event) | s.TimeSince(event=event):
            return [(event, ())]
        case s.Aggregate(event=event, path=path) | s.LastDistinct(event=event, path=path):
            return [(event, (path,) if path else ())]
        case s.ListOf(path=path, add=add, remove=remove, clear=clear):
            others = [(name, (path,)) for name in (remove,) if name]
            return [(add, (path,)), *others, *([(clear, ())] if clear else [])]
        case s.Rate(hit=hit, of=of, key=key):
            return [(hit, (key,)), (of, (key,))]
        case s.Score(points=points):
            return [(event, ()) for event, _ in points]
        case s.Sequence(steps=steps, same=same):
            return [(step.event, same) for step in steps]
        case _:
            return []
