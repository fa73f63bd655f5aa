"""When a campaign takes place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo

from mailwright.core.instants import Instant, from_datetime, parse_iso, to_datetime
from mailwright.journeys.definitions import WEEKDAYS, ScheduleDefinition


def due_occurrence(
    schedule: ScheduleDefinition,
    last_occurrence: str | None,
    at: Instant,
    zone: tzinfo,
    started_at: Instant,
    send_by_micros: int,
) -> Instant | None:
    """The occurrence to start at the tick `at`, or None.

    It is the latest planned instant that is not after `at`, and only that one: after a gap, what else was missed is not
    made up for. It must be later than the last one that was started, not before the campaign was defined, and no mail
    of it past its send-by time.

    Args:
        schedule: The plan.
        last_occurrence: ISO instant of the newest occurrence that was started, or None.
        at: The tick's instant.
        zone: The shop's time zone.
        started_at: When the campaign was first applied: earlier occurrences never happened.
        send_by_micros: How long after its planned time a mail may be handed over, that instant included.
    """
    latest = latest_occurrence(schedule, at, zone)
    if latest is None or latest < started_at or at > latest + send_by_micros:
        return None
    if last_occurrence is not None and latest <= parse_iso(last_occurrence):
        return None
    return latest


def latest_occurrence(schedule: ScheduleDefinition, at: Instant, zone: tzinfo) -> Instant | None:
    """The latest planned instant that is not after `at`, or None if there is none yet."""
    today = to_datetime(at).astimezone(zone).date()
    for day in _days_back(schedule, today):
        planned = _instant(day, schedule.at, zone)
        if planned <= at:
            return planned
    return None


def _days_back(schedule: ScheduleDefinition, today: date) -> Iterator[date]:
    """Planned days, newest first, not after tomorrow's eve: two candidates are always enough."""
    if schedule.every == "once":
        if schedule.first_on is not None:
            yield schedule.first_on
        return
    newest = min(today, schedule.until) if schedule.until else today
    if schedule.on is not None:
        newest -= timedelta(days=(newest.weekday() - WEEKDAYS.index(schedule.on)) % 7)
    stride = timedelta(days=7 if schedule.every == "week" else 1)
    for day in (newest, newest - stride):
        if schedule.first_on is None or day >= schedule.first_on:
            yield day


def _instant(day: date, wall: str, zone: tzinfo) -> Instant:
    # fold=0 means: of a time that comes twice the first; a time that is skipped keeps the offset from before the gap.
    return from_datetime(datetime.combine(day, time.fromisoformat(wall), tzinfo=zone))
