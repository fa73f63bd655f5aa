"""Numbers with what they count, in the language of messages."""

from __future__ import annotations


def counted(n: int, one: str, more: str = "") -> str:
    """``1 row``, ``2,000 rows``; `more` where it is not `one` with an s."""
    return f"{n:,} {one if n == 1 else more or f'{one}s'}"
