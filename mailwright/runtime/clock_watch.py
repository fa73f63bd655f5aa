"""Notices that the machine's clock has jumped, and says so to every process until somebody confirms it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mailwright.core.facts import ClockParted
from mailwright.core.instants import MINUTE, SECOND, Instant
from mailwright.core.ports import MetaRecords

KEY = "clock.parted"
LIMIT = MINUTE
"""Wall and monotonic clock may part by so many microseconds: less is a correction, more is a jump."""

_LOOK_EVERY = SECOND


def parted(meta: MetaRecords) -> ClockParted | None:
    """The jump that waits to be confirmed, if there is one."""
    text = meta.get(KEY)
    return msgspec.json.decode(text, type=ClockParted) if text else None


def confirm(meta: MetaRecords) -> ClockParted | None:
    """The machine's clock is right as it is now: everything goes on. The jump that had waited, if there was one."""
    found = parted(meta)
    if found:
        meta.put(KEY, "")
    return found


class ClockWatch:
    """Compares the wall clock with one that never jumps, once a second."""

    def __init__(self, meta: MetaRecords, wall: Callable[[], Instant], steady: Callable[[], int]) -> None:
        """Begin to watch.

        Args:
            meta: Where a jump is kept until it is confirmed, also across a restart.
            wall: The machine's time as it says it.
            steady: Microseconds on a clock that never jumps.
        """
        self._meta = meta
        self._wall = wall
        self._steady = steady
        self._parted = parted(meta)
        self._begin()

    def _begin(self) -> None:
        self._looked_at = self._steady()
        self._wall_ahead = self._wall() - self._looked_at

    def compare(self, last_at: Instant) -> None:
        """At a start: the log may hold nothing later than now, or the clock jumped while nobody watched."""
        behind = last_at - self._wall()
        if behind > LIMIT and self._parted is None:
            self._tell(-behind)

    def look(self) -> ClockParted | None:
        """The jump that waits to be confirmed; None while all is well. Cheap: looks at most once a second."""
        now = self._steady()
        if now - self._looked_at < _LOOK_EVERY:
            return self._parted
        self._looked_at = now
        before, self._parted = self._parted, parted(self._meta)
        if before is not None and self._parted is None:  # confirmed: what the clock says now is the measure
            self._begin()
        by = self._wall() - now - self._wall_ahead
        if self._parted is None and abs(by) > LIMIT:
            self._tell(by)
        return self._parted

    def _tell(self, by: int) -> None:
        self._parted = ClockParted(wall_at=self._wall(), parted_micros=by)
        self._meta.put(KEY, msgspec.json.encode(self._parted).decode())
