"""Where budgets and breakers are kept: in memory, or in a folder that the processes of an installation share."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

_log = logging.getLogger(__name__)


class ServiceState(msgspec.Struct, kw_only=True):
    """What is known of one service. Instants are of the machine's clock; 0: never.

    Attributes:
        asked: When it was asked within the last minute: packed 64-bit instants, oldest first.
        failures: In a row.
        pause: Microseconds of the next pause; 0: of the first.
        until: It is left alone until then, and after that until a question went well.
        probe_until: Until then one question is out that decides whether the pause is over; its process may die.
        why: Of the last failure.
    """

    asked: bytes = b""
    failures: int = 0
    pause: int = 0
    until: int = 0
    probe_until: int = 0
    why: str = ""

    def asked_since(self, start: int, end: int) -> array[int]:
        """When it was asked after `start`, and not after `end`: later ones are of a clock that was set back since."""
        times = array("q", self.asked)
        if times and start < times[0] and times[-1] <= end:
            return times
        return array("q", [each for each in times if start < each <= end])


class ServiceStates(Protocol):
    """Keeps the states by service name."""

    def change(self, name: str) -> AbstractContextManager[ServiceState]:
        """The state of a service, for one at a time; what is changed in it is kept at the end of the block.

        Raises:
            OSError: If it cannot be kept.
        """
        ...


class StatesInMemory:
    """For one process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, ServiceState] = {}

    @contextmanager
    def change(self, name: str) -> Iterator[ServiceState]:
        """See `ServiceStates.change`."""
        with self._lock:
            yield self._states.setdefault(name, ServiceState())


class StatesInFolder:
    """A small file for each service, locked while it is read and written. Nothing waits for the disk.

    A file that cannot be read, as after a power cut, counts as none: the budget of one minute is then spent anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def change(self, name: str) -> Iterator[ServiceState]:
        """See `ServiceStates.change`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # given back by close, and by the death of the process
            before = os.pread(handle, os.fstat(handle).st_size, 0)
            state = _read(before, name)
            yield state
            after = msgspec.msgpack.encode(state)
            if after != before:
                os.pwrite(handle, after, 0)
                os.ftruncate(handle, len(after))
        finally:
            os.close(handle)


def _read(data: bytes, name: str) -> ServiceState:
    if not data:
        return ServiceState()
    try:
        state = msgspec.msgpack.decode(data, type=ServiceState)
        array("q", state.asked)
    except (msgspec.MsgspecError, ValueError):
        _log.warning("what was known of the service %s cannot be read; it begins anew", name)
        return ServiceState()
    return state
