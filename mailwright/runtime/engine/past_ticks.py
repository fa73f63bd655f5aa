"""Ticks of the past, read a stretch at a time: there are far more of them than anybody's life touches."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mailwright.core.events import Offset
from mailwright.core.instants import Instant
from mailwright.rules.fold.rows import Ints

_HELD = 4  # stretches in memory: what came next and what falls due next may lie apart


class TickThen(NamedTuple):
    """An evaluation: what counts at it has a lower offset."""

    offset: Offset
    at: Instant


class Stretch(NamedTuple):
    """Some ticks that follow one another: the last one's offset and instant, and how all are read, in order."""

    last: TickThen
    read: Callable[[], tuple[Ints, Ints]]


class PastTicks:
    """Every tick before an offset, by offset and by instant, both ascending."""

    def __init__(self, stretches: Sequence[Stretch], before: Offset) -> None:
        """Take stretches in order; they may reach past `before`."""
        self._stretches = stretches
        self._before = before
        self._offsets = [each.last.offset for each in stretches]
        self._instants = [each.last.at for each in stretches]
        self._read = lru_cache(maxsize=_HELD)(lambda place: stretches[place].read())

    def until(self, before: Offset) -> PastTicks:
        """Those of them before another offset."""
        return PastTicks(self._stretches, min(before, self._before))

    def after(self, offset: Offset) -> TickThen | None:
        """The first tick with a higher offset."""
        place = bisect_right(self._offsets, offset)
        if place == len(self._offsets):
            return None
        return self._tick(place, int(np.searchsorted(self._read(place)[0], offset, side="right")))

    def reaching(self, at: Instant) -> TickThen | None:
        """The first tick at or after an instant."""
        place = bisect_left(self._instants, at)
        if place == len(self._instants):
            return None
        return self._tick(place, int(np.searchsorted(self._read(place)[1], at)))

    def last(self) -> TickThen | None:
        """The last one of all."""
        place = bisect_left(self._offsets, self._before)
        if place < len(self._offsets):
            n = int(np.searchsorted(self._read(place)[0], self._before))
            if n:
                return self._tick(place, n - 1)
        return self._stretches[place - 1].last if place else None

    def _tick(self, place: int, row: int) -> TickThen | None:
        offsets, instants = self._read(place)
        found = TickThen(Offset(int(offsets[row])), Instant(int(instants[row])))
        return found if found.offset < self._before else None
