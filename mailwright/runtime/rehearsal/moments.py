"""Instants as people write them: a time, or a day of the shop's calendar."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo
from typing import Literal

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, from_datetime, parse_iso
from mailwright.rules.windows import day_start
from mailwright.runtime.rehearsal.growth import day_end

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ZONED = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")


def read_moment(text: str, zone: tzinfo, day: Literal["start", "end"]) -> Instant:
    """An instant: ISO 8601, in the shop's zone unless it says another; of a bare day its first or last instant.

    Raises:
        InvalidInput: ``instant.format``.
    """
    text = text.strip()
    if _DAY.fullmatch(text):
        try:
            found = date.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is no day of the calendar"
            raise InvalidInput.one("instant.format", message, hint="write it like 2026-11-22") from None
        return day_start(found, zone) if day == "start" else day_end(found, zone)
    at = parse_iso(text)
    if _ZONED.search(text):
        return at
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=zone))
