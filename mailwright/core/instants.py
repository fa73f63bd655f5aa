"""Instants: points in time as whole microseconds since 1970-01-01T00:00:00Z.

Inside Mailwright every field that ends in ``_at`` is an `Instant`: an integer, exact, ordered, and a NumPy
column without conversion. Aware ``datetime`` values exist only at the edges (HTTP, files, templates, pages).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from mailwright.core.errors import InvalidInput

Instant = NewType("Instant", int)

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# fromisoformat of Python 3.11 takes every ISO 8601 form that the Segment libraries send, except more than six decimals.
_DECIMALS = re.compile(r"(\.\d{6})\d+")


def from_datetime(value: datetime) -> Instant:
    """The instant of an aware datetime; a naive one is refused, because it names no instant."""
    if value.tzinfo is None:
        raise InvalidInput.one("instant.naive", f"{value.isoformat()} has no time zone", hint="add Z or an offset")
    past = value - _EPOCH
    return Instant((past.days * 86_400 + past.seconds) * SECOND + past.microseconds)


def to_datetime(value: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=value)


def parse_iso(text: str) -> Instant:
    """Read ISO 8601 text such as ``2026-11-22T09:30:00.000Z``; without an offset it is UTC.

    Raises:
        InvalidInput: If the text is no ISO 8601 date or time.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError:  # nearly every text is read at once, so what may be about it is looked for only now
        value = _read(text)
    past = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    return Instant((past.days * 86_400 + past.seconds) * SECOND + past.microseconds)


def _read(text: str) -> datetime:
    try:
        return datetime.fromisoformat(_DECIMALS.sub(r"\1", text.strip()))
    except ValueError:
        raise InvalidInput.one(
            "instant.format", f"{text!r} is not an ISO 8601 time", hint="write it like 2026-11-22T09:30:00Z"
        ) from None


def format_iso(value: Instant) -> str:
    """ISO 8601 in UTC with a Z, microseconds only when there are any."""
    return to_datetime(value).isoformat().replace("+00:00", "Z")


def iso_or_none(at: Instant | None) -> str | None:
    """`format_iso`, or None for no instant."""
    return None if at is None else format_iso(at)
