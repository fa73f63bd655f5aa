"""Rewriting files of a History table: joined, without some rows, or gone; and the Delta commit that says so.

delta-rs could do all this itself, but it joins files by size, not by place, and puts what is left of several files into
one: rows would lose their order by offset, which readers rely on. So new files are written here, one after another in
the order of the old ones, and the commit is written as the Delta protocol describes it.

A commit is whole or not there: its data files are synced first, then its own file is written beside the log, synced,
and linked to its name, which fails if another writer was quicker.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mailwright.core.errors import Conflict
from mailwright.core.instants import Instant, to_datetime
from mailwright.stores.files import sync_folder, sync_path
from mailwright.stores.history_erasing import Erased

GROUP_ROWS = 65_536
"""Rows of a row group: about those of one chunk of the engine, so that joined files are read in like pieces."""

FEED = "_change_data"
CHANGE = "_change_type"

_json = msgspec.json.Encoder()


class DataFile(NamedTuple):
    """A file of the table.

    Attributes:
        path: Below the table's folder.
        first: Lowest offset in it.
        columns: Every statistic that Delta's log has of it, such as ``max.recorded_at``.
    """

    path: str
    size_bytes: int
    first: int
    columns: Mapping[str, Any]


@dataclass(slots=True)
class Rewrite:
    """What one commit changes.

    Attributes:
        kind: Name of the operation in the table's history.
        changes_data: False if the rows stay the same ones.
        removed: Files that are no longer part of the table.
        added: Files that are from now on.
        feed: Rows of the change feed, where they are not those of the files themselves.
    """

    kind: str
    changes_data: bool
    removed: list[DataFile] = field(default_factory=list)
    added: list[pa.Table | Path] = field(default_factory=list)
    feed: list[pa.Table] = field(default_factory=list)


class Writer:
    """Writes one new file, row group by row group."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.path = folder / f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
        self._schema = schema
        self._writer = pq.ParquetWriter(self.path, schema, compression="snappy")
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append rows."""
        if rows.num_rows:
            self._waiting.append(rows)
            self._rows += rows.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> Path:
        """End the file and sync it."""
        self._flush()
        self._writer.close()
        sync_path(self.path)
        return self.path

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=GROUP_ROWS)
        self._waiting, self._rows = [], 0


def read_whole(file: Path, schema: pa.Schema) -> Iterable[pa.Table]:
    """The rows of a file, row group by row group, with the table's present columns: those that it lacks are null."""
    with pq.ParquetFile(file, memory_map=True, pre_buffer=False) as opened:
        for group in range(opened.metadata.num_row_groups):
            rows = opened.read_row_group(group)
            there = set(rows.column_names)
            columns = [
                rows[name].cast(schema.field(name).type)
                if name in there
                else pa.nulls(rows.num_rows, schema.field(name).type)
                for name in schema.names
            ]
            yield pa.table(columns, schema=schema)


def joined(folder: Path, files: Sequence[DataFile], schema: pa.Schema) -> Path:
    """One new file with the rows of several, which follow one another."""
    writer = Writer(folder, schema)
    for file in files:
        for rows in read_whole(folder / file.path, schema):
            writer.add(rows)
    return writer.close()


def some(file: Path, columns: Sequence[str]) -> Iterable[pa.Table]:
    """These columns of a file, row group by row group."""
    with pq.ParquetFile(file, memory_map=True, pre_buffer=False) as opened:
        for group in range(opened.metadata.num_row_groups):
            yield opened.read_row_group(group, columns=list(columns))


def without(folder: Path, file: DataFile, schema: pa.Schema, table: str, whom: Erased) -> tuple[Path | None, pa.Table]:
    """A new file without a person, and the rows of the change feed; no file if nothing is left.

    The feed tells the offset of a row that is gone and nothing else of it: else it would keep what is to be erased.
    """
    writer = Writer(folder, schema)
    fed_schema = schema.append(pa.field(CHANGE, pa.string()))
    fed: list[pa.Table] = []
    n_rows = 0
    for rows in read_whole(folder / file.path, schema):
        found = pc.fill_null(whom.mask(table, rows), False)
        theirs = rows.filter(found)
        instead = whom.left(table, theirs) if theirs.num_rows else None
        fed.append(_changed(theirs.select(["offset"]), "delete", fed_schema))
        left = rows.filter(pc.invert(found))
        if instead is not None:
            fed.append(_changed(instead, "insert", fed_schema))
            left = pa.concat_tables([left, instead]).sort_by("offset")
        n_rows += left.num_rows
        writer.add(left)
    path: Path | None = writer.close()
    if not n_rows:
        writer.path.unlink()
        path = None
    return path, pa.concat_tables(fed)


def _changed(rows: pa.Table, what: str, schema: pa.Schema) -> pa.Table:
    n = rows.num_rows
    columns = {CHANGE: pa.array([what] * n, pa.string())} | {name: rows[name] for name in rows.column_names}
    return pa.table([columns.get(each.name, pa.nulls(n, each.type)) for each in schema], schema=schema)


def commit(
    folder: Path, version: int, rewrite: Rewrite, paths: Sequence[Path], plain: Sequence[str], now: Instant
) -> None:
    """Write commit number `version` and everything that it names, durably.

    Args:
        folder: Of the table.
        version: The one after the newest.
        rewrite: What changes; its `added` are taken from `paths`.
        paths: New data files, synced.
        plain: Columns of which the log keeps statistics.
        now: Noted in the commit.

    Raises:
        Conflict: If that commit is there already.
    """
    at = now // 1000
    actions: list[dict[str, Any]] = [
        {
            "commitInfo": {
                "timestamp": at,
                "operation": rewrite.kind,
                "operationParameters": {},
                "engineInfo": "mailwright",
            }
        }
    ]
    for file in rewrite.removed:
        gone = {"path": file.path, "deletionTimestamp": at, "dataChange": rewrite.changes_data, "partitionValues": {}}
        actions.append({"remove": {**gone, "extendedFileMetadata": True, "size": file.size_bytes}})
    for path in paths:
        actions.append({"add": _added(path, at, rewrite.changes_data, plain)})
    for rows in rewrite.feed:
        actions.append({"cdc": _fed(folder, rows)})
    sync_folder(folder)
    _link(folder / "_delta_log", version, b"".join(_json.encode(action) + b"\n" for action in actions))


def _added(path: Path, at: int, changes_data: bool, plain: Sequence[str]) -> dict[str, Any]:
    return {
        "path": path.name,
        "partitionValues": {},
        "size": path.stat().st_size,
        "modificationTime": at,
        "dataChange": changes_data,
        "stats": _json.encode(_statistics(path, plain)).decode(),
    }


def _fed(folder: Path, rows: pa.Table) -> dict[str, Any]:
    (folder / FEED).mkdir(exist_ok=True)
    path = folder / FEED / f"cdc-{uuid.uuid4()}.parquet"
    pq.write_table(rows, path, compression="snappy")
    sync_path(path)
    sync_folder(folder / FEED)
    return {"path": f"{FEED}/{path.name}", "partitionValues": {}, "size": path.stat().st_size, "dataChange": False}


def _statistics(path: Path, plain: Sequence[str]) -> dict[str, Any]:
    """What Delta's log keeps of a file: its rows, and the bounds of its plain columns."""
    told = pq.read_metadata(path)
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for group in range(told.num_row_groups):
        row_group = told.row_group(group)
        for place in range(row_group.num_columns):
            column = row_group.column(place)
            name, found = column.path_in_schema, column.statistics
            if name not in plain or found is None:
                continue
            nulls[name] = nulls.get(name, 0) + (found.null_count or 0)
            if found.has_min_max:
                low[name] = min(low.get(name, found.min), found.min)
                high[name] = max(high.get(name, found.max), found.max)
    return {
        "numRecords": told.num_rows,
        "minValues": {name: _bound(value, 0) for name, value in low.items()},
        # Instants are kept to the millisecond: the upper bound must not fall below the value.
        "maxValues": {name: _bound(value, 1) for name, value in high.items()},
        "nullCount": nulls,
    }


def _bound(value: Any, up_ms: int) -> Any:
    if not hasattr(value, "isoformat"):
        return value
    micros = round(value.timestamp() * 1_000_000)
    millis = micros // 1000 + (up_ms if micros % 1000 else 0)
    return to_datetime(Instant(millis * 1000)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03}Z"


def _link(log: Path, version: int, data: bytes) -> None:
    temporary = log / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, log / f"{version:020}.json")
        except FileExistsError as error:
            message = f"{log.parent.name} was written by somebody else meanwhile"
            raise Conflict("history.raced", message, "try again") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(log)


def tombstones(log: Path, since_ms: int) -> set[str]:
    """Files that left the table after an instant: older versions that are still promised need them."""
    kept: set[str] = set()
    for path in log.glob("?" * 20 + ".json"):
        if path.stat().st_mtime * 1000 < since_ms:
            continue
        for line in path.read_bytes().splitlines():
            if line.startswith(b'{"remove"'):
                gone = msgspec.json.decode(line)["remove"]
                if gone.get("deletionTimestamp", 0) >= since_ms:
                    kept.add(gone["path"])
    return kept


def small_runs(files: Sequence[DataFile], target_bytes: int, least: int) -> list[DataFile]:
    """Files that follow one another and together stay below the target: the first such run of at least `least`."""
    run: list[DataFile] = []
    size = 0
    for file in files:
        if run and size + file.size_bytes > target_bytes:
            if len(run) >= least:
                return run
            run, size = [], 0
        if file.size_bytes < target_bytes // 2:
            run.append(file)
            size += file.size_bytes
        else:
            if len(run) >= least:
                return run
            run, size = [], 0
    return run if len(run) >= least else []
