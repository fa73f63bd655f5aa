"""The two clocks of a project. The only module that asks the machine for the time."""

from __future__ import annotations

import time

from mailwright.core.instants import Instant
from mailwright.core.ports import EngineReads, EventLog


class SystemClock:
    """The machine's clock; it never steps back within one process."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> Instant:
        """The machine's time, or the last answer if the machine's clock was set back."""
        self._last = max(self._last, time.time_ns() // 1000)
        return Instant(self._last)


class VirtualClock:
    """Stands still at the newest log record's instant; its driver moves it by appending to the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def now(self) -> Instant:
        """The instant of the newest record."""
        return self._log.last()[1]


class TickClock:
    """Stands at the newest tick whose effects are written. On a virtual clock jobs live by it, and find what it did."""

    def __init__(self, engine: EngineReads) -> None:
        self._engine = engine

    def now(self) -> Instant:
        """The instant of that tick; 0 before the first.

        Raises:
            Transient: If the engine does not answer.
        """
        return self._engine.status().ticked_at or Instant(0)


def machine_wall() -> Instant:
    """The machine's time as it says it, steps back included."""
    return Instant(time.time_ns() // 1000)


def machine_steady() -> int:
    """Microseconds since some moment, sleep of the machine included, whatever is done to its clock."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
