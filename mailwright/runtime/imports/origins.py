"""Where the rows of a declared import come from: each origin gives its rows to the intake and notes how far it got."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mailwright.core.errors import Conflict, InvalidInput, NotFound
from mailwright.ingest.change_topic import change_of
from mailwright.ingest.drafts import Draft, Drafts, draft_kind
from mailwright.ingest.dry_run import MappingReport, Report
from mailwright.ingest.files import Format, Rows, as_json, format_of, read_rows
from mailwright.ingest.former_service import check_columns, former_drafts
from mailwright.ingest.ga4 import Ga4Drafts
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.mapping import RowMapping
from mailwright.ingest.preset_reports import FormerReport, Ga4Report
from mailwright.runtime.importing import digest_of
from mailwright.runtime.imports.feeds import read_feed_origin
from mailwright.runtime.imports.intake import Intake
from mailwright.runtime.imports.state import FileSeen, ImportState, cursor_start, cursor_text
from mailwright.runtime.imports.tables import TableDrafts, Told
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project
from mailwright.runtime.settings import secret_from
from mailwright.stores.dlt_rows import run_dlt
from mailwright.stores.key_table import KeyTable
from mailwright.stores.sql_rows import SqlRows


@dataclass(slots=True, kw_only=True)
class Reading:
    """One run of a declared import while it reads.

    Attributes:
        state: What the run before left; origins put in what the next must know.
        before: `state` as the run found it: of what could not be taken, the next run must read the same again.
        keys: The rows' keys; None if none are kept.
        kept: What a dlt pipeline remembered; `next_kept` is what it remembers after this run.
        path: A file in the place of the declared one; ``-`` is standard input.
        wants_reports: Reports on columns are wanted; then in `reports`, one for each file or for the whole table.
    """

    there: Installation
    project: Project
    name: str
    definition: ImportDefinition
    state: ImportState
    before: ImportState
    keys: KeyTable | None
    kept: Path
    next_kept: Path
    intake: Intake
    path: str
    wants_reports: bool
    reports: list[Report] = field(default_factory=list)

    def mapping(self, columns: Sequence[str] | None) -> RowMapping:
        """The declared mapping; `columns` are those that there are, None if unknown.

        Raises:
            InvalidInput: ``import.columns``, if a declared one is not among them.
        """
        mapping = self.definition.mapping(self.project.zone.key)
        faults = mapping.check(self.name, columns)
        if faults:
            raise InvalidInput("import.columns", faults)
        self.intake.kind = draft_kind(mapping.kind)
        return mapping

    def table(self, mapping: RowMapping) -> TableDrafts:
        """The drafts of the rows by their key."""
        return TableDrafts(self.name, self.definition, mapping, keys=self.keys, seal=self.there.sealer)

    def rows(self, stream: BinaryIO, name: str, format: Format) -> Rows:
        """The rows of one file, as the definition says that it is written; what cannot be read is told."""
        return read_rows(
            stream,
            format,
            name=name,
            delimiter=self.definition.delimiter,
            encoding=self.definition.encoding,
            on_fault=self.intake.unreadable,
        )

    def reported(self, drafts: Drafts, mapping: RowMapping, columns: Sequence[str] | None) -> Drafts:
        """`drafts`, and each row is seen by the table's report if one is wanted."""
        return self.reported_by(
            self.reports[0] if self.reports else MappingReport(mapping, columns, self.is_personal), drafts
        )

    def reported_by(self, report: Report, drafts: Drafts) -> Drafts:
        """`drafts`, and each row is seen by `report` if one is wanted."""
        if not self.wants_reports:
            return drafts
        if report not in self.reports:
            self.reports.append(report)

        def seen(line: int, row: Mapping[str, Any]) -> Sequence[Draft]:
            report.see(row)
            return drafts(line, row)

        return seen

    def is_personal(self, name: str) -> bool:
        """Whether the values of a field of this name are masked."""
        return name in self.there.sealer.personal

    def end_table(self, table: TableDrafts, *, whole: bool) -> None:
        """Tell what is gone, if all rows there are were read.

        Raises:
            Conflict: ``import.empty``, if there is not one row where there were some.
        """
        if whole and self.definition.finds_gone and self.keys is not None:
            if not (self.intake.n_rows or table.n_seen) and len(self.keys):
                message = f"the import {self.name} found no row where there were {len(self.keys):,}"
                hint = "an empty origin deletes nobody: look whether it is whole"
                raise Conflict("import.empty", message, hint)
            if not self.intake.n_unreadable and not table.n_keyless:
                for draft in table.gone():
                    self.intake.add(0, draft)


def read_origin(reading: Reading) -> None:
    """Read what is new.

    Raises:
        NotFound: If there is no such file or table.
        InvalidInput: If it cannot be read, or its columns are not those declared.
        Transient: If a database or service does not answer.
    """
    definition = reading.definition
    if definition.posted:
        hint = f"post them to /v1/imports/{reading.name}/rows"
        raise InvalidInput.one("import.posted", f"the rows of {reading.name} are posted, none are read", hint=hint)
    if definition.origin == "file":
        (_preset_files if definition.preset else _table_files)(reading)
    else:
        _ORIGINS[definition.origin](reading)


# --- SQL -------------------------------------------------------------------------------------------------------------


def _sql(reading: Reading) -> None:
    definition, sql = reading.definition, reading.definition.sql
    if sql is None:
        raise AssertionError("its origin is sql")
    columns, cursor = definition.needed(), definition.cursor
    mapping = reading.mapping(columns)
    table = reading.table(mapping)
    after = cursor_start(reading.state.cursor, cursor) if cursor and reading.state.cursor else None
    url, what = secret_from(sql.url_from), f"import {reading.name}"
    with SqlRows(url, what, table=sql.table, query=sql.query, columns=columns) as database:
        greatest: Any = None

        def rows() -> Iterator[tuple[int, dict[str, Any]]]:
            nonlocal greatest
            place = cursor.column if cursor else ""
            for number, row in enumerate(database.rows(columns, place, after), 1):
                if place and row[place] is not None:
                    greatest = row[place]
                yield number, {name: as_json(value) for name, value in row.items()}

        reading.intake.prefix, reading.intake.place = f"{sql.table or 'query'}: ", "row"
        reading.intake.take(rows(), reading.reported(table, mapping, columns))
        if greatest is not None:
            reading.state = msgspec.structs.replace(reading.state, cursor=cursor_text(greatest))
        if definition.finds_gone and after is not None:
            _keys_alone(reading, table, database)
        reading.end_table(table, whole=definition.finds_gone)


def _keys_alone(reading: Reading, table: TableDrafts, database: SqlRows) -> None:
    """Which rows there are, those before the cursor too; one without a key is a bad row, told once."""
    told = table.n_keyless
    for number, row in enumerate(database.rows(list(reading.definition.keys)), 1):
        n_keyless = table.n_keyless
        try:
            table.seen({name: as_json(value) for name, value in row.items()})
        except InvalidInput as error:
            if told > 0:  # one of those that were read by the cursor and told already
                told, table.n_keyless = told - 1, n_keyless
            else:
                reading.intake.bad_row(number, error)


# --- files -----------------------------------------------------------------------------------------------------------

_Read = Callable[[Reading, str, BinaryIO, Format], None]


def _files(reading: Reading, pattern: str, read: _Read) -> int:
    """Read each file that is new or changed; how many."""
    if reading.path == "-":
        read(reading, "stdin", sys.stdin.buffer, "jsonl")
        return 1
    n_read, seen = 0, {}
    for path in _paths(reading, pattern):
        known = reading.state.files.get(str(path))
        stat = path.stat()
        if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns) and not reading.path:
            seen[str(path)] = known
            continue
        digest = digest_of(path)
        if not known or known.digest != digest.hex() or reading.path:
            n_read += 1
            with path.open("rb") as stream:
                reading.intake.prefix = f"{path.name}: "
                read(reading, path.name, stream, format_of(path.name))
                reading.intake.flush()
            if digest_of(path) != digest:
                raise Conflict("import.changed", f"{path.name} changed while it was read", "run it again")
        seen[str(path)] = FileSeen(stat.st_size, stat.st_mtime_ns, digest.hex())
    if not reading.path:
        reading.state = msgspec.structs.replace(reading.state, files=seen)
    return n_read


def _paths(reading: Reading, pattern: str) -> list[Path]:
    folder = reading.there.settings.folder
    whole = str(folder / (reading.path or pattern))
    found = sorted(Path(one) for one in glob(whole, recursive=True) if Path(one).is_file())
    if not found and not any(sign in pattern for sign in "*?["):
        raise NotFound("import.file", f"there is no file {whole}")
    return found


def _table_files(reading: Reading) -> None:
    definition = reading.definition
    if definition.finds_gone and any(sign in definition.file for sign in "*?["):
        message = "what is gone is found by comparing with one whole file, not with a pattern's"
        raise InvalidInput.one("import.columns", message, path=reading.name, hint="name one file")
    tables: list[TableDrafts] = []

    def read(reading: Reading, name: str, stream: BinaryIO, format: Format) -> None:
        rows = reading.rows(stream, name, format)
        mapping = reading.mapping(rows.columns)
        table = reading.table(mapping)
        tables.append(table)
        reading.intake.take(rows, reading.reported(table, mapping, rows.columns))

    _files(reading, definition.file, read)
    for table in tables:
        reading.end_table(table, whole=True)


# --- files that know what their rows become --------------------------------------------------------------------------


def _preset_files(reading: Reading) -> None:
    definition, preset = reading.definition, reading.definition.preset
    if preset is None:
        raise AssertionError("its origin is a preset's file")

    def read(reading: Reading, name: str, stream: BinaryIO, format: Format) -> None:
        zone = definition.zone or reading.project.zone.key
        drafts = former_drafts(preset, name=name, purpose=definition.purpose, zone=zone)
        rows = reading.rows(stream, name, format)
        check_columns(name, rows.columns)
        report = FormerReport(preset, name, rows.columns, reading.is_personal)
        reading.intake.take(rows, reading.reported_by(report, drafts))

    _files(reading, definition.file, read)


def _ga4(reading: Reading) -> None:
    drafts = Ga4Drafts()

    def read(reading: Reading, name: str, stream: BinaryIO, format: Format) -> None:
        rows = read_rows(stream, format, name=name, on_fault=reading.intake.unreadable)
        reading.intake.take(rows, reading.reported_by(Ga4Report(name, reading.is_personal), drafts))

    _files(reading, reading.definition.ga4, read)


def _changes(reading: Reading) -> None:
    mapping = reading.mapping(None)
    table = reading.table(mapping)
    see = reading.reported(lambda *_: (), mapping, None)

    def drafts(line: int, row: Mapping[str, Any]) -> Sequence[Draft]:
        change = change_of(row)
        if change is None:
            return ()
        if not change.deleted:
            see(line, change.row)
        told = Told(deleted=change.deleted, at=change.at, position=change.position)
        return table.changed(line, change.row, told)

    def read(reading: Reading, name: str, stream: BinaryIO, format: Format) -> None:
        rows = read_rows(stream, format, name=name, on_fault=reading.intake.unreadable, nulls=True)
        reading.intake.take(rows, drafts)

    _files(reading, reading.definition.changes, read)
    reading.end_table(table, whole=False)


# --- dlt -------------------------------------------------------------------------------------------------------------


def _dlt(reading: Reading) -> None:
    origin = reading.definition.dlt
    if origin is None:
        raise AssertionError("its origin is dlt")
    mapping = reading.mapping(None)
    table = reading.table(mapping)
    drafts = reading.reported(table, mapping, None)
    reading.intake.prefix, reading.intake.place = f"{origin.call}: ", "row"
    taking = threading.Lock()

    def take(rows: Sequence[Mapping[str, Any]]) -> None:
        with taking:
            start = reading.intake.n_rows + 1
            told = ({name: as_json(value) for name, value in row.items()} for row in rows)
            reading.intake.take(enumerate(told, start), drafts)

    run_dlt(
        origin.call,
        origin.arguments,
        origin.resource,
        folder=reading.there.settings.folder,
        state=reading.kept,
        next_state=reading.next_kept,
        take=take,
    )
    reading.end_table(table, whole=True)


_ORIGINS: Mapping[str, Callable[[Reading], None]] = {
    "sql": _sql,
    "changes": _changes,
    "ga4": _ga4,
    "feed": read_feed_origin,
    "dlt": _dlt,
}
