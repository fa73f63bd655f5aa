"""How a value that cannot be normalised says why. No message names the value: it may be personal."""

from __future__ import annotations

from typing import Any, NamedTuple


class Unfit(Exception):
    """A value is not what it is declared to be; its text says why, and never what it is."""


class Original(NamedTuple):
    """An amount as it was sent, in the major unit, and its currency; empty if nobody can read which."""

    amount: int | float
    currency: str


class Foreign(Unfit):
    """An amount is in a currency that nothing exchanges: under the declared name it would be counted wrong."""

    def __init__(self, why: str, original: Original) -> None:
        super().__init__(why)
        self.original = original


def shape(value: Any) -> str:
    """What was sent, in words that tell nothing of it."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "nothing"
