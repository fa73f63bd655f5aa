"""Readers of what depends on the calendar and the clock on the wall, in each person's zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, tzinfo
from typing import Any, Literal

import numpy as np

from mailwright.core.instants import MINUTE
from mailwright.rules import days
from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import FOREVER, Cells, Loose, Whole
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.leaves import period_end
from mailwright.rules.fold.rows import Ints
from mailwright.rules.values import as_date, as_instant, local_date

_QUARTER = 15 * MINUTE  # every zone in use is a multiple of it from UTC, so no local hour begins between two


def age(birthday: Reader) -> Reader:
    """Whole years."""
    return _today(birthday, days.age_on, None)


def anniversary(node: s.Anniversary, of: Reader) -> Reader:
    """Whether an anniversary is near."""
    return _today(of, lambda day, today: days.anniversary_near(day, today, node.direction, node.days), False)


def _today(value: Reader, asks: Callable[[date, date], Any], of_none: Any) -> Reader:
    """A function of a day and today; holds until midnight."""

    def read(frame: Frame) -> Cells:
        cells = value(frame)
        zones, back = frame.zones()
        today = [local_date(frame.t, zone) for zone in zones]
        found = _dates(cells, frame)
        pairs = zip(found, back.tolist(), strict=True)
        results = [of_none if day is None else asks(day, today[place]) for day, place in pairs]
        known = np.array([day is not None for day in found], dtype=bool)
        return Loose(results, np.minimum(cells.until, np.where(known, _midnight(frame), FOREVER)))

    return read


def _dates(cells: Cells, frame: Frame) -> list[date | None]:
    return [as_date(value, zone) for value, zone in zip(cells.values(), frame.zone_each(), strict=True)]


def _midnight(frame: Frame) -> Ints:
    return frame.by_zone(lambda zone: period_end("day", frame.t, zone))


def as_time(kind: Literal["date", "instant"], of: Reader) -> Reader:
    """Text read as a day or an instant."""

    def read(frame: Frame) -> Cells:
        cells = of(frame)
        found = _dates(cells, frame) if kind == "date" else [as_instant(value) for value in cells.values()]
        return Loose(found, cells.until)

    return read


def local_time(part: Literal["hour", "weekday"]) -> Reader:
    """What the clock on the wall shows."""

    def read(frame: Frame) -> Cells:
        def shown(zone: tzinfo) -> int:
            return days.local_hour(frame.t, zone) if part == "hour" else days.local_weekday(frame.t, zone)

        quarter = np.full(len(frame), (frame.t // _QUARTER + 1) * _QUARTER)
        until = quarter if part == "hour" else _midnight(frame)
        return Whole(frame.by_zone(shown), np.ones(len(frame), dtype=bool), "whole", until)

    return read
