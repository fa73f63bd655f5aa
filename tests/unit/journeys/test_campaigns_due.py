from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.instants import DAY, HOUR, MINUTE, Instant, format_iso, parse_iso
from mailwright.journeys.campaigns import due_occurrence
from mailwright.journeys.definitions import ScheduleDefinition

NEW_YORK = ZoneInfo("America/New_York")
START = parse_iso("2017-01-01T00:00:00Z")

WEEKLY = ScheduleDefinition(every="week", on="monday", at="09:00")
DAILY = ScheduleDefinition(every="day", at="02:30")


def due(
    schedule: ScheduleDefinition, at: str, last: str | None = None, *, start: Instant = START, send_by: int = 12 * HOUR
) -> str | None:
    found = due_occurrence(schedule, last, parse_iso(at), NEW_YORK, start, send_by)
    return None if found is None else format_iso(found)


@pytest.mark.parametrize(
    ("at", "last", "expected"),
    [
        ("2017-12-04T13:59:59Z", None, None),  # a second before Monday 09:00 in New York, last week's is long past
        ("2017-12-04T14:00:00Z", None, "2017-12-04T14:00:00Z"),
        ("2017-12-04T15:00:00Z", "2017-12-04T14:00:00Z", None),  # already started
        ("2017-12-05T02:00:00Z", None, "2017-12-04T14:00:00Z"),  # missed by exactly send_by: still in time
        ("2017-12-05T02:00:01Z", None, None),  # a second later nothing of it may be sent
        ("2017-12-11T14:00:00Z", "2017-11-20T14:00:00Z", "2017-12-11T14:00:00Z"),  # two missed: only the latest
    ],
)
def test_weekly(at: str, last: str | None, expected: str | None) -> None:
    assert due(WEEKLY, at, last) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # 2017-03-12 the clocks went from 02:00 EST to 03:00 EDT: 02:30 is taken as 03:30 EDT
        ("2017-03-11T07:30:00Z", "2017-03-11T07:30:00Z"),
        ("2017-03-12T07:30:00Z", "2017-03-12T07:30:00Z"),
        ("2017-03-13T06:30:00Z", "2017-03-13T06:30:00Z"),
        # 2017-11-05 01:00-02:00 came twice; 02:30 is once, in EST
        ("2017-11-05T07:30:00Z", "2017-11-05T07:30:00Z"),
    ],
)
def test_daily_over_the_change_of_the_clocks(at: str, expected: str) -> None:
    assert due(DAILY, at) == expected


def test_a_time_that_comes_twice_is_taken_once_the_first() -> None:
    twice = ScheduleDefinition(every="day", at="01:30")
    assert due(twice, "2017-11-05T05:30:00Z") == "2017-11-05T05:30:00Z"
    assert due(twice, "2017-11-05T06:30:00Z", "2017-11-05T05:30:00Z") is None


def test_once_takes_place_on_its_day_only() -> None:
    once = msgspec.convert({"every": "once", "at": "09:00", "from": "2017-12-06"}, ScheduleDefinition)
    assert due(once, "2017-12-06T13:00:00Z") is None
    assert due(once, "2017-12-06T14:00:00Z") == "2017-12-06T14:00:00Z"
    assert due(once, "2017-12-06T15:00:00Z", "2017-12-06T14:00:00Z") is None


def test_from_and_until_are_both_included() -> None:
    limited = msgspec.convert(
        {"every": "day", "at": "09:00", "from": "2017-12-04", "until": "2017-12-05"}, ScheduleDefinition
    )
    found = [due(limited, f"2017-12-0{day}T14:00:00Z") for day in (3, 4, 5, 6)]
    assert found == [None, "2017-12-04T14:00:00Z", "2017-12-05T14:00:00Z", None]


def test_what_was_planned_before_the_campaign_existed_never_happens() -> None:
    start = parse_iso("2017-12-04T14:00:01Z")
    assert due(WEEKLY, "2017-12-04T15:00:00Z", start=start) is None
    assert due(WEEKLY, "2017-12-11T14:00:00Z", start=start) == "2017-12-11T14:00:00Z"


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.sampled_from(["00:30", "01:30", "02:30", "09:00"]))
@settings(max_examples=100, deadline=None)
def test_ticks_at_any_distance_start_each_day_at_most_once(gaps_h: list[int], wall: str) -> None:
    schedule = ScheduleDefinition(every="day", at=wall)
    at, last, days = parse_iso("2017-02-20T00:00:00Z"), None, []
    for gap in gaps_h:
        at = Instant(at + gap * 15 * MINUTE)
        found = due_occurrence(schedule, last, at, NEW_YORK, START, DAY)
        if found is not None:
            assert found <= at <= found + DAY
            assert last is None or found > parse_iso(last)
            last = format_iso(found)
            days.append(last[:10])
    assert len(days) == len(set(days))


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"every": "week", "at": "09:00"}, "weekly"),
        ({"every": "day", "on": "monday", "at": "09:00"}, "weekly"),
        ({"every": "once", "at": "09:00"}, "needs 'from'"),
        ({"every": "day", "at": "24:00"}, "at"),
        ({"every": "day", "at": "09:00", "from": "2017-02-02", "until": "2017-02-01"}, "before"),
        ({"every": "day", "at": "09:00", "untill": "2017-02-01"}, "untill"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plain: dict[str, str], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(plain, ScheduleDefinition)
