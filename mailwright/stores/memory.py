"""Adapters that keep everything in memory: for tests and throw-away projects, held to the same contracts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from mailwright.core.errors import NotFound
from mailwright.core.events import Body, LogRecord
from mailwright.core.instants import Instant
from mailwright.stores.log_records import Packed, checksum, pack, unpack


class MemoryEventLog:
    """The EventLog port in a list. Bodies are kept encoded, so that what comes back is what the file would give."""

    def __init__(self) -> None:
        self._rows: list[tuple[Instant, Packed]] = []
        self._lock = threading.Lock()

    def append(self, bodies: Sequence[Body], now: Instant) -> list[int]:
        """See `mailwright.core.ports.EventLog.append`."""
        packed = [pack(body) for body in bodies]
        with self._lock:
            first = len(self._rows) + 1
            at = Instant(max(self.last()[1], now))
            self._rows.extend((at, body) for body in packed)
            return list(range(first, len(self._rows) + 1))

    def put(self, bodies: Sequence[Body], now: Instant) -> Future[list[int]]:
        """See `mailwright.core.ports.EventLog.put`."""
        done: Future[list[int]] = Future()
        done.set_result(self.append(bodies, now))
        return done

    def read(self, after: int, limit: int) -> list[LogRecord]:
        """See `mailwright.core.ports.EventLog.read`."""
        rows = enumerate(self._rows[max(after, 0) : max(after, 0) + limit], max(after, 0) + 1)
        return [
            unpack(number, at, body.codec, checksum(number, at, body.codec, body.crc), body.data)
            for number, (at, body) in rows
        ]

    def last(self) -> tuple[int, Instant]:
        """See `mailwright.core.ports.EventLog.last`."""
        return (len(self._rows), self._rows[-1][0]) if self._rows else (0, Instant(0))


class MemoryBlobs:
    """The Blobs port in a dict."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """See `mailwright.core.ports.Blobs.put`."""
        name = hashlib.sha256(data).hexdigest()
        self._blobs[name] = data
        return name

    def get(self, name: str) -> bytes:
        """See `mailwright.core.ports.Blobs.get`."""
        if name not in self._blobs:
            raise NotFound("blob.missing", f"there is no blob {name}")
        return self._blobs[name]

    def delete(self, name: str) -> None:
        """See `mailwright.core.ports.Blobs.delete`."""
        self._blobs.pop(name, None)
