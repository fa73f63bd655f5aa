"""Patches for events that were held back: what a person would do by hand to each, declared once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.core.instants import format_iso, parse_iso
from mailwright.ingest.plan import without
from mailwright.ingest.typed_values import is_a

Operation = Literal["rename", "cast", "drop", "set"]


class Patch(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One change.

    Attributes:
        op: ``rename`` a field, ``cast`` its value to a type, ``drop`` it, ``set`` it.
        field: Dotted place in the call (``properties.total``, ``traits.plan``, ``event``, ``userId``).
        to: The new place for ``rename``, in full; the type for ``cast``.
        value: For ``set``.
    """

    op: Operation
    field: str
    to: str = ""
    value: Any = None


_INSIDE = ("properties", "traits", "context")
_OWN = (
    "event",
    "name",
    "category",
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
)
_CASTS = ("text", "number", "boolean", "instant")
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def read_patches(told: Any) -> list[Patch]:
    """Patches out of JSON or YAML.

    Raises:
        InvalidInput: ``quarantine.patch``, with every fault.
    """
    try:
        patches = msgspec.convert(told, list[Patch])
    except msgspec.ValidationError as error:
        hint = "write a list such as [{op: rename, field: properties.ordr, to: properties.order_id}]"
        raise InvalidInput.one("quarantine.patch", str(error), hint=hint) from None
    issues = [issue for place, patch in enumerate(patches) for issue in _faults(f"{place}", patch)]
    if issues:
        raise InvalidInput("quarantine.patch", issues)
    return patches


def _faults(place: str, patch: Patch) -> list[Issue]:
    found = [_place_fault(f"{place}.field", patch.field)]
    if patch.op == "rename":
        found.append(_place_fault(f"{place}.to", patch.to))
    if patch.op == "cast" and patch.to not in _CASTS:
        found.append(
            Issue(path=f"{place}.to", message=f"there is no type {patch.to!r}", hint=nearest(patch.to, _CASTS))
        )
    return [issue for issue in found if issue is not None]


def _place_fault(path: str, field: str) -> Issue | None:
    first, _, rest = field.partition(".")
    if (first in _INSIDE and rest) or (first in _OWN and not rest):
        return None
    hint = "name a field of the call, such as properties.total or event"
    return Issue(path=path, message=f"{field!r} is no field that can be mended", hint=hint)


def mended(call: Mapping[str, Any], patches: Sequence[Patch]) -> dict[str, Any]:
    """A copy of a call with the patches applied in order.

    A field that is not there is left alone, and so is one that cannot be cast: the tracking plan then says so again.
    """
    made = dict(call)
    for patch in patches:
        path = patch.field.split(".")
        there, value = _value(made, path)
        match patch.op:
            case "set":
                made = _with(made, path, patch.value)
            case "drop":
                made = without(made, path)
            case "rename" if there:
                made = _with(without(made, path), patch.to.split("."), value)
            case "cast" if there:
                made = _with(made, path, _cast(value, patch.to))
            case _:
                pass
    return made


def _value(data: Any, path: Sequence[str]) -> tuple[bool, Any]:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return False, None
        data = data[step]
    return True, data


def _with(data: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    inside = data if isinstance(data, dict) else {}
    if len(path) == 1:
        return {**inside, path[0]: value}
    return {**inside, path[0]: _with(inside.get(path[0]), path[1:], value)}


def _cast(value: Any, to: str) -> Any:
    """The value in another type; itself if it has no such meaning."""
    if not isinstance(value, str | int | float):
        return value
    text = str(value).strip()
    match to:
        case "text":
            return ("true" if value else "false") if isinstance(value, bool) else str(value)
        case "number":
            return _number(text) if isinstance(value, str) else value
        case "boolean" if text.lower() in (*_YES, *_NO):
            return text.lower() in _YES
        case "instant" if is_a("instant", text):
            try:
                return format_iso(parse_iso(text))
            except OverflowError:  # an offset leads out of the years 1 to 9999
                return value
        case _:
            return value


def _number(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    if number != number or number in (float("inf"), float("-inf")):
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number
