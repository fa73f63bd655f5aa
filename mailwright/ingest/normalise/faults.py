"""How a value that cannot be normalised says why. No message names the value: it may be personal."""

from __future__ import annotations

from typing import Any


class Unfit(Exception):
    """A value is not what it is declared to be; its text says why, and never what it is."""


def shape(value: Any) -> str:
    """What was sent, in words that tell nothing of it."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "nothing"
