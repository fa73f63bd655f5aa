"""Importing a file by hand: read once, checked and sealed into a spool, and delivered from there as the door would."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mailwright.core.errors import Conflict, InvalidInput, Issue, NotFound, nearest
from mailwright.core.instants import format_iso
from mailwright.core.words import counted
from mailwright.ingest.drafts import draft_kind, drafts_of
from mailwright.ingest.dry_run import ColumnReport, DryRun, MappingReport
from mailwright.ingest.files import Rows, format_of, read_rows
from mailwright.ingest.mapping import Cell, CellType, RowKind, RowMapping, usual_type
from mailwright.ingest.segment import Source
from mailwright.runtime.imports.delivery import Delivery, cursor_of, trailer_of
from mailwright.runtime.imports.frames import Frame, Trailer, encode_frame
from mailwright.runtime.imports.intake import Intake, Passage, told_faults
from mailwright.runtime.installation import Installation, only_one
from mailwright.runtime.project.load import Project
from mailwright.stores.spool import SpoolWriter, drop_parts

_CELL_TYPES: Mapping[str, CellType] = {
    "text": "text",
    "number": "number",
    "boolean": "boolean",
    "instant": "instant",
    "date": "date",
    "list": "json",
    "object": "json",
}
_OWN_FIELDS: Mapping[str, Mapping[str, str]] = {
    "items": {"item_id": "item_id", "id": "item_id", "stamp": "stamp"},
    "": {
        "user_id": "userId",
        "userId": "userId",
        "anonymous_id": "anonymousId",
        "anonymousId": "anonymousId",
        "message_id": "messageId",
        "messageId": "messageId",
        "timestamp": "timestamp",
        "event": "event",
        "group_id": "groupId",
        "groupId": "groupId",
    },
}
"""Column or short target -> field of the call itself; everything else is a trait, a property or a fact."""

_NEAR = 0.9
"""Names as alike as this are one and a slip: ``user_idd``, ``usr_id``; not ``user``."""

_INSIDE: Mapping[RowKind, str] = {
    "identify": "traits",
    "track": "properties",
    "group": "traits",
    "items": "facts",
    "consents": "",
    "suppressions": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """What to import and how.

    Attributes:
        columns: Column -> target, with a type after a colon if the definitions do not tell it
            (``total=properties.total:number``); empty: every column goes where its name says.
        history: Events count from their own stamp and start no journey and no mail.
        skip_bad: Import the good rows of a file that has bad ones.
        delimiter: Of a CSV; empty: as its first line tells.
        encoding: Of a text file; empty: UTF-8, or UTF-16 with a byte order mark.
    """

    path: Path
    kind: RowKind
    source: Source
    columns: Mapping[str, str]
    event: str = ""
    catalog: str = ""
    history: bool = False
    skip_bad: bool = False
    delimiter: str = ""
    encoding: str = ""


class Importer:
    """One import into an installation under the definitions in force; it gives way to live events."""

    def __init__(self, there: Installation, project: Project, asked: FileImport) -> None:
        """Look at the file's columns.

        Raises:
            NotFound: If there is no such file.
            InvalidInput: If a column does not exist or goes nowhere, or nothing says who.
        """
        self._there = there
        self._project = project
        self._asked = asked
        if not asked.path.is_file():
            raise NotFound("import.file", f"there is no file {asked.path}")
        with asked.path.open("rb") as stream:
            columns = self._rows(stream, None).columns
        self._columns = columns
        self._mapping = self._mapped(columns)
        self._ids = hashlib.sha256(asked.path.name.encode()).hexdigest()[:12]
        faults = [replace(issue, path=asked.path.name) for issue in self._mapping.check("", columns, by_hand=True)]
        if faults:
            raise InvalidInput("import.columns", faults, "; ".join(self.near_misses()))
        self._digest = digest_of(asked.path)
        told = [asked.source.name, asked.history, asked.skip_bad, self._mapping]
        self._key = hashlib.sha256(msgspec.json.encode(told) + self._digest).hexdigest()
        self._spool = there.settings.data_folder / "imports" / f"{self._key}.spool"
        self._report = MappingReport(self._mapping, columns, self._is_personal)

    @property
    def skips_bad(self) -> bool:
        """Whether bad rows are left out rather than refused with the file."""
        return self._asked.skip_bad

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return self._asked.path.stat().st_size

    # --- before ---

    def near_misses(self) -> list[str]:
        """Warnings of columns that fill what is declared nowhere and has almost the name of a field of a call."""
        own = {name.lower(): name for name in self._own_fields}
        found = []
        for column, cell in self._mapping.cells.items():
            inside, _, name = cell.to.partition(".")
            close = get_close_matches(name.lower(), own, n=1, cutoff=_NEAR)
            if inside == _INSIDE[self._asked.kind] and close and self._declared(cell.to) is None:
                found.append(f"column {column!r} becomes {cell.to}: did you mean {own[close[0]]}?")
        return found

    def already(self) -> str | None:
        """When these very bytes were imported in this very way, ISO text; None: never."""
        return self._there.records.meta.get(f"import.{self._key}") or None

    def begun(self) -> tuple[int, int] | None:
        """(pieces delivered, rows) of an import of this file that was broken off on its way into the log, or None."""
        if not self._spool.exists():
            return None
        return cursor_of(self._there, self._spool, self._key), trailer_of(self._spool).n_rows

    def check(self, read: Callable[[int], None] = lambda _: None) -> DryRun:
        """What the door would say to every row; nothing is written. `read` is told the bytes that were read.

        Raises:
            InvalidInput: If the file cannot be read to its end.
            Conflict: If it changed meanwhile.
        """
        return self._read(None, read, report=True)[0]

    def columns(self) -> list[ColumnReport]:
        """What becomes of each column, after `check`."""
        return self._report.columns()

    def prepare(self, read: Callable[[int], None] = lambda _: None) -> DryRun:
        """Read, check and seal all rows, ready for `deliver`; with bad ones that are not skipped, nothing stays.

        Raises:
            InvalidInput: If the file cannot be read to its end.
            Conflict: If it changed meanwhile.
        """
        drop_parts(self._spool)
        with ExitStack() as stack:
            spool = stack.enter_context(SpoolWriter(self._spool))
            found, intake = self._read(lambda frame: spool.add(encode_frame(frame)), read, report=False)
            if not found.n_faults or self._asked.skip_bad:
                intake.check_room()
                spool.finish(encode_frame(intake.trailer(found, tells=self._project.tracking_plan.violation_events)))
        return found

    def refuse(self, found: DryRun) -> None:
        """Raise what was found, unless bad rows shall be skipped.

        Raises:
            InvalidInput: With the first faults, each with its line.
        """
        if not found.n_faults or self._asked.skip_bad:
            return
        hint = "nothing was imported; mend the file"
        if found.n_good:
            hint += f", or import its {counted(found.n_good, 'good row')} with --skip-bad"
        raise InvalidInput("import.rows", told_faults(found), hint)

    # --- the import ---

    def deliver(self, done: Callable[[int], None] = lambda _: None) -> Trailer:
        """Bring what was prepared into the log; `done` is told how many more are in.

        Returns:
            What was brought in, and what the tracking plan holds back.

        Raises:
            Conflict: If another process is at it.
        """
        lock = self._spool.with_suffix(".lock")
        with only_one(lock, f"the import of {self._asked.path.name}", self._there.settings.folder):
            delivery = Delivery(self._there, self._spool, self._key)
            trailer = delivery.run(done)
            if trailer is None:
                raise AssertionError("nobody stops it")
            if trailer.n_things or trailer.n_held:
                self._there.records.meta.put(f"import.{self._key}", format_iso(self._there.wall.now()))
            self._spool.unlink()
            delivery.forget()
        lock.unlink(missing_ok=True)
        return trailer

    # --- rows ---

    def _read(
        self, out: Callable[[Frame], None] | None, read: Callable[[int], None], *, report: bool
    ) -> tuple[DryRun, Intake]:
        asked = self._asked
        with asked.path.open("rb") as stream:
            make = drafts_of(self._mapping, self._ids)

            def drafts(line: int, row: Mapping[str, Any]) -> Sequence[Any]:
                self._report.see(row)
                return make(line, row)

            passage = Passage(there=self._there, project=self._project, source=asked.source, history=asked.history)
            intake = Intake(
                passage,
                out,
                skip_bad=asked.skip_bad,
                done=lambda _: read(stream.tell()),
            )
            intake.prefix = f"{asked.path.name}: "
            intake.kind = draft_kind(asked.kind)
            intake.take(self._rows(stream, intake.unreadable), drafts if report else make)
        if digest_of(asked.path) != self._digest:
            raise Conflict("import.changed", f"{asked.path.name} changed while it was read", "run it again")
        return intake.finish([column for column in self._columns or () if column not in self._mapping.columns]), intake

    def _rows(self, stream: BinaryIO, on_fault: Callable[[Issue], None] | None) -> Rows:
        asked = self._asked
        name = asked.path.name
        return read_rows(
            stream,
            format_of(name),
            name=name,
            delimiter=asked.delimiter,
            encoding=asked.encoding,
            on_fault=on_fault,
        )

    def _is_personal(self, name: str) -> bool:
        return name in self._there.sealer.personal

    # --- mapping ---

    def _mapped(self, columns: tuple[str, ...] | None) -> RowMapping:
        asked = self._asked
        if asked.columns:
            cells = {column: self._cell(target) for column, target in asked.columns.items()}
        elif columns is None:
            message = "a file of JSON lines has no columns of its own"
            raise InvalidInput.one("import.columns", message, hint="say what to read with --map, once per field")
        else:
            cells = {column: self._cell(column) for column in columns}
        catalog = asked.catalog or (next(iter(self._project.catalogs), "") if asked.kind == "items" else "")
        return RowMapping(
            kind=asked.kind, columns=cells, event=asked.event, catalog=catalog, zone=self._project.zone.key
        )

    def _cell(self, target: str) -> Cell:
        to, _, kind = target.partition(":")
        own = self._own_fields
        inside = _INSIDE[self._asked.kind]
        first = to.partition(".")[0]
        if inside:
            within = (inside, "context", "traits", "properties", "facts")
            to = own.get(to) or (to if first in within else f"{inside}.{to}")
        if kind and kind not in _CELL_TYPES.values():
            hint = nearest(kind, _CELL_TYPES.values())
            raise InvalidInput.one("import.type", f"{target!r}: there is no type {kind!r}", hint=hint)
        found: CellType | None = kind or self._declared(to)  # type: ignore[assignment] # one of them, as just checked
        return Cell(to=to, type=found)

    @property
    def _own_fields(self) -> Mapping[str, str]:
        return _OWN_FIELDS["items" if self._asked.kind == "items" else ""]

    def _declared(self, to: str) -> CellType | None:
        """The type that the tracking plan or the catalog declares for a target; an id is text."""
        if usual := usual_type(to):
            return usual
        inside, _, name = to.partition(".")
        declared: Mapping[str, str] = {}
        plan = self._project.tracking_plan
        match inside:
            case "properties":
                declared = plan.property_types(self._asked.event)
            case "traits":
                declared = plan.trait_types()
            case "facts":
                catalog = self._asked.catalog or next(iter(self._project.catalogs), "")
                declared = self._project.catalogs[catalog].facts if catalog in self._project.catalogs else {}
        return _CELL_TYPES.get(declared.get(name, ""))


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
        digest.update(str(os.fstat(stream.fileno()).st_size).encode())
    return digest.digest()
