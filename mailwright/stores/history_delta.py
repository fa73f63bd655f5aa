"""History as Delta Lake tables in a folder, written by delta-rs and queried by DuckDB.

Each append is one Delta commit that also carries the offset up to which the table is now complete, as the version of
the application transaction ``mailwright``. delta-rs does not refuse a version that it has seen (tried: rows double),
so the one writer refreshes its handle, reads the version, cuts away what is not newer, and commits with that handle.

delta-rs syncs nothing, so a power cut may leave the newest commit torn, or whole beside a torn data file. The writer
syncs each commit's files itself and only then notes the commit's number in the file ``synced`` of the table's folder;
before its first append it takes back a newest commit that is not noted, whose rows the engine then appends again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError, TableNotFoundError

from mailwright.core.errors import Corrupt, InvalidInput, MailwrightError, NotFound, Permanent, Transient
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant, from_datetime
from mailwright.stores.files import file_error, locked_file, make_folder, sync_folder, sync_path, write_durably
from mailwright.stores.history_erasing import ERASED_TABLES, Erased
from mailwright.stores.history_feed import HAS_FEED, oldest_told
from mailwright.stores.history_pieces import FilePiece, pieces_of, rewritten_since
from mailwright.stores.history_queries import Session, Star, run_query, stream_query
from mailwright.stores.history_rewriting import (
    CHANGE,
    DataFile,
    Rewrite,
    commit,
    joined,
    small_runs,
    some,
    tombstones,
    without,
)

_APP = "mailwright"
_SYNCED = "synced"
_FOREVER_MS = 2**62
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class DeltaHistory:
    """The History port over ``FOLDER/<table>``. Any number of readers, one appending process."""

    def __init__(self, folder: Path | str, star: Star | None = None) -> None:
        """Open or make `folder`; queries may name the views of `star`, too."""
        self._star = star or Star()
        self._folder = Path(folder).absolute()
        _refuse_folder(self._folder)
        make_folder(self._folder)
        self._handles: dict[str, deltalake.DeltaTable] = {}
        self._commits: dict[str, tuple[int, int] | None] = {}
        self._lock = threading.RLock()

    def append(self, table: str, rows: pa.Table, upto: Offset) -> None:
        """See `mailwright.core.ports.History.append`.

        The table is made by its first append. Columns that it does not know yet are added to it; columns of it that
        `rows` lacks are null.

        Raises:
            InvalidInput: If the name cannot be a table's, or a row lies above `upto`: it would be cut away later.
            Transient: If the disk is full: nothing was appended.
        """
        path = self._path(table)
        _refuse_rows_above(table, rows, upto)
        with self._writing(table):
            handle = self._fresh(table)
            held = _held(handle)
            if upto <= held:
                return
            newer = rows.filter(pc.greater(rows["offset"], held)).sort_by("offset")
            known = set() if handle is None else set(self._sorted_files(table, handle))
            _write(path, handle, newer, upto)
            self._make_durable(table, known)

    # --- upkeep, by any process, a step at a time: an append waits for one step at most ---

    def compact(self, table: str, now: Instant, *, target_bytes: int = 64 << 20, least: int = 8) -> int:
        """See `mailwright.core.ports.History.compact`."""
        with self._writing(table):
            handle = self._with_feed(table)
            if handle is None:
                return 0
            schema = pa.schema(handle.schema().to_arrow())
            run = small_runs(self._data_files(handle), target_bytes, least)
            if run:
                path = joined(self._path(table), run, schema)
                rewrite = Rewrite("OPTIMIZE", changes_data=False, removed=list(run))
                self._commit(table, handle, rewrite, [path], now)
            return len(run)

    def vacuum(self, table: str, keep_micros: int, now: Instant) -> int:
        """See `mailwright.core.ports.History.vacuum`."""
        with self._writing(table):
            handle = self._fresh(table)
            return 0 if handle is None else self._sweep(table, handle, (now - keep_micros) // 1000)

    def forget_before(self, table: str, column: str, before: Instant, now: Instant) -> int:
        """See `mailwright.core.ports.History.forget_before`."""
        with self._writing(table):
            handle = self._with_feed(table)
            if handle is None:
                return 0
            old = [file for file in self._data_files(handle) if _is_before(file, column, before)]
            if old:
                self._commit(table, handle, Rewrite("DELETE", changes_data=True, removed=old), [], now)
            return len(old)

    def erase(self, identifiers: Collection[str], persons: Collection[Person], now: Instant) -> int:
        """See `mailwright.core.ports.History.erase`."""
        whom = Erased(frozenset(identifiers), frozenset(persons))
        return sum(self._erase(table, whom, now) for table in ERASED_TABLES)

    def versions(self, table: str) -> list[dict[str, Any]]:
        """See `mailwright.core.ports.History.versions`."""
        with self._lock, _Translated(self._path(table)):
            handle = self._fresh(table)
            told = [] if handle is None else handle.history()
        return [
            {"version": each["version"], "at": Instant(each["timestamp"] * 1000), "operation": each["operation"]}
            for each in told
        ]

    def changes(self, table: str, since: int) -> pa.Table:
        """See `mailwright.core.ports.History.changes`."""
        with self._lock, _Translated(self._path(table)):
            handle = self._fresh(table)
            if handle is None or since > handle.version():
                return pa.table({})
            try:
                return pa.table(handle.load_cdf(since).read_all())
            except Exception as error:  # a missing file comes as a bare Exception out of Rust
                if since < (oldest := oldest_told(self._path(table), handle.version())):
                    raise _not_told(table, since, oldest) from error
                raise

    def files(self, table: str, version: int | None = None) -> list[str]:
        """The data files of a version (None: the newest), in offset order: what any reader of Parquet can open.

        Raises:
            NotFound: If there is no such table or version.
        """
        with self._lock, _Translated(self._path(table)):
            handle = self._fresh(table)
            if handle is None:
                raise NotFound("history.table", f"History has no table {table!r}")
            if version is not None:
                handle = deltalake.DeltaTable(self._path(table), version=version)
            return self._sorted_files(table, handle)

    def offset(self, table: str) -> Offset:
        """See `mailwright.core.ports.History.offset`."""
        with self._lock, _Translated(self._path(table)):
            return _held(self._fresh(table))

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, upto: Offset | None = None) -> pa.Table:
        """See `mailwright.core.ports.History.query`.

        Raises:
            InvalidInput: If it is not one SELECT, is wrong, or touches anything but the tables.
        """
        try:
            return run_query(sql, parameters, self._files, self._star, upto)
        except NotFound:  # a file was rewritten between the look and the reading
            return run_query(sql, parameters, self._files, self._star, upto)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """See `mailwright.core.ports.History.session`."""
        asked = Session(self._files, self._star, self.offset)
        try:
            yield asked
        finally:
            asked.close()

    def stream(self, sql: str, batch_rows: int = 65_536, *, upto: Offset | None = None) -> Iterator[pa.RecordBatch]:
        """See `mailwright.core.ports.History.stream`.

        Raises:
            InvalidInput: As `query`.
        """
        return stream_query(sql, self._files, self._star, batch_rows, upto)

    def columns(self, table: str) -> list[str]:
        """See `mailwright.core.ports.History.columns`."""
        found = self._files(table)
        return [] if found is None else list(found[0].names)

    def scan(self, table: str, columns: Sequence[str], upto: Offset) -> Iterator[pa.RecordBatch]:
        """See `mailwright.core.ports.History.scan`.

        Every append is sorted and lies above all before it, so the files one after another are in offset order.

        Raises:
            NotFound: If the table does not exist.
            InvalidInput: If it has no such column.
        """
        found = self._files(table)
        if found is None:
            raise NotFound("history.table", f"History has no table {table!r}")
        schema, files = found
        if unknown := [name for name in columns if name not in schema.names]:
            raise InvalidInput.one(
                "history.column", f"{table} has no column {unknown[0]!r}", hint=f"it has {', '.join(schema.names)}"
            )
        return _batches(schema, files, list(columns), upto)

    def pieces(self, table: str, coded: Sequence[str] = ()) -> Iterator[FilePiece]:
        """See `mailwright.core.ports.History.pieces`: a row group of a file is one."""
        found = self._files(table)
        return iter(()) if found is None else pieces_of(*found, coded)

    def _files(self, table: str) -> tuple[pa.Schema, list[str]] | None:
        """Schema and files, in offset order, of the newest version; None if there is no such table."""
        if not _NAME.fullmatch(table):
            return None
        with self._lock, _Translated(self._path(table)):
            handle = self._fresh(table)
            if handle is None:
                return None
            return pa.schema(handle.schema().to_arrow()), self._sorted_files(table, handle)

    def _sorted_files(self, table: str, handle: deltalake.DeltaTable) -> list[str]:
        return [str(self._path(table) / file.path) for file in self._data_files(handle)]

    def _data_files(self, handle: deltalake.DeltaTable) -> list[DataFile]:
        """In offset order."""
        # Not handle.file_uris(): that gives a folder with a space or an umlaut as it looks in an address.
        actions = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
        found = [DataFile(each["path"], each["size_bytes"], each["min.offset"], each) for each in actions]
        return sorted(found, key=lambda file: file.first)

    @contextmanager
    def _writing(self, table: str) -> Iterator[None]:
        """Hold a table for writing, among all processes; what a writer before left half done is taken back first."""
        path = self._path(table)
        with self._lock, _Translated(path), locked_file(self._folder / f".{table}.lock"):
            self._mend(table)
            yield

    def _with_feed(self, table: str) -> deltalake.DeltaTable | None:
        """The table at its newest version; one that was made without a change feed has one from now on."""
        handle = self._fresh(table)
        if handle is not None and handle.metadata().configuration.get(HAS_FEED) != "true":
            handle.alter.set_table_properties({HAS_FEED: "true"})
            self._make_durable(table, set(self._sorted_files(table, handle)))
            handle = self._fresh(table)
        return handle

    def _commit(
        self, table: str, handle: deltalake.DeltaTable, rewrite: Rewrite, paths: Sequence[Path], now: Instant
    ) -> None:
        plain = [field.name for field in pa.schema(handle.schema().to_arrow()) if _is_plain(field.type)]
        known = set(self._sorted_files(table, handle))
        commit(self._path(table), handle.version() + 1, rewrite, paths, plain, now)
        self._make_durable(table, known | {str(path) for path in paths})

    def _erase(self, table: str, whom: Erased, now: Instant) -> int:
        with self._writing(table):
            handle = self._with_feed(table)
            if handle is None:
                return 0
            folder, schema = self._path(table), pa.schema(handle.schema().to_arrow())
            rewrite, paths, n_rows = Rewrite("DELETE", changes_data=True), [], 0
            for file in self._data_files(handle):
                if not any(
                    pc.any(whom.mask(table, rows)).as_py() for rows in some(folder / file.path, whom.columns(table))
                ):
                    continue
                path, fed = without(folder, file, schema, table, whom)
                rewrite.removed.append(file)
                rewrite.feed.append(fed)
                paths += [path] if path else []
                n_rows += pc.sum(pc.equal(fed[CHANGE], "delete")).as_py()
            if rewrite.removed:
                self._commit(table, handle, rewrite, paths, now)
            # Also where nothing was found: files that are no longer part of the table may still name the person.
            fresh = self._fresh(table)
            assert fresh is not None  # noqa: S101 - it is there, as just read
            self._sweep(table, fresh, _FOREVER_MS)
            return n_rows

    def _sweep(self, table: str, handle: deltalake.DeltaTable, before_ms: int) -> int:
        """Delete data files that no version since an instant has."""
        folder = self._path(table)
        kept = {Path(file).name for file in self._sorted_files(table, handle)}
        kept |= tombstones(folder / "_delta_log", before_ms)
        n_deleted = 0
        for path in folder.glob("*.parquet"):
            if path.name not in kept and path.stat().st_mtime * 1000 < before_ms:
                path.unlink()
                n_deleted += 1
        sync_folder(folder)
        return n_deleted

    def _fresh(self, table: str) -> deltalake.DeltaTable | None:
        """A handle at the newest version, or None for a table that does not exist."""
        handle = self._handles.get(table)
        # Whoever mends takes a commit back, and the next one has its number: a handle that saw the first stays there.
        if handle is not None and self._commits.get(table) == self._commit_file(table, handle.version()):
            handle.update_incremental()
        elif (self._path(table) / "_delta_log").is_dir():
            try:
                handle = self._handles[table] = deltalake.DeltaTable(self._path(table))
            except TableNotFoundError:
                return None
        else:
            return None
        self._commits[table] = self._commit_file(table, handle.version())
        return handle

    def _commit_file(self, table: str, version: int) -> tuple[int, int] | None:
        """What tells the file of a commit from another one of the same number; None if there is none any more."""
        try:
            found = (self._path(table) / "_delta_log" / f"{version:020}.json").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _make_durable(self, table: str, known: set[str]) -> None:
        """Sync what the newest commit wrote: delta-rs leaves that to the operating system."""
        handle = self._fresh(table)
        assert handle is not None  # noqa: S101 - it was just written
        for file in set(self._sorted_files(table, handle)) - known:
            sync_path(Path(file))
        log = self._path(table) / "_delta_log"
        sync_path(log / f"{handle.version():020}.json")
        for folder in (log, log.parent, self._folder):
            sync_folder(folder)
        write_durably(self._path(table) / _SYNCED, str(handle.version()).encode())

    def _mend(self, table: str) -> None:
        """Take back a commit that was not made durable, whichever process was at it: every writer begins with this."""
        log = self._path(table) / "_delta_log"
        note = self._path(table) / _SYNCED
        if note.exists():
            beyond = log / f"{int(note.read_text()) + 1:020}.json"
        else:
            beyond = max(log.glob("?" * 20 + ".json"), default=log / "none")
        if beyond.exists():
            beyond.unlink()
            sync_folder(log)
            self._handles.pop(table, None)

    def _path(self, table: str) -> Path:
        if not _NAME.fullmatch(table):
            raise InvalidInput.one(
                "history.name", f"{table!r} cannot be a table's name", hint="use lower-case letters, digits and _"
            )
        return self._folder / table


def _refuse_folder(folder: Path) -> None:
    # delta-rs turns a path into an address: some of these end the program, some lead to another folder. DuckDB takes a
    # path with others for a pattern.
    wrong = [letter for letter in str(folder) if letter in "[]\\^|%*?" or not letter.isprintable()]
    if wrong:
        raise InvalidInput.one(
            "history.folder", f"{folder} cannot hold History: its name has {wrong[0]!r}", hint="choose another folder"
        )


def _not_told(table: str, since: int, oldest: int) -> NotFound:
    return NotFound(
        "history.changes",
        f"what changed in {table} from version {since} on cannot be told any more: files of versions before {oldest}"
        " are gone, since somebody was erased, old versions were swept, or the feed began only there",
        f"ask from version {oldest} on; whoever follows the changes reads the table anew once, and goes on from there",
    )


def _is_before(file: DataFile, column: str, before: Instant) -> bool:
    newest = file.columns.get(f"max.{column}")
    return newest is not None and from_datetime(newest.replace(tzinfo=newest.tzinfo or UTC)) < before


def _held(handle: deltalake.DeltaTable | None) -> Offset:
    return Offset(0 if handle is None else handle.transaction_version(_APP) or 0)


def _write(path: Path, handle: deltalake.DeltaTable | None, rows: pa.Table, upto: Offset) -> None:
    transaction = deltalake.Transaction(_APP, upto)
    deltalake.write_deltalake(
        path if handle is None else handle,
        rows,
        mode="append",
        schema_mode=None if handle is None else "merge",
        configuration=_configuration(rows.schema) if handle is None else None,
        commit_properties=deltalake.CommitProperties(app_transactions=[transaction]),
    )


def _configuration(schema: pa.Schema) -> dict[str, str | None]:
    # Statistics lie in Delta's own log, which no erasure rewrites: of text they would keep addresses and names there.
    plain = [field.name for field in schema if _is_plain(field.type)]
    return {"delta.dataSkippingStatsColumns": ",".join(plain), HAS_FEED: "true"}


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_floating(kind))


def _refuse_rows_above(table: str, rows: pa.Table, upto: Offset) -> None:
    highest = pc.max(rows["offset"]).as_py()
    if highest is not None and highest > upto:
        raise InvalidInput.one(
            "history.upto", f"a row for {table} has offset {highest}, above {upto}: it would be cut away later"
        )


def _batches(schema: pa.Schema, files: list[str], columns: list[str], upto: Offset) -> Iterator[pa.RecordBatch]:
    for file in files:
        # A file older than a column lacks it; the table's schema fills it with nulls.
        try:
            dataset = ds.dataset([file], schema=schema, format="parquet")
            for batch in dataset.to_batches(columns=columns, filter=pc.field("offset") <= upto):
                if batch.num_rows:
                    yield batch
        except FileNotFoundError:
            raise rewritten_since(file) from None


class _Translated:
    """Tells errors of files and of delta-rs in ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError | DeltaError):
            raise _trouble(self._path, error) from error


def _trouble(path: Path, error: OSError | DeltaError) -> MailwrightError:
    # delta-rs gives the text of the system's error, not its number.
    if "No space left" in str(error):
        return Transient("history.disk_full", f"no space left to write {path}", hint="free space; it then goes on")
    if isinstance(error, FileNotFoundError):
        return Corrupt("history.file", f"a file of {path} is missing: {error}", hint="restore it from a backup")
    if isinstance(error, OSError):
        return file_error(path, error)
    return Permanent("history.error", f"{path} cannot be used: {error}")
