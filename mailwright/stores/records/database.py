"""The database behind Records, and all that differs between SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from pysqlite3 import dbapi2 as pysqlite
from sqlalchemy.dialects import postgresql, sqlite

from mailwright.core.errors import Conflict, Corrupt, MailwrightError, Permanent, Transient
from mailwright.stores.files import locked_folder
from mailwright.stores.sqlite_version import require_sqlite

Row = Mapping[str, Any]
T = TypeVar("T")

_WRITES = "mailwright_writes"
_BUSY_TIMEOUT_MS = 10_000
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"busy_timeout = {_BUSY_TIMEOUT_MS}",
    "mmap_size = 0",
    "foreign_keys = ON",
    "cell_size_check = ON",
)
# Databases bound the number of parameters of a statement (SQLite: 32,766); long lists are asked in parts.
_PART = 5_000


class Database:
    """Connections and transactions, with the database's errors told in ours.

    A read sees one state of the database; a write has the write lock from its first statement on, so what it reads
    is still true when it writes.
    """

    def __init__(self, path_or_url: Path | str) -> None:
        self.name = str(path_or_url)
        # Threads of one process queue here, in order; SQLite's own lock makes waiters sleep and try again.
        self._writing = threading.Lock()
        if "://" in self.name:
            self._engine = sa.create_engine(self.name)
        else:
            self._engine = _sqlite_engine(Path(self.name))
        self._writes = self._engine.execution_options(**{_WRITES: True})
        self.is_sqlite = self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with _translated(self.name), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes: all of it is durable after the block, or none of it if an error leaves it."""
        with self._writing, _translated(self.name), self._writes.begin() as connection:
            yield connection

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows; those whose key exists are left as they are."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), [dict(row) for row in rows])

    def insert_counted(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> int:
        """As `insert_new`; how many rows there were to insert."""
        if not rows:
            return 0
        inserted = self._insert(table).on_conflict_do_nothing().returning(sa.literal(1))
        return len(connection.execute(inserted, [dict(row) for row in rows]).all())

    def insert_once(self, connection: sa.Connection, table: sa.Table, row: Row) -> bool:
        """Insert a row; False if its key exists, also if another process is just inserting it."""
        inserted = self._insert(table).on_conflict_do_nothing().returning(sa.literal(1))
        return connection.execute(inserted, dict(row)).first() is not None

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows; those whose primary key exists are replaced."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        insert = self._insert(table)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), [dict(row) for row in rows])

    def add_up(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Row],
        *,
        add: Sequence[str],
        newest: Sequence[str] = (),
        greatest: Sequence[str] = (),
    ) -> None:
        """Insert rows; of those whose primary key exists, `add` is added to, `newest` replaced, `greatest` kept."""
        if not rows:
            return
        insert = self._insert(table)
        changed = {name: table.c[name] + insert.excluded[name] for name in add}
        changed |= {name: insert.excluded[name] for name in newest}
        for name in greatest:
            new, old = insert.excluded[name], table.c[name]
            changed[name] = sa.case((new > old, new), else_=old)
        keys = [column.name for column in table.primary_key]
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), [dict(row) for row in rows])

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise Conflict("records.exists", f"{name} holds such a row already: {error.orig}") from error
    except sa.exc.DBAPIError as error:
        raise _translate(name, error) from error


def parts(values: Sequence[T]) -> Iterator[list[T]]:
    """The values in lists short enough to be the parameters of one statement."""
    rest = iter(values)
    while part := list(islice(rest, _PART)):
        yield part


def _sqlite_engine(path: Path) -> sa.Engine:
    require_sqlite(pysqlite.sqlite_version, "pysqlite3")
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), module=pysqlite)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    with locked_folder(path.parent), _translated(str(path)), engine.connect():
        return engine  # the first connection has turned a new file to WAL


def _prepare(connection: Any, _record: Any) -> None:
    # Without this the driver opens transactions by itself, and too late: a read followed by a write in a deferred
    # transaction fails at once when another process wrote in between.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_CODES: dict[int, tuple[type[MailwrightError], str, str, str]] = {
    pysqlite.SQLITE_FULL: (Transient, "records.disk_full", "no space left to write", "free space; it then goes on"),
    pysqlite.SQLITE_BUSY: (Transient, "records.locked", "another process keeps locked", "try again later"),
    pysqlite.SQLITE_LOCKED: (Transient, "records.locked", "another connection keeps locked", "try again later"),
    pysqlite.SQLITE_CORRUPT: (Corrupt, "records.corrupt", "damaged is", "restore it from a backup"),
    pysqlite.SQLITE_NOTADB: (Corrupt, "records.corrupt", "not a database is", "restore it from a backup"),
}


def _translate(name: str, error: sa.exc.DBAPIError) -> MailwrightError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in _CODES:
        kind, dotted, what, hint = _CODES[code]
        return kind(dotted, f"{what} {name}: {error.orig}", hint)
    if error.connection_invalidated:
        return Transient("records.unreachable", f"the connection to {name} broke: {error.orig}", "try again later")
    return Permanent("records.error", f"{name} cannot be used: {error.orig}")
