"""The event log in one SQLite file.

One thread per process writes. It takes all appends that wait, stores them in one transaction and answers them
after the one fsync, so a hundred concurrent requests cost one. Between processes SQLite's own lock orders the
transactions. A record is visible to readers only after it is durable.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import cast

import apsw

from mailwright.core.errors import Corrupt, MailwrightError, Permanent, Transient
from mailwright.core.events import Body, LogRecord, encode_body
from mailwright.core.instants import Instant
from mailwright.stores.files import locked_folder
from mailwright.stores.log_records import Packed, checksum, pack_all, unpack
from mailwright.stores.sqlite_version import require_sqlite

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
  number INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT
"""
_INSERT = "INSERT INTO record (number, at, codec, checksum, data) VALUES (?, ?, ?, ?, ?)"
# Several rows in one statement: with each statement apsw gives Python's lock away, and waits to have it back.
_ROWS_AT_ONCE = 8
_INSERT_MANY = _INSERT + ", (?, ?, ?, ?, ?)" * (_ROWS_AT_ONCE - 1)
_LAST = "SELECT number, at FROM record ORDER BY number DESC LIMIT 1"
_READ = "SELECT number, at, codec, checksum, data FROM record WHERE number > ? ORDER BY number LIMIT ?"

# FULL syncs the WAL at every commit; NORMAL would lose acknowledged records in a power cut. A memory-mapped file
# turns a failed read into a crash and lets a stray write reach the file, so mapping stays off.
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "mmap_size = 0",
    "cell_size_check = ON",
    "journal_size_limit = 67108864",
)

# A transaction takes at most this much of what waits, so that the first in the queue is not kept for the last.
_COMMIT_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class _Append:
    bodies: Sequence[bytes]  # encoded; the writer compresses them
    now: int
    n_bytes: int
    done: Future[list[int]]


class SqliteEventLog:
    """The EventLog port over a SQLite file, through apsw.

    Args:
        path: The file; its folder is made if missing.
        busy_timeout_ms: How long an append waits for other processes before it gives up with Transient.
        max_waiting_bytes: Appends beyond this much waiting data (before compression) are refused with Transient, which
            is backpressure.
    """

    def __init__(self, path: Path | str, *, busy_timeout_ms: int = 10_000, max_waiting_bytes: int = 64_000_000) -> None:
        require_sqlite(apsw.sqlite_lib_version(), "apsw")
        self._path = Path(path)
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Append] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._broken: Permanent | None = None
        self._reading = threading.Lock()
        with locked_folder(self._path.parent):
            self._writes = _connect(self._path, busy_timeout_ms)
            self._reads = _connect(self._path, busy_timeout_ms)
        self._thread = threading.Thread(target=self._write_loop, name="log writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> SqliteEventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, bodies: Sequence[Body], now: Instant) -> list[int]:
        """See `mailwright.core.ports.EventLog.append`.

        Raises:
            Transient: Also when too much waits already.
            Permanent: If the disk failed: nothing is acknowledged until the process starts anew, since the
                operating system may have dropped what it could not write.
        """
        return self.put(bodies, now).result()

    def put(self, bodies: Sequence[Body], now: Instant) -> Future[list[int]]:
        """See `mailwright.core.ports.EventLog.put`.

        Raises:
            Permanent: See `append`.
        """
        done: Future[list[int]] = Future()
        done.set_running_or_notify_cancel()  # what is on its way to the disk cannot be called back
        if not bodies:
            done.set_result([])
            return done
        encoded = [encode_body(body) for body in bodies]
        self._enqueue(_Append(encoded, now, sum(map(len, encoded)), done))
        return done

    def read(self, after: int, limit: int) -> list[LogRecord]:
        """See `mailwright.core.ports.EventLog.read`."""
        try:
            with self._reading:
                rows = self._reads.execute(_READ, (after, limit)).fetchall()
        except apsw.Error as error:
            raise _translated(self._path, error) from error
        records = [unpack(*cast(tuple[int, int, int, int, bytes], row)) for row in rows]
        _refuse_gaps(records)
        return records

    def last(self) -> tuple[int, Instant]:
        """See `mailwright.core.ports.EventLog.last`."""
        try:
            with self._reading:
                return _last(self._reads)
        except apsw.Error as error:
            raise _translated(self._path, error) from error

    def close(self) -> None:
        """Store what waits, stop the writer and release the file. A second time does nothing."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._writes.close()
        self._reads.close()

    def _enqueue(self, append: _Append) -> None:
        with self._changed:
            if self._broken:
                raise self._broken
            if self._closing:
                raise Permanent("log.closed", f"the log {self._path} is closed in this process")
            if self._waiting and self._waiting_bytes + append.n_bytes > self._max_waiting_bytes:
                raise Transient(
                    "log.busy",
                    f"{self._waiting_bytes} bytes already wait to be written to {self._path}",
                    "try again later",
                )
            self._waiting.append(append)
            self._waiting_bytes += append.n_bytes
            self._changed.notify()

    def _write_loop(self) -> None:
        while group := self._next_group():
            try:
                numbers = self._commit(group)
            except Exception as error:  # noqa: BLE001 - a dead writer would leave its callers waiting for ever
                self._refuse(group, _translated(self._path, error))
            else:
                for append, given in zip(group, numbers, strict=True):
                    append.done.set_result(given)

    def _next_group(self) -> list[_Append]:
        """The appends of the next transaction; waits for the first; empty when the log closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            group: list[_Append] = []
            n_bytes = 0
            while self._waiting and n_bytes < _COMMIT_BYTES:
                append = self._waiting.popleft()
                n_bytes += append.n_bytes
                group.append(append)
            self._waiting_bytes -= n_bytes
            return group

    def _commit(self, group: list[_Append]) -> list[list[int]]:
        packed = pack_all([body for append in group for body in append.bodies])
        self._writes.execute("BEGIN IMMEDIATE")
        try:
            numbers = self._insert(group, packed)
            self._writes.execute("COMMIT")
        except BaseException:
            if not self._writes.get_autocommit():
                self._writes.execute("ROLLBACK")
            raise
        return numbers

    def _insert(self, group: list[_Append], packed: Sequence[Packed]) -> list[list[int]]:
        number, at = _last(self._writes)
        bodies = iter(packed)
        rows: list[tuple[int, int, int, int, bytes]] = []
        numbers: list[list[int]] = []
        for append in group:
            at = Instant(max(at, append.now))
            numbers.append(list(range(number + 1, number + 1 + len(append.bodies))))
            for body in itertools.islice(bodies, len(append.bodies)):
                number += 1
                rows.append((number, at, body.codec, checksum(number, at, body.codec, body.crc), body.data))
        whole = len(rows) - len(rows) % _ROWS_AT_ONCE
        for start in range(0, whole, _ROWS_AT_ONCE):
            values = tuple(itertools.chain.from_iterable(rows[start : start + _ROWS_AT_ONCE]))
            self._writes.execute(_INSERT_MANY, values)
        self._writes.executemany(_INSERT, rows[whole:])
        return numbers

    def _refuse(self, group: list[_Append], error: MailwrightError) -> None:
        """Answer a failed transaction's appends; a failed disk also ends the log for this process."""
        with self._changed:
            if not isinstance(error, Transient):
                self._broken = Permanent(
                    "log.broken",
                    f"the log stopped after an error: {error.message}",
                    hint="check the disk, then restart",
                )
                group = group + list(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
        for append in group:
            append.done.set_exception(self._broken or error)


def _connect(path: Path, busy_timeout_ms: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(busy_timeout_ms)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute(_SCHEMA)
    except apsw.Error as error:
        raise _translated(path, error) from error
    return connection


def _last(connection: apsw.Connection) -> tuple[int, Instant]:
    number, at = connection.execute(_LAST).fetchone() or (0, 0)
    return number, Instant(at)


def _refuse_gaps(records: list[LogRecord]) -> None:
    """Numbers have no gaps; only before the first record may others be gone, once they are kept elsewhere."""
    for before, record in itertools.pairwise(records):
        if record.number != before.number + 1:
            raise Corrupt("log.gap", f"log records {before.number + 1} to {record.number - 1} are missing")


def _translated(path: Path, error: Exception) -> MailwrightError:
    if isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE:
        return Transient(
            "log.disk_full", f"no space left to write {path}", hint="free space; it then goes on by itself"
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Transient("log.locked", f"{path} stayed locked by another process", hint="try again later")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return Corrupt("log.corrupt", f"{path} is damaged: {error}", hint="restore it from a backup")
    return Permanent("log.error", f"{path} cannot be used: {error}")
