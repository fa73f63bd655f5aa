"""Filters and paths of events, made ready once per rule: what `values.holds` and `values.elements` say, faster.

The tests hold both equal to those functions for generated filters and events; a shape that is not known here is asked
of `values.holds` itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.rows import Bools
from mailwright.rules.values import ItemLookup, compare, constant, holds, in_options

Test = Callable[[Event, Any], bool]
"""Asked of an event, or of one element of a list in it; the element is None for the event itself."""

_REMEMBERED = 50_000  # answers by distinct value and question; beyond, they are found anew
_SHORT = 256  # characters of a text that is remembered


def compiled(where: s.Expression | None, items: ItemLookup) -> Test:
    """A function that says what `values.holds` says of the event."""
    match where:
        case None | s.Always():
            return _everything
        case s.And(terms=terms):
            tests = [compiled(term, items) for term in terms]
            return lambda event, element: all(test(event, element) for test in tests)
        case s.Or(terms=terms):
            tests = [compiled(term, items) for term in terms]
            return lambda event, element: any(test(event, element) for test in tests)
        case s.Not(term=term):
            denied = compiled(term, items)
            return lambda event, element: not denied(event, element)
        case s.AnyOf(path=path, where=inner):
            return _any_of(path, compiled(inner, items), items)
        case s.Compare(op=op, left=s.Property(path=path), right=s.Constant() as right):
            limit = constant(right)
            return _any_value(path, lambda value: compare(op, value, limit), items)
        case s.In(value=s.Property(path=path), options=options):
            allowed = [constant(option) for option in options]
            return _any_value(path, lambda value: in_options(value, allowed), items)
        case s.IsKnown(value=s.Property(path=path)):
            return lambda event, element: bool(_values(event, element, path, items))
        case _:
            return _plain(where, items)


def _everything(event: Event, element: Any) -> bool:
    del event, element
    return True


def _any_value(path: tuple[str, ...], asks: Callable[[Any], bool], items: ItemLookup) -> Test:
    answers: dict[Any, bool] = {}
    step = path[0] if len(path) == 1 and path[0] != "product" else None

    def answer(value: Any) -> bool:
        key = value if type(value) is str else (type(value), value)
        try:
            found = answers.get(key)
        except TypeError:  # a list or an object has no key
            return asks(value)
        if found is None:
            found = asks(value)
            if len(answers) < _REMEMBERED and (type(value) is not str or len(value) <= _SHORT):
                answers[key] = found
        return found

    def test(event: Event, element: Any) -> bool:
        if step is not None and type(element) is dict:
            return answer(element.get(step))  # a missing value and the infinities meet no comparison
        return any(map(answer, _values(event, element, path, items)))

    return test


def _any_of(path: tuple[str, ...], inner: Test, items: ItemLookup) -> Test:
    def test(event: Event, element: Any) -> bool:
        for value in _values(event, element, path, items):
            for each in value if type(value) is list else (value,):
                if each is not None and inner(event, each):
                    return True
        return False

    return test


def _plain(where: s.Expression, items: ItemLookup) -> Test:
    """For shapes that are rare; inside an element, the same question put to the element alone."""

    def test(event: Event, element: Any) -> bool:
        if element is None:
            return holds(where, event, items)
        return holds(s.AnyOf(path=(_ELEMENT,), where=where), _wrapping(event, element), items)

    return test


_ELEMENT = "element"


def _wrapping(event: Event, element: Any) -> Event:
    return Event(
        message_id="",
        source="",
        type="track",
        stamp_at=event.stamp_at,
        received_at=event.received_at,
        known_at=event.known_at,
        identifiers=[],
        properties={_ELEMENT: [element]},
    )


def _values(event: Event, element: Any, path: tuple[str, ...], items: ItemLookup) -> list[Any]:
    if element is not None:
        return quick_paths(element, path, event.stamp_at, items)
    if path[:1] == ("context",):
        return quick_paths(event.context, path[1:], event.stamp_at, items)
    return quick_paths(event.properties, path, event.stamp_at, items)


def quick_elements(event: Event, path: tuple[str, ...], items: ItemLookup) -> list[Any]:
    """`values.elements`: the values of a property, lists taken apart."""
    found = _values(event, None, path, items)
    return _flat(found) if any(type(value) is list for value in found) else found


def quick_paths(data: Any, path: tuple[str, ...], at: Instant, items: ItemLookup) -> list[Any]:
    """`values.paths`, level by level instead of recursively."""
    level: list[Any] = [data]
    for step in path:
        if len(level) == 1 and type(level[0]) is list:
            level = level[0]
        level = _products(level, at, items) if step == "product" else _below(level, step)
    return _known(level) if None in level or float in map(type, level) else level


def _below(level: list[Any], step: str) -> list[Any]:
    try:  # nearly always: objects that all have the property
        return [part[step] for part in level]
    except (KeyError, TypeError):
        return [part.get(step) for part in _objects(level)]


def _products(level: list[Any], at: Instant, items: ItemLookup) -> list[Any]:
    return [
        own if (own := part.get("product")) is not None else _item(part.get("product_id"), at, items)
        for part in (level if all(type(part) is dict for part in level) else _objects(level))
    ]


def _objects(level: list[Any]) -> list[dict[str, Any]]:
    return [part for part in _flat(level) if type(part) is dict]


def _item(item_id: Any, at: Instant, items: ItemLookup) -> Any:
    return items("products", str(item_id), at) if type(item_id) is str or type(item_id) is int else None


def _known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None and (type(value) is not float or math.isfinite(value))]


def _flat(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if type(value) is list:
            found.extend(_flat(value))
        elif value is not None and (type(value) is not float or math.isfinite(value)):
            found.append(value)
    return found


# --- many events at once ---------------------------------------------------------------------------------------------

BulkTest = Callable[[Sequence[Event]], Bools]
"""Asked of many events at once."""

_WHOLE = 2.0**53  # whole numbers below are doubles


def in_bulk(where: s.Expression, items: ItemLookup) -> BulkTest:
    """What `compiled` says of each of many events; the usual shapes column by column."""
    match where:
        case s.Always():
            return lambda events: np.ones(len(events), dtype=bool)
        case s.And(terms=terms):
            tests = [in_bulk(term, items) for term in terms]
            return lambda events: np.logical_and.reduce([test(events) for test in tests])
        case s.Or(terms=terms):
            tests = [in_bulk(term, items) for term in terms]
            return lambda events: np.logical_or.reduce([test(events) for test in tests])
        case s.Not(term=term):
            denied = in_bulk(term, items)
            return lambda events: ~denied(events)
        case s.Compare(left=s.Property(path=(step,)), right=s.Constant()) if step not in ("product", "context"):
            return _over_column(step, where, compiled(where, items))
        case s.In(value=s.Property(path=(step,))) if step not in ("product", "context"):
            return _over_column(step, where, compiled(where, items))
        case _:
            return _each(compiled(where, items))


def _each(test: Test) -> BulkTest:
    return lambda events: np.array([test(event, None) for event in events], dtype=bool)


def _over_column(step: str, where: s.Compare | s.In, test: Test) -> BulkTest:
    """Over texts by distinct value, over numbers as a column, else event by event."""
    answers: dict[str | None, bool] = {None: False}
    beside = _beside_limit(where)

    def ask(event: Event, value: Any) -> bool:
        found = test(event, None)
        if len(answers) < _REMEMBERED and len(value) <= _SHORT:
            answers[value] = found
        return found

    def read(events: Sequence[Event]) -> Bools:
        raw = [event.properties.get(step) for event in events]
        kinds = set(map(type, raw))
        if kinds <= {str, type(None)}:
            found = [answers.get(value) for value in raw]
            if None in found:
                found = [
                    answers[value] if value in answers else ask(e, value) for e, value in zip(events, raw, strict=True)
                ]
            return np.array(found, dtype=bool)
        if beside is not None and kinds <= {int, float}:
            numbers = np.array(raw, dtype=np.float64) if int not in kinds else _doubles(raw)
            if numbers is not None:
                return beside(numbers)
        return np.array([test(event, None) for event in events], dtype=bool)

    return read


def _doubles(numbers: Sequence[Any]) -> NDArray[np.float64] | None:
    """Whole numbers among others as doubles; None if a double may not hold one."""
    try:
        doubles = np.array(numbers, dtype=np.float64)
    except OverflowError:
        return None
    return doubles if bool((np.abs(doubles) < _WHOLE).all()) else None


def _beside_limit(where: s.Compare | s.In) -> Callable[[NDArray[np.float64]], Bools] | None:
    """A comparison of numbers with a number, column by column; None for any other."""
    if not isinstance(where, s.Compare) or not isinstance(where.right, s.Constant) or where.op not in _SIDES:
        return None
    limit = constant(where.right)
    sides = _SIDES[where.op]
    return (lambda numbers: _beside(numbers, limit, sides)) if isinstance(limit, Decimal) else None


_SIDES: dict[str, tuple[bool, bool, bool]] = {
    "<": (True, False, False),
    "<=": (True, True, False),
    "=": (False, True, False),
    "!=": (True, False, True),
    ">=": (False, True, True),
    ">": (False, False, True),
}
"""Per operator, whether it holds of a number below, at and above the limit."""


def _beside(numbers: NDArray[np.float64], limit: Decimal, holds_if: tuple[bool, bool, bool]) -> Bools:
    """Doubles, which count by their decimal text, beside a decimal: the order of doubles is that of their texts."""
    near = float(limit)
    below, at, above = holds_if
    text = Decimal(repr(near)) if math.isfinite(near) else limit
    beside = at if text == limit else below if text < limit else above
    found = np.where(numbers < near, below, np.where(numbers > near, above, beside))
    return np.asarray(found & np.isfinite(numbers), dtype=bool)
