"""Windows of time as stretches of stamps, exact windows and calendar windows alike."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

from mailwright.core.instants import Instant, from_datetime
from mailwright.rules import syntax as s
from mailwright.rules.values import local_date

EVER = Instant(-(2**63))


def bounds(window: s.Window | None, t: Instant, zone: tzinfo) -> tuple[Instant, Instant]:
    """The stretch ``(after, upto]`` of stamps that a window means at `t`; no window: everything up to `t`.

    Days begin at the first instant of their date in `zone`, so a day may have 23 or 25 hours. `upto` is never past `t`.
    """
    match window:
        case None:
            return EVER, t
        case s.Within(micros=micros):
            return Instant(t - micros), t
        case s.Between(first=first, last=last):
            end = day_start(date.fromisoformat(last) + timedelta(days=1), zone)
            return Instant(day_start(date.fromisoformat(first), zone) - 1), Instant(min(end - 1, t))
        case s.Calendar(unit=unit):
            return Instant(day_start(calendar_start(unit, local_date(t, zone)), zone) - 1), t


def calendar_start(unit: str, today: date) -> date:
    """The first day of the day, week (Monday), month or year that holds `today`."""
    match unit:
        case "day":
            return today
        case "week":
            return today - timedelta(days=today.weekday())
        case "month":
            return today.replace(day=1)
        case _:
            return today.replace(month=1, day=1)


def day_start(day: date, zone: tzinfo) -> Instant:
    """The first instant of a day; where the clocks skip midnight, the instant at which they do."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))
