"""Templates: objects of a definition whose texts may be expressions, made into JSON for one body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailwright.core.errors import InvalidInput, Issue
from mailwright.ingest.expressions import Scope, Unfit, compile_expression, looks_like_expression

__all__ = ["Fault", "Template", "compile_template"]

Place = tuple[str | int, ...]
Fault = tuple[Place, Issue]
"""Where in the template, and what is wrong with the text there."""

Template = Callable[[Scope], Any]
"""Makes the value. What is null is left out of objects and lists, and of an object or list of which nothing is there
nothing is made; a list that is empty in the body stays one. Raises `Unfit`, which names the field."""


def compile_template(value: Any, place: Place = ()) -> tuple[Template, list[Fault]]:
    """What a template makes, and all that is wrong with it.

    A text that is no expression stands for itself; ``{each: $.lines, as: {...}}`` makes a list of each ``item``.
    """
    if isinstance(value, str) and looks_like_expression(value):
        try:
            made = compile_expression(value)
        except InvalidInput as error:
            return _nothing, [(place, error.issues[0])]
        return lambda scope: _named(made, scope, place), []
    if isinstance(value, Mapping):
        return _each(value, place) if set(value) == {"each", "as"} else _object(value, place)
    if isinstance(value, list):
        return _list(value, place)
    return lambda _: value, []


def _nothing(_: Scope) -> Any:
    return None


def _named(made: Template, scope: Scope, place: Place) -> Any:
    try:
        return made(scope)
    except Unfit as unfit:
        raise Unfit(unfit.reason, ".".join(map(str, place))) from None


def _object(value: Mapping[str, Any], place: Place) -> tuple[Template, list[Fault]]:
    parts: dict[str, Template] = {}
    faults: list[Fault] = []
    for name, inner in value.items():
        parts[str(name)], found = compile_template(inner, (*place, str(name)))
        faults += found

    def make(scope: Scope) -> dict[str, Any] | None:
        found = {name: made for name, part in parts.items() if (made := part(scope)) is not None}
        return found if found or not parts else None  # what is declared as {} is meant

    return make, faults


def _list(value: list[Any], place: Place) -> tuple[Template, list[Fault]]:
    compiled = [compile_template(inner, (*place, n)) for n, inner in enumerate(value)]

    def make(scope: Scope) -> list[Any] | None:
        found = [made for part, _ in compiled if (made := part(scope)) is not None]
        return found if found or not compiled else None

    return make, [fault for _, found in compiled for fault in found]


def _each(value: Mapping[str, Any], place: Place) -> tuple[Template, list[Fault]]:
    elements, faults = compile_template(value["each"], (*place, "each"))
    inner, found = compile_template(value["as"], (*place, "as"))

    def make(scope: Scope) -> list[Any] | None:
        listed = elements(scope)
        if listed is None:
            return None
        if not isinstance(listed, list):
            raise Unfit("is no list", ".".join(map(str, place)))
        found = [made for element in listed if (made := inner(scope.at(element))) is not None]
        return found if found or not listed else None

    return make, faults + found
