"""When something is due: every so often, at a time of day, on a day of the week or month."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest

from mailwright.core.instants import format_iso, parse_iso
from mailwright.core.schedules import Schedule

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("schedule", "at", "planned"),
    [
        (Schedule(every="1 hour"), "2026-11-22T10:59:59.999999Z", "2026-11-22T10:00:00Z"),
        (Schedule(every="1 hour"), "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z"),
        (Schedule(every="1 second"), "2026-11-22T11:00:00.999999Z", "2026-11-22T11:00:00Z"),
        (Schedule(daily_at="06:30"), "2026-11-22T05:30:00Z", "2026-11-22T05:30:00Z"),
        (Schedule(daily_at="06:30"), "2026-11-22T05:29:59Z", "2026-11-21T05:30:00Z"),
        (Schedule(daily_at="06:30", time_zone="UTC"), "2026-11-22T06:29:59Z", "2026-11-21T06:30:00Z"),
        # A Sunday, and the Monday that begins it all again.
        (Schedule(daily_at="06:30", on="monday"), "2026-11-22T10:00:00Z", "2026-11-16T05:30:00Z"),
        (Schedule(daily_at="06:30", on="monday"), "2026-11-23T05:30:00Z", "2026-11-23T05:30:00Z"),
        (Schedule(daily_at="06:30", on=1), "2026-11-22T10:00:00Z", "2026-11-01T05:30:00Z"),
        (Schedule(daily_at="06:30", on=28), "2026-03-01T10:00:00Z", "2026-02-28T05:30:00Z"),
        # 2:30 does not exist on the day that the clocks go forwards, and exists twice when they go back.
        (Schedule(daily_at="02:30"), "2026-03-29T12:00:00Z", "2026-03-29T01:30:00Z"),
        (Schedule(daily_at="02:30"), "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z"),
    ],
)
def test_the_newest_planned_time(schedule: Schedule, at: str, planned: str) -> None:
    assert format_iso(schedule.planned(parse_iso(at), BERLIN)) == format_iso(parse_iso(planned))


@pytest.mark.parametrize(
    ("schedule", "at", "following"),
    [
        (Schedule(every="1 hour"), "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z"),
        (Schedule(daily_at="06:30"), "2026-11-22T05:29:59Z", "2026-11-22T05:30:00Z"),
        (Schedule(daily_at="06:30"), "2026-11-22T05:30:00Z", "2026-11-23T05:30:00Z"),
        (Schedule(daily_at="06:30", on="monday"), "2026-11-23T05:30:00Z", "2026-11-30T05:30:00Z"),
        (Schedule(daily_at="06:30", on=28), "2026-01-28T05:30:00Z", "2026-02-28T05:30:00Z"),
        # One that the clocks skip is an hour later; the day on which they go back has 25 hours.
        (Schedule(daily_at="02:30"), "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        (Schedule(daily_at="02:30"), "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        # A day later by the clock is not 24 hours later where the clocks change in between.
        (Schedule(daily_at="03:20"), "2026-03-28T02:10:00Z", "2026-03-28T02:20:00Z"),
        (Schedule(daily_at="03:20"), "2026-03-28T02:20:00Z", "2026-03-29T01:20:00Z"),
        (Schedule(daily_at="23:50"), "2026-10-24T21:50:00Z", "2026-10-25T22:50:00Z"),
        # In Havana the clocks skip the first hour of this day.
        (Schedule(daily_at="00:30", time_zone="America/Havana"), "2026-03-08T05:10:00Z", "2026-03-08T05:30:00Z"),
        (Schedule(daily_at="00:30", time_zone="America/Havana"), "2026-03-08T05:30:00Z", "2026-03-09T04:30:00Z"),
    ],
)
def test_the_next_planned_time(schedule: Schedule, at: str, following: str) -> None:
    assert format_iso(schedule.following(parse_iso(at), BERLIN)) == following


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "say `every` or `daily_at`"),
        ('{"every": "1 hour", "daily_at": "06:30"}', "say `every` or `daily_at`"),
        ('{"every": "soon"}', "'soon' is not a duration"),
        ('{"daily_at": "24:00"}', "`daily_at` is a time of day"),
        ('{"every": "1 hour", "on": 1}', "`on` goes with `daily_at`"),
        ('{"daily_at": "06:30", "on": 29}', "`on` is a weekday"),
        ('{"daily_at": "06:30", "on": 0}', "`on` is a weekday"),
        ('{"daily_at": "06:30", "on": "someday"}', "`on` is a weekday"),
        ('{"daily_at": "06:30", "time_zone": "Europe/Nowhere"}', "is no time zone"),
    ],
)
def test_what_is_no_schedule(text: str, fault: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=fault):
        msgspec.json.decode(text, type=Schedule)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(every="60 minutes"), "every hour"),
        (Schedule(daily_at="06:30"), "daily at 06:30"),
        (Schedule(daily_at="06:30", on="monday", time_zone="UTC"), "on mondays at 06:30 (UTC)"),
        (Schedule(daily_at="06:30", on=1), "on day 1 of the month at 06:30"),
    ],
)
def test_in_words(schedule: Schedule, words: str) -> None:
    assert str(schedule) == words
