"""Why a rule holds for a person or does not: each part with its value, the events behind it, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.behind import behind
from mailwright.rules.dependencies import order, walk
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.needed import needed
from mailwright.rules.show import show
from mailwright.rules.values import plain

Known = tuple[Offset, Event]

_ASKED = "(asked)"

STEPS = 400
"""Instants at which something may change that are looked at, at most, for one condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One part of a rule for one person at an instant.

    Attributes:
        text: The part in the rule language.
        holds: Whether it is true; None for a value that is no condition.
        value: JSON-shaped value of a part that is no condition; None is missing.
        events: The newest of the events behind it, oldest first, of `n_events` in all.
        changes_at: The next instant at which `holds` changes if no event comes; None: never, or not in foreseeable time
            (`foreseen` tells), or the part is no condition.
        foreseen: False if so many instants lie ahead that the search was given up.
        parts: What it is made of.
    """

    text: str
    holds: bool | None
    value: Any = None
    events: tuple[Known, ...] = ()
    n_events: int = 0
    changes_at: Instant | None = None
    foreseen: bool = True
    parts: tuple[Why, ...] = ()


def explain(node: s.Expression, events: Sequence[Known], t: Instant, context: Context, *, n: int = 5) -> Why:
    """Take a rule apart for one person.

    Args:
        node: The rule.
        events: The person's events as known at `t`, those stamped later too.
        t: The instant.
        context: As for `interpret`; `segment_since` as of `t`.
        n: Events to name behind each leaf, at most.
    """
    return _Explained(events, t, context, n).part(node)


class _Explained:
    def __init__(self, events: Sequence[Known], t: Instant, context: Context, n: int) -> None:
        self._events = sorted((each for each in events if each[1].known_at <= t), key=lambda each: each[0])
        self._t = t
        self._context = context
        self._n = n

    def part(self, node: s.Expression) -> Why:
        found = behind(node, self._events, self._t, self._context)
        value = interpret(node, self._events, self._t, self._context)
        condition = isinstance(node, s.Condition)
        why = Why(
            text=show(node),
            holds=value if condition or isinstance(value, bool) else None,
            value=None if condition else plain(value),
            events=tuple(found[-self._n :] if self._n else ()),
            n_events=len(found),
            parts=tuple(self.part(each) for each in self._below(node)),
        )
        if not condition:
            return why
        changes_at, foreseen = self._changes(node, value)
        return replace(why, changes_at=changes_at, foreseen=foreseen)

    def _below(self, node: s.Expression) -> list[s.Expression]:
        """Parts worth a line of their own: no literals, no filters of events."""
        match node:
            case s.And(terms=terms) | s.Or(terms=terms):
                return list(terms)
            case s.Not(term=s.IsKnown(value=value)) | s.IsKnown(value=value):
                return _told([value])
            case s.Not(term=term):
                return [term]
            case s.Compare(left=left, right=right):
                return _told([left, right])
            case s.BetweenValues(value=value, low=low, high=high):
                return _told([value, low, high])
            case s.In(value=value):
                return _told([value])
            case s.Arithmetic(left=left, right=right):
                return _told([left, right])
            case s.AsTime(of=of) | s.Anniversary(of=of):
                return _told([of])
            case s.Attribute(name=name) if name in self._context.attributes:
                return [self._context.attributes[name]]
            case s.InSegment(name=name) if name in self._context.segments:
                return [self._context.segments[name]]
            case s.Case(rows=rows):
                return [when for when, _ in rows]
            case _:
                return []

    # --- what time alone will change ---

    def _changes(self, node: s.Expression, now: bool) -> tuple[Instant | None, bool]:
        """When the truth of a condition next changes by time alone, and whether that could be foreseen."""
        future = _Future(node, self._events, self._t, self._context)
        for _ in range(STEPS):
            at = future.step()
            if at is None:
                return None, True
            if future.truth() != now:
                return at, True
        return None, False


class _Future:
    """One person's time to come, from one instant at which something may change to the next."""

    def __init__(self, node: s.Expression, events: Sequence[Known], t: Instant, context: Context) -> None:
        lists = {name: frozenset({context.first_identifier}) for name in context.lists}
        everything = Rules(
            attributes=context.attributes, segments=context.segments, conditions={}, zone=context.zone, lists=lists
        )
        rules = needed(everything, {_ASKED: node})
        self._segments = {name: rules.segments[name] for name in order(rules.segments, rules.attributes)}
        self._waits = _waits([*rules.segments.values(), *rules.attributes.values()])
        self._since = {name: context.segment_since(name) for name in self._segments if name != _ASKED}
        self._fold = Fold(rules, context.catalog)
        self._fold.ingest([Arrival(offset, Person(0), event) for offset, event in events])
        self._node, self._events, self._at = node, events, t
        self._context = replace(context, segment_since=self._since.get)
        self._fold.tick(t, [context.first_identifier])

    def step(self) -> Instant | None:
        """Go to the next such instant; None if there is none."""
        deadlines = [since + wait for name, wait in self._waits if (since := self._since.get(name)) is not None]
        due = self._fold.next_due()
        ahead = [at for at in (*deadlines, *([] if due is None else [due])) if at > self._at]
        if not ahead:
            return None
        self._at = Instant(min(ahead))
        self._fold.tick(self._at, [self._context.first_identifier])
        for name in self._since:
            inside = interpret(s.InSegment(name=name), self._events, self._at, self._context)
            self._since[name] = (self._since[name] or self._at) if inside else None
        return self._at

    def truth(self) -> bool:
        """Whether the condition holds there."""
        return bool(interpret(self._node, self._events, self._at, self._context))


def _waits(roots: Sequence[s.Expression]) -> list[tuple[str, int]]:
    """Every ``has been in segment S for d``: the segment and the microseconds."""
    nodes = (node for root in roots for node in walk(root))
    return [(node.name, node.for_micros) for node in nodes if isinstance(node, s.InSegment) and node.for_micros]


def _told(nodes: Sequence[s.Expression]) -> list[s.Expression]:
    return [node for node in nodes if not isinstance(node, s.Constant)]
