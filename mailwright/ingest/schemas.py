"""JSON Schema 2020-12 at the door: compiled once, asked per event, and its faults in our words.

Patterns run in linear time, and nothing is ever fetched: a schema comes from a file that somebody wrote, but the values
come from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jsonschema_rs

from mailwright.core.errors import Issue, nearest
from mailwright.ingest.typed_values import HINTS, ValueType, is_a, shown

Schema = Mapping[str, Any]
_FORMATS: Mapping[str, ValueType] = {
    "mailwright-instant": "instant",
    "mailwright-date": "date",
    "date-time": "instant",
    "date": "date",
}
_JSON_TYPES: Mapping[ValueType, dict[str, str]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
    "instant": {"type": "string", "format": "mailwright-instant"},
    "date": {"type": "string", "format": "mailwright-date"},
}
_OURS: Mapping[str, ValueType] = {
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "object",
}
_WORDS = {"string": "text", "array": "list", "integer": "whole number"}


class Fault(NamedTuple):
    """How a value differs from a schema.

    Attributes:
        path: Keys and places from the value itself to what is wrong, the missing or undeclared one included.
        kind: The keyword of JSON Schema that was violated, or ``undeclared``.
        reason: In words; it may show the value.
        masked: In words, without the value.
    """

    path: tuple[str | int, ...]
    kind: str
    reason: str
    masked: str


class Hints:
    """Nearest names for the first few unknown ones of a request; then empty, since each looks at all that are known."""

    def __init__(self, most: int = 10) -> None:
        """Give at most `most` hints."""
        self._left = most

    def nearest(self, name: str, known: Iterable[str]) -> str:
        """As `mailwright.core.errors.nearest`, while there are hints left."""
        self._left -= 1
        return nearest(name, known) if self._left >= 0 else ""


class Compiled:
    """One schema, ready to be asked."""

    def __init__(self, schema: Schema) -> None:
        """Compile `schema`.

        Raises:
            ValueError: If it is no schema; see `schema_faults` for where.
        """
        validator = jsonschema_rs.Draft202012Validator(
            dict(schema),
            formats={
                "mailwright-instant": lambda text: is_a("instant", text),
                "mailwright-date": lambda text: is_a("date", text),
            },
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
        self.fits = validator.is_valid
        """Whether a JSON value has no fault; about a microsecond."""
        self._errors = validator.iter_errors
        self._properties = schema.get("properties") or {}

    def faults(self, value: Any, hints: Hints) -> list[Fault]:
        """All faults of a JSON value, in the order of the schema's keywords."""
        return [fault for error in self._errors(value) for fault in self._told(error, hints)]

    def _told(self, error: Any, hints: Hints) -> Iterator[Fault]:
        path, kind, instance = tuple(error.instance_path), error.kind, error.instance
        match kind.name:
            case "required":
                yield Fault((*path, kind.property), "required", _MISSING, _MISSING)
            case "additionalProperties" | "unevaluatedProperties":
                for name in kind.unexpected:
                    known = self._properties if not path else ()
                    reason = f"not in the tracking plan; {hints.nearest(name, known)}".rstrip("; ")
                    yield Fault((*path, name), "undeclared", reason, "not in the tracking plan")
            case "type" if instance is None:
                yield Fault(path, "required", _MISSING, _MISSING)
            case "type":
                wanted = " or ".join(_WORDS.get(each, each) for each in kind.types if each != "null")
                yield Fault(path, "type", f"{shown(instance)} is no {wanted}", f"it is no {wanted}")
            case "format" if kind.format in _FORMATS:
                wanted = _FORMATS[kind.format]
                hint = HINTS[wanted]
                yield Fault(path, "format", f"{shown(instance)} is no {wanted}; {hint}", f"it is no {wanted}; {hint}")
            case name:
                reason = error.message
                yield Fault(path, name, reason[:200], f"it is against {name!r} of the schema")


_MISSING = "required by the tracking plan, but missing"


def schema_faults(schema: Schema) -> list[Issue]:
    """Why a schema cannot be compiled; the issue's path is the dotted place inside it. Empty if it can."""
    try:
        Compiled(schema)
    except jsonschema_rs.ValidationError as error:
        place = ".".join(map(str, error.instance_path))
        return [Issue(path=place, message=f"no JSON Schema: {error.message}", hint="draft 2020-12 is read")]
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        reason = str(error).partition("\n")[0]
        return [Issue(path="", message=f"no JSON Schema: {reason}", hint="draft 2020-12 is read; nothing is fetched")]
    return []


def short_schema(properties: Mapping[str, ValueType], required: tuple[str, ...]) -> dict[str, Any]:
    """The schema of the short form: a null counts as not sent."""
    return {
        "type": "object",
        "properties": {
            name: _JSON_TYPES[kind] if name in required else _or_null(_JSON_TYPES[kind])
            for name, kind in properties.items()
        },
        "required": list(required),
    }


def _or_null(schema: dict[str, str]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def types_of(schema: Schema, prefix: str = "") -> dict[str, ValueType]:
    """Dotted name -> type of every property whose type a schema tells plainly, objects inside objects too."""
    found: dict[str, ValueType] = {}
    properties = schema.get("properties")
    for name, one in properties.items() if isinstance(properties, Mapping) else ():
        kind = _plain_type(one)
        if kind is not None:
            found[prefix + name] = kind
        if kind == "object":
            found |= types_of(one, f"{prefix}{name}.")
    return found


def _plain_type(schema: Any) -> ValueType | None:
    if not isinstance(schema, Mapping):
        return None
    told = schema.get("type")
    names = [each for each in (told if isinstance(told, list) else [told]) if each != "null"]
    if len(names) != 1:
        return None
    return _FORMATS.get(schema.get("format", ""), "text") if names[0] == "string" else _OURS.get(str(names[0]))
