"""Limits of single nodes that the text form keeps by itself, mostly, and the JSON form does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, parse_iso
from mailwright.rules import syntax as s
from mailwright.rules.values import expression

LAST_MAX = 100
RATE_MAX = 1_000
ANNIVERSARY_DAYS_MAX = 366
LONGEST = 365_000 * DAY
_FIRST, _LAST = (parse_iso(f"{day}T00:00:00Z") for day in ("0001-01-02", "9999-12-31"))
_TOO_LONG = ("it is longer than 1,000 years", "leave it out to mean ever")
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{1,40})?")

Fault = tuple[str, str]


def faults_of(node: s.Expression) -> list[Fault]:
    """(message, hint) for what is out of range in this node alone."""
    lengths = [getattr(node, name, None) for name in ("half_life", "gap", "for_micros")]
    lengths += [step.within for step in getattr(node, "steps", ())] + [
        getattr(getattr(node, "window", None), "micros", 0)
    ]
    too_long = [_TOO_LONG] if any((length or 0) > LONGEST for length in lengths) else []
    return [*too_long, *_node(node), *_window(getattr(node, "window", None)), *_paths(node)]


def _node(node: s.Expression) -> Iterator[Fault]:
    match node:
        case s.Constant():
            yield from _constant(node)
        case s.And(terms=()) | s.Or(terms=()):
            yield "there is nothing to join", "give at least one term"
        case s.Compare(op="matches", right=right):
            yield from _pattern(right)
        case s.In(options=()):
            yield "there is nothing to choose from", "give at least one option"
        case s.Did(times=times) if times < 1:
            yield f"at least {times} times is always true", "say 1 or more, or `not did`"
        case s.LastDistinct(n=n) if not 1 <= n <= LAST_MAX:
            yield f"the last {n} is out of range", f"1 to {LAST_MAX}"
        case s.Rate(n=n) if not 1 <= n <= RATE_MAX:
            yield f"over the last {n} is out of range", f"1 to {RATE_MAX}"
        case s.Anniversary(days=days) if not 0 <= days <= ANNIVERSARY_DAYS_MAX:
            yield f"{days} days is out of range for an anniversary", f"0 (today alone) to {ANNIVERSARY_DAYS_MAX}"
        case s.Session(gap=gap) if gap < 1:
            yield "a gap of no time would split every event", "say `with gap 30 minutes`"
        case s.InSegment(for_micros=int() as micros) if micros < 1:
            yield "for no time at all is the same as `in segment`", "say `for 30 days`, or leave it out"
        case s.Case(rows=()):
            yield "a case without rows is always missing", "give at least one `when`"
        case s.Aggregate(function=function, path=()) if function not in ("count", "first", "last"):
            yield f"{function} needs a property", f"write it like {function} of 'Order Completed'.total"
        case s.ListOf(add=add, remove=remove, clear=clear) if len({add, remove, clear} - {None}) < _given(node):
            yield "one event cannot do two things to a list", "name different events"
        case _:
            yield from _scores_and_sequences(node)


def _given(node: s.ListOf) -> int:
    return 1 + (node.remove is not None) + (node.clear is not None)


def _scores_and_sequences(node: s.Expression) -> Iterator[Fault]:
    match node:
        case s.RandomBucket(percent=percent):
            if not _DECIMAL.fullmatch(percent) or not 0 <= Decimal(percent) <= 100:
                yield f"{percent}% is no share", "0% to 100%"
        case s.Score(points=points, half_life=half_life, scale=scale):
            if not points:
                yield "a score without events is always 0", "give points: score {'Order Completed': 5}"
            if not all(_DECIMAL.fullmatch(each) for _, each in points):
                yield "points are decimal numbers", "such as 2 or 0.5"
            if half_life is not None and half_life < 1:
                yield "a half-life of no time leaves nothing", "say `half-life 30 days`, or leave it out"
            if scale is not None and (not _DECIMAL.fullmatch(scale) or Decimal(scale) <= 0):
                yield f"a score cannot be scaled by {scale}", "name the score that shall mean 50, above 0"
        case s.Sequence(steps=steps):
            yield from _steps(steps)


def _steps(steps: tuple[s.Step, ...]) -> Iterator[Fault]:
    if len(steps) < 2:
        yield "a sequence has two steps or more", "write did 'A' then 'B'"
        return
    if steps[0].negated or steps[0].within is not None:
        yield "a sequence begins with something done", "put `no` and `within` on later steps"
    if _open_ended(steps):
        yield f"no {steps[-1].event!r}, but until when?", "give it a deadline: then no 'B' within 30 minutes"
    if any(step.within is not None and step.within < 1 for step in steps):
        yield "within no time nothing can follow", "say `within 30 minutes`"


def _open_ended(steps: tuple[s.Step, ...]) -> bool:
    """Whether it ends with a negated step without an end; after another one's deadline that means: up to now."""
    before = list(steps)
    while before and before[-1].negated and before[-1].within is None:
        before.pop()
    return len(before) < len(steps) and not (before and before[-1].negated)


def _constant(node: s.Constant) -> Iterator[Fault]:
    value = node.value
    if node.kind in ("duration", "instant") and (isinstance(value, bool) or not isinstance(value, int)):
        yield f"{value!r} is no {node.kind}", "give whole microseconds"
    elif node.kind == "instant" and not _FIRST <= int(value) <= _LAST:
        yield f"{value} is no instant of the years 1 to 9999", "give microseconds since 1970"
    elif node.kind == "duration" and int(value) > LONGEST:
        yield _TOO_LONG
    elif node.kind == "duration" and int(value) < 0:
        yield "a length of time is never negative", ""
    elif node.kind == "boolean" and not isinstance(value, bool):
        yield f"{value!r} is neither true nor false", ""
    elif node.kind == "number" and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        yield f"{value!r} is no number", "give its decimal text, such as '0.5'"
    elif node.kind == "date" and not _is_day(value):
        yield f"there is no day {value!r}", "write year-month-day"
    elif node.kind == "text" and not isinstance(value, str):
        yield f"{value!r} is no text", ""


def _pattern(right: s.Expression) -> Iterator[Fault]:
    if not isinstance(right, s.Constant) or right.kind != "text":
        yield "matches needs a regular expression as text", "write it like trait sku matches '^A[0-9]+$'"
        return
    try:
        expression(str(right.value))
    except InvalidInput as error:
        yield error.issues[0].message, error.issues[0].hint


def _window(window: s.Window | None) -> Iterator[Fault]:
    match window:
        case s.Within(micros=micros) if micros < 1:
            yield "a window of no time holds nothing", "say `within 14 days`, or leave it out"
        case s.Between(first=first, last=last):
            if not _is_day(first) or not _is_day(last):
                yield f"there is no day {last if _is_day(first) else first!r}", "write year-month-day"
            elif first > last:
                yield f"{last} is before {first}", "write the earlier day first"


def _paths(node: s.Expression) -> Iterator[Fault]:
    needs = s.Property | s.Trait | s.ContextFact | s.LastDistinct | s.ListOf | s.AnyOf
    if isinstance(node, needs) and not node.path:
        yield f"{type(node).__name__} needs a path", "name the property"
    paths = [getattr(node, "path", ()), getattr(node, "key", ()), *getattr(node, "same", ())]
    if any(step == "" for path in paths for step in path):
        yield "a name is empty", "name the property"


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
