"""The types that a project declares for JSON values, and whether a value has one."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any, Literal

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import parse_iso
from mailwright.rules.values import as_date

ValueType = Literal["text", "number", "boolean", "instant", "date", "list", "object"]
HINTS = {"instant": "write it like 2026-11-22T09:30:00Z", "date": "write it like 2026-11-22"}


def is_a(declared: ValueType, value: Any) -> bool:
    """Whether a JSON value has a declared type. Nothing is converted: ``'1'`` is no number."""
    match declared:
        case "text":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "instant":
            return isinstance(value, str) and is_instant(value)
        case "date":
            return isinstance(value, str) and as_date(value, UTC) is not None


def wrong_type(declared: ValueType, value: Any) -> str:
    """In words, what is wrong with a value that is not of the declared type."""
    hint = f"; {HINTS[declared]}" if declared in HINTS else ""
    return f"{shown(value)} is no {declared}{hint}"


def shown(value: Any) -> str:
    """A JSON value in a message, cut short."""
    text = msgspec.json.encode(value).decode()
    return f"{text[:60]}{'...' if len(text) > 60 else ''}"


_SHAPE = re.compile(r"(\\u[0-9a-f]{4})|([^\W\d_])|(\d)")


def shape(value: Any) -> str:
    """What a JSON value looks like, without what it says: letters are ``a``, digits ``9``; cut short."""
    return _SHAPE.sub(lambda found: "9" if found[3] else "a", shown(value))


def is_instant(text: str) -> bool:
    """Whether a text is an instant that `parse_iso` reads."""
    try:
        parse_iso(text)
    except InvalidInput:
        return False
    return True
