"""Imports give way: what happens now is never kept waiting by what happened before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from mailwright.core.errors import Transient
from mailwright.core.events import PLACES
from mailwright.core.ports import EngineReads, EventLog

CHUNK_ITEMS = 500
"""Rows of one log record of an import: an event behind it waits some milliseconds, not a file's length."""

MAX_BEHIND = 64
"""Records that the engine may be behind the log while an import goes on."""

_IN_FLIGHT = 2  # an import's own records that the engine has not folded yet
_PAUSE_S = 0.005


def behind(log: EventLog, engine: EngineReads) -> int:
    """How many records of the log the engine has not folded yet; 0 if no engine runs, for then nobody waits.

    Raises:
        Transient: If an engine runs but does not answer: it is reading its log again.
    """
    try:
        folded = engine.status().offset // PLACES
    except Transient as error:
        if error.code == "engine.unreachable":
            return 0
        raise
    return max(log.last()[0] - folded, 0)


class Turns:
    """Tells an import when it may append its next record. `pause` sleeps, in seconds."""

    def __init__(self, log: EventLog, engine: EngineReads, pause: Callable[[float], None] = time.sleep) -> None:
        self._log = log
        self._engine = engine
        self._pause = pause
        self._sent: deque[int] = deque(maxlen=_IN_FLIGHT)

    def wait(self) -> None:
        """Return when the engine keeps up with the log and has folded all but the newest record of this import."""
        while not self._is_free():
            self._pause(_PAUSE_S)

    def sent(self, number: int) -> None:
        """Record `number` was appended."""
        self._sent.append(number)

    def _is_free(self) -> bool:
        try:
            n_behind = behind(self._log, self._engine)
        except Transient:
            return False
        oldest = self._sent[0] if len(self._sent) == _IN_FLIGHT else 0
        return n_behind <= MAX_BEHIND and oldest <= self._log.last()[0] - n_behind
