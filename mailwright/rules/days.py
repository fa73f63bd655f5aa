"""Ages, anniversaries and the wall clock."""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from mailwright.core.instants import Instant, to_datetime


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
