"""Filters and paths of events, made ready once per rule: what `values.holds` and `values.elements` say, faster.

The tests hold both equal to those functions for generated filters and events; a shape that is not known here is asked
of `values.holds` itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mailwright.core.events import Event
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.values import ItemLookup, compare, constant, holds, in_options

Test = Callable[[Event, Any], bool]
"""Asked of an event, or of one element of a list in it; the element is None for the event itself."""

_REMEMBERED = 50_000  # answers by distinct value and question; beyond, they are found anew


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
            if len(answers) < _REMEMBERED:
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
                if inner(event, each):
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
