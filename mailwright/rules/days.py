"""Values as days and instants; ages and anniversaries."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo
from typing import Any

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, parse_iso, to_datetime
from mailwright.rules.values import Moment, local_date

_DECIMALS = re.compile(r"\.\d+")
_TIME = re.compile(r"\dT\d|\d \d")


def as_date(value: Any, zone: tzinfo) -> date | None:
    """The day that a date, an instant or ISO 8601 text means; None for anything else.

    An instant, and text with an offset, gives its day in `zone`; text with a time but no offset, the day it names.
    """
    match value:
        case Moment(at=at):
            return local_date(at, zone)
        case date():
            return value
        case str():
            return _date_in(value, zone)
        case _:
            return None


def _date_in(text: str, zone: tzinfo) -> date | None:
    try:
        # More than six decimals are refused by some versions of Python and needless for a day.
        read = datetime.fromisoformat(_DECIMALS.sub("", text.strip()))
        return (read if read.tzinfo is None else read.astimezone(zone)).date()
    except (ValueError, OverflowError):
        return None


def as_instant(value: Any) -> Moment | None:
    """The instant that an instant or ISO 8601 text with a time of day means; without an offset it is UTC."""
    if isinstance(value, Moment):
        return value
    if not isinstance(value, str) or not _TIME.search(value):
        return None
    try:
        return Moment(parse_iso(value))
    except (InvalidInput, OverflowError):
        return None


def observed(day: date, year: int) -> date:
    """The anniversary of `day` in `year`; Feb 29 is observed on Feb 28 in common years."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def age_on(birthday: date, today: date) -> int | None:
    """Whole years; None before birth."""
    if birthday > today:
        return None
    return today.year - birthday.year - (today < observed(birthday, today.year))


def anniversary_near(day: date, today: date, direction: str, days: int) -> bool:
    """Whether an anniversary of `day`, the first a year after it, is at most `days` ahead (``next``) or back."""
    reach = days // 365 + 1
    years = range(max(today.year - reach, day.year + 1), min(today.year + reach, date.max.year) + 1)
    ahead = [(observed(day, year) - today).days for year in years]
    if direction == "next":
        return any(0 <= distance <= days for distance in ahead)
    return any(0 <= -distance <= days for distance in ahead)


def local_hour(t: Instant, zone: tzinfo) -> int:
    """Hour of the day, 0..23."""
    return local_time(t, zone).hour


def local_weekday(t: Instant, zone: tzinfo) -> int:
    """Day of the week, 1 (Monday) to 7."""
    return local_time(t, zone).isoweekday()


def local_time(t: Instant, zone: tzinfo) -> datetime:
    """The wall clock in `zone`."""
    return to_datetime(t).astimezone(zone)
