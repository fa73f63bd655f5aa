"""When something that runs again and again is due: every so often, or at a time of day, of the week or of the month."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

import msgspec

from mailwright.core.durations import duration_micros, duration_text
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import SECOND, Instant, from_datetime, to_datetime
from mailwright.core.zones import zone_named

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST_DAY_OF_ALL_MONTHS = 28
_LONGEST_DAYS = 35  # until the same day of a month comes again, and a few

_DAY_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class Schedule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When something is due. Say `every` or `daily_at`, one of them.

    Attributes:
        every: How often, at least a second (``1 hour``); counted from 1970, so that a restart moves nothing.
        daily_at: At what time of day (``06:30``), in `time_zone`.
        on: With `daily_at` only on this day: of the week (``monday``) or of the month (1 to 28).
        time_zone: IANA name; without, the shop's.
    """

    every: str | None = None
    daily_at: str | None = None
    on: str | int | None = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.daily_at is None):
            raise ValueError("say `every` or `daily_at`, one of them")
        if self.daily_at is not None and not _DAY_TIME.fullmatch(self.daily_at):
            raise ValueError(f"`daily_at` is a time of day such as 06:30, not {self.daily_at!r}")
        if self.on is not None:
            _check_on(self.on, self.daily_at)
        if self.time_zone is not None and zone_named(self.time_zone) is None:
            raise ValueError(f"{self.time_zone!r} is no time zone; write it like Europe/Berlin")
        if self.every is not None and self.every_micros < SECOND:
            raise ValueError("`every` is at least 1 second")

    @property
    def every_micros(self) -> int:
        """The length of `every`; 0 without one."""
        try:
            return duration_micros(self.every) if self.every else 0
        except InvalidInput as error:
            raise ValueError(error.issues[0].message) from None

    def planned(self, at: Instant, shop: tzinfo) -> Instant:
        """The newest planned time at or before `at`; a time of day that the clocks skip is planned an hour later."""
        if self.daily_at is None:
            return Instant(at - at % self.every_micros)
        day = self._day_of(at, shop, self.daily_at)
        while from_datetime(day) > at or not self._is_on(day):
            day -= timedelta(days=1)
        return from_datetime(day)

    def following(self, at: Instant, shop: tzinfo) -> Instant:
        """The first planned time after `at`."""
        if self.daily_at is None:
            return Instant(self.planned(at, shop) + self.every_micros)
        # A day of the calendar has 23 to 25 hours, and what the clocks skip may be of the day before.
        day = self._day_of(at, shop, self.daily_at) - timedelta(days=1)
        for _ in range(_LONGEST_DAYS):
            if from_datetime(day) > at and self._is_on(day):
                return from_datetime(day)
            day += timedelta(days=1)
        raise AssertionError("every month has a day of each number up to 28")

    def _day_of(self, at: Instant, shop: tzinfo, daily_at: str) -> datetime:
        """The time of day `daily_at` on the local day of an instant; a day more or less keeps the time of day."""
        hour, minute = map(int, daily_at.split(":"))
        local = to_datetime(at).astimezone(zone_named(self.time_zone) or shop)
        return local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)

    def _is_on(self, day: datetime) -> bool:
        return self.on is None or self.on in (day.day, WEEKDAYS[day.weekday()])

    def __str__(self) -> str:
        if self.daily_at is None:
            return f"every {duration_text(self.every_micros).removeprefix('1 ')}"
        day = {str: f"on {self.on}s ", int: f"on day {self.on} of the month "}.get(type(self.on), "daily ")
        return f"{day}at {self.daily_at}" + (f" ({self.time_zone})" if self.time_zone else "")


def _check_on(on: str | int, daily_at: str | None) -> None:
    if daily_at is None:
        raise ValueError("`on` goes with `daily_at`")
    if on not in WEEKDAYS and not (isinstance(on, int) and 1 <= on <= LAST_DAY_OF_ALL_MONTHS):
        raise ValueError(f"`on` is a weekday such as monday or a day of the month from 1 to 28, not {on!r}")
