"""From syntax tree to text: ``parse(show(node)) == node``."""

from __future__ import annotations

import re
from collections.abc import Collection

from mailwright.core.instants import Instant, to_datetime
from mailwright.rules import syntax as s
from mailwright.rules.build import BIRTHDAY, UNITS
from mailwright.rules.values import ANY_PAGE, ANY_SCREEN

# Words that begin something else where a bare name could stand; as names they are written in backquotes.
_AT_START = frozenset({"and", "or", "not", "true", "false", "everyone"})
_LONE = _AT_START | {"did", "trait", "attribute", "context"}
_ATTRIBUTE = _LONE | {"age", "birthday", "null", "none"}
_NAME = re.compile(r"[^\W\d]\w*")
_FUNCTIONS = {"most_frequent": "most frequent of", "first": "first", "last": "last"}
_TIGHT = ("*", "/")
_OPERATORS = {"starts_with": "starts with", "ends_with": "ends with"}


def show(node: s.Expression) -> str:
    """The text of an expression, in the one form that Mailwright writes; `parse` gives the same tree back.

    Terms of and/or with a single term print as that term.
    """
    return _expression(node)


# --- conditions ------------------------------------------------------------------------------------------------------


def _expression(node: s.Expression) -> str:
    match node:
        case s.Or(terms=terms):
            return " or ".join(_bracketed(term, s.Or) for term in terms)
        case s.And(terms=terms):
            return " and ".join(_bracketed(term, s.Or, s.And) for term in terms)
        case s.Not(term=s.IsKnown(value=value)):
            return f"{_operand(value)} is missing"
        case s.Not(term=term):
            return "not " + _bracketed(term, s.Or, s.And)
        case s.Compare(op=op, left=left, right=right):
            return f"{_operand(left)} {_OPERATORS.get(op, op)} {_operand(right)}"
        case s.BetweenValues(value=value, low=low, high=high):
            # After an event, `between` two dates would be its window.
            subject = _operand(value) if not _takes_window(value) else f"({_value(value)})"
            return f"{subject} between {_operand(low)} and {_operand(high)}"
        case s.In(value=value, options=options):
            return f"{_operand(value)} in ({', '.join(_constant(option) for option in options)})"
        case s.IsKnown(value=value):
            return f"{_operand(value)} is known"
        case _:
            return _leaf(node)


def _bracketed(node: s.Expression, *kinds: type) -> str:
    return f"({_expression(node)})" if isinstance(node, kinds) else _expression(node)


def _leaf(node: s.Expression) -> str:
    match node:
        case s.Did(event=event, where=where, times=times, window=window):
            options = [f"at least {times} times"] if times != 1 else []
            return " ".join(["did", _event(event), *_clauses(where, [*options, *_window_clause(window)])])
        case s.AnyOf(path=path, where=where):
            return f"any of {_path(path)} ({_expression(where)})"
        case s.Sequence():
            return _sequence(node)
        case s.InSegment(name=name, for_micros=None):
            return f"in segment {_name(name)}"
        case s.InSegment(name=name, for_micros=int() as micros):
            return f"has been in segment {_name(name)} for {duration_text(micros)}"
        case s.InList(name=name):
            return f"in list {_name(name)}"
        case s.Anniversary(of=of, direction=direction, days=days):
            subject = "birthday" if of == BIRTHDAY else _single(of)
            near = "today" if (direction, days) == ("next", 0) else f"within {direction} {_counted(days, 'day')}"
            return f"anniversary of {subject} is {near}"
        case s.RandomBucket(salt=salt, percent=percent):
            return f"random bucket {_text(salt)} < {percent}%"
        case s.Always():
            return "everyone"
        case _:
            return _value(node)


def _sequence(node: s.Sequence) -> str:
    first, *rest = node.steps
    words = ["did", _event(first.event), *_clauses(first.where, [])]
    for step in rest:
        within = [] if step.within is None else [f"within {duration_text(step.within)}"]
        words += ["then", *(["no"] if step.negated else []), _event(step.event), *_clauses(step.where, within)]
    tails = [f", same {_path(path)}" for path in node.same]
    if node.window:
        tails.append(f", completed {_window(node.window)}")
    return " ".join(words) + "".join(tails)


# --- values ----------------------------------------------------------------------------------------------------------


def _operand(node: s.Expression) -> str:
    """A side of a comparison: conditions stand in brackets."""
    return _value(node) if isinstance(node, s.Value) else f"({_expression(node)})"


def _takes_window(node: s.Expression) -> bool:
    return isinstance(node, s.Arithmetic | s.Aggregate | s.LastDistinct)


def _value(node: s.Expression) -> str:
    match node:
        case s.Constant():
            return _constant(node)
        case s.Property(path=(first, *rest)):
            return _name(first, _AT_START if rest else _LONE) + "".join(f".{_name(step)}" for step in rest)
        case s.Trait(path=path):
            return f"trait {_path(path)}"
        case s.Attribute(name=name):
            return _name(name, _ATTRIBUTE)
        case s.Age():
            return "age"
        case s.ContextFact(path=("traffic_source",)):
            return "traffic source"
        case s.ContextFact(path=("geo" | "device", _, *_) as path):
            return _path(path)
        case s.ContextFact(path=path):
            return f"context {_path(path)}"
        case s.LocalTime(part=part):
            return f"local {part}"
        case s.AsTime(kind=kind, of=of):
            return f"{kind} of {_single(of)}"
        case s.Arithmetic():
            return _arithmetic(node)
        case s.Case(rows=rows, otherwise=otherwise):
            lines = [f"when {_when(when)} then {_operand(value)}" for when, value in rows]
            return " ".join(["case", *lines, *([f"else {_operand(otherwise)}"] if otherwise else []), "end"])
        case _:
            return _of_events(node)


def _single(node: s.Expression) -> str:
    """Where one value stands: a calculation stands in brackets."""
    return f"({_value(node)})" if isinstance(node, s.Arithmetic) else _operand(node)


def _arithmetic(node: s.Arithmetic) -> str:
    """Brackets only where the order of calculation needs them."""
    left, right = _operand(node.left), _operand(node.right)
    if node.op in _TIGHT and isinstance(node.left, s.Arithmetic) and node.left.op not in _TIGHT:
        left = f"({left})"
    if isinstance(node.right, s.Arithmetic) and (node.op in _TIGHT or node.right.op not in _TIGHT):
        right = f"({right})"
    return f"{left} {node.op} {right}"


def _when(node: s.Expression) -> str:
    """In brackets if it may hold a sequence, whose `then` would be taken for the case's."""
    plain = isinstance(node, s.Value | s.Compare | s.Did | s.InSegment | s.InList | s.IsKnown | s.In)
    return _expression(node) if plain else f"({_expression(node)})"


def _of_events(node: s.Expression) -> str:
    match node:
        case s.Aggregate(function=function, event=event, path=path, where=where, window=window):
            name = _FUNCTIONS.get(function, f"{function} of")
            subject = _event(event) + (f".{_path(path)}" if path else "")
            return " ".join([name, subject, *_clauses(where, _window_clause(window))])
        case s.TimeSince(event=event, where=where):
            return " ".join(["time since last", _event(event), *_clauses(where, [])])
        case s.LastDistinct(n=n, event=event, path=path, where=where, window=window):
            subject = f"{_event(event)}.{_path(path)}"
            return " ".join([f"last {n} distinct of", subject, *_clauses(where, _window_clause(window))])
        case s.ListOf(path=path, add=add, remove=remove, clear=clear):
            words = [f"list of {_event(add)}.{_path(path)}"]
            words += [f"removed by {_event(remove)}"] if remove else []
            return " ".join(words + ([f"cleared by {_event(clear)}"] if clear else []))
        case s.Rate(hit=hit, n=n, of=of, key=key, where=where):
            words = [f"rate of {_event(hit)} over last {n} {_event(of)} by {_path(key)}"]
            return " ".join(words + _clauses(where, []))
        case s.Score():
            return _score(node)
        case s.Session(gap=gap, fact=fact):
            subject = "count of sessions" if fact == "count" else f"{fact} of last session"
            return f"{subject} with gap {duration_text(gap)}"
        case _:
            raise TypeError(f"{type(node).__name__} is no node of the rule language")


def _score(node: s.Score) -> str:
    points = ", ".join(f"{_event(event)}: {points}" for event, points in node.points)
    words = [f"score {{{points}}}"]
    if node.half_life is not None:
        words.append(f"half-life {duration_text(node.half_life)}")
    if node.scale is not None:
        words.append(f"scaled to 0..100 by {node.scale}")
    return " ".join(words + _clauses(node.where, []))


# --- clauses, words and literals -------------------------------------------------------------------------------------


def _clauses(where: s.Expression | None, options: list[str]) -> list[str]:
    """A filter and what follows it; in brackets unless it is one comparison that the next clause ends."""
    if where is None:
        return options
    simple = isinstance(where, s.Compare | s.BetweenValues | s.In | s.IsKnown | s.AnyOf)
    return [f"where {_expression(where)}" if simple and options else f"where ({_expression(where)})", *options]


def _window_clause(window: s.Window | None) -> list[str]:
    return [] if window is None else [_window(window)]


def _window(window: s.Window) -> str:
    match window:
        case s.Within(micros=micros):
            return f"within {duration_text(micros)}"
        case s.Between(first=first, last=last):
            return f"on {first}" if first == last else f"between {first} and {last}"
        case s.Calendar(unit="day"):
            return "today"
        case s.Calendar(unit=unit):
            return f"this {unit}"


def duration_text(micros: int) -> str:
    """A length of time in its largest whole unit up to days, such as ``36 hours``."""
    for unit, size in UNITS.items():
        if unit != "week" and micros % size == 0:
            return _counted(micros // size, unit)
    raise AssertionError("every whole number of microseconds is one of microseconds")


def _counted(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


def _constant(node: s.Constant) -> str:
    match node.kind:
        case "text":
            return _text(str(node.value))
        case "boolean":
            return "true" if node.value else "false"
        case "duration":
            return _duration(node.value)
        case "instant":
            return _instant(node.value)
        case _:
            return str(node.value)


def _duration(value: str | bool | int) -> str:
    try:
        return duration_text(int(value))
    except ValueError:
        return str(value)  # only JSON can hold it, and `check` refuses it


def _instant(value: object) -> str:
    try:
        return to_datetime(Instant(int(str(value)))).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return str(value)  # only JSON can hold it, and `check` refuses it


def _event(name: str) -> str:
    return {ANY_PAGE: "any page", ANY_SCREEN: "any screen"}.get(name) or _text(name)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _path(path: tuple[str, ...]) -> str:
    return ".".join(_name(step) for step in path)


def _name(name: str, taken: Collection[str] = ()) -> str:
    if _NAME.fullmatch(name) and name.lower() not in taken:
        return name
    return "`" + name.replace("`", "``") + "`"
