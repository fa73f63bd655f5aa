"""Lengths of time as people write them (``7 days``) and as the code keeps them (whole microseconds)."""

from __future__ import annotations

import re

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND

_UNITS = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
_PATTERN = re.compile(r"\s*(\d{1,6})\s+([A-Za-z]+)\s*")


def duration_micros(text: str) -> int:
    """The length of ``<whole number> <unit>`` in microseconds; it is more than zero.

    Units are second, minute, hour, day and week, singular or plural. A day is 24 hours: a wait of one day may end at
    another hour of the wall clock when the clocks change.

    Raises:
        InvalidInput: If the text is no such length.
    """
    match = _PATTERN.fullmatch(text)
    if not match:
        raise InvalidInput.one("duration.format", f"{text!r} is not a duration", hint="write it like '7 days'")
    number, unit = int(match[1]), match[2].lower().removesuffix("s")
    if unit not in _UNITS:
        raise InvalidInput.one(
            "duration.unit", f"{text!r} has the unknown unit {match[2]!r}", hint=nearest(unit, _UNITS)
        )
    if number == 0:
        raise InvalidInput.one("duration.zero", f"{text!r} is no time at all", hint="use at least 1 second")
    return number * _UNITS[unit]


def duration_text(micros: int) -> str:
    """The length in its largest unit that leaves no remainder (``36 hours``), else in seconds rounded down."""
    for unit, size in reversed(_UNITS.items()):
        if (micros and micros % size == 0) or unit == "second":
            number = micros // size
            return f"{number:,} {unit}" + ("" if number == 1 else "s")
    raise AssertionError("unreachable: a second divides or rounds")
