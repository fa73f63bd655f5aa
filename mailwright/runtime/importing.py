"""Importing a file: checked as a whole first, then read again and appended to the log, as the door would append it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from mailwright.core.errors import Conflict, InvalidInput, Issue, NotFound, nearest
from mailwright.core.events import Body, Events, Items
from mailwright.core.instants import format_iso
from mailwright.ingest.dry_run import Checked, DryRun, dry_run
from mailwright.ingest.files import Rows, format_of, read_rows
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import Limits, Refusal
from mailwright.ingest.mapping import Cell, CellType, RowMapping, batches
from mailwright.ingest.segment import Parsed, Source, parse_request
from mailwright.runtime.giving_way import CHUNK_ITEMS, Turns
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project

Kind = Literal["identify", "track", "items"]

_CELL_TYPES: Mapping[str, CellType] = {
    "text": "text",
    "number": "number",
    "boolean": "boolean",
    "instant": "instant",
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
    },
}
"""Column or short target -> field of the call itself; everything else is a trait, a property or a fact."""

_INSIDE: Mapping[Kind, str] = {"identify": "traits", "track": "properties", "items": "facts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """What to import and how.

    Attributes:
        columns: Column -> target, with a type after a colon if the definitions do not tell it
            (``total=properties.total:number``); empty: every column goes where its name says.
        history: Events count from their own stamp and start no journey and no mail.
        skip_bad: Import the good rows of a file that has bad ones.
    """

    path: Path
    kind: Kind
    source: Source
    columns: Mapping[str, str]
    event: str = ""
    catalog: str = ""
    history: bool = False
    skip_bad: bool = False
    delimiter: str = ","
    encoding: str = "utf-8"


_CHUNK = Limits(request_items=CHUNK_ITEMS)


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
        self._received_at = there.clock.now()
        self._turns = Turns(there.log, there.engine)
        if not asked.path.is_file():
            raise NotFound("import.file", f"there is no file {asked.path}")
        with asked.path.open("rb") as stream:
            columns = self._rows(stream, None).columns
        self._columns = columns
        self._mapping = self._mapped(columns)
        self._ids = hashlib.sha256(asked.path.name.encode()).hexdigest()[:12]
        faults = [replace(issue, path=asked.path.name) for issue in self._mapping.check("", columns)]
        if faults:
            raise InvalidInput("import.columns", faults)

    @property
    def skips_bad(self) -> bool:
        """Whether bad rows are left out rather than refused with the file."""
        return self._asked.skip_bad

    # --- before ---

    def check(self) -> DryRun:
        """What the door would say to every row; nothing is written.

        Raises:
            InvalidInput: If the file cannot be read to its end.
        """
        unreadable: list[Issue] = []
        with self._asked.path.open("rb") as stream:
            rows = self._rows(stream, unreadable.append)
            return dry_run(rows, self._mapping, self._told, columns=self._columns, unreadable=unreadable)

    def refuse(self, found: DryRun) -> None:
        """Raise what a check found, unless bad rows shall be skipped.

        Raises:
            InvalidInput: With the first faults, each with its line.
        """
        if not found.n_faults or self._asked.skip_bad:
            return
        more = found.n_faults - len(found.faults)
        issues = [*self.faults(found), *([Issue(path="", message=f"... and {more:,} more faults")] if more else [])]
        hint = f"nothing was imported; mend the file, or import its {found.n_good:,} good rows with --skip-bad"
        raise InvalidInput("import.rows", issues, hint)

    def faults(self, found: DryRun) -> list[Issue]:
        """The faults of a check with the file's name."""
        name = self._asked.path.name
        return [
            issue if issue.path.startswith(name) else replace(issue, path=f"{name}: {issue.path}")
            for issue in found.faults
        ]

    def already(self) -> str | None:
        """When these very bytes were imported in this very way, ISO text; None: never."""
        return self._there.records.meta.get(self._key())

    # --- the import ---

    def run(self, done: Callable[[int], None]) -> int:
        """Import the rows; `done` is told how many more were read. Returns how many were taken.

        Run again after a break, it doubles nothing: message ids follow from the file.

        Raises:
            Conflict: If the file changed since it was checked.
        """
        taken = 0
        list_key = "items" if self._asked.kind == "items" else "batch"
        with self._asked.path.open("rb") as stream:
            rows = self._rows(stream, lambda _: None)
            for body in batches(self._calls(rows, done), list_key, _CHUNK):
                taken += self._append(body)
        self._there.records.meta.put(self._key(), format_iso(self._there.wall.now()))
        return taken

    def _calls(self, rows: Rows, done: Callable[[int], None]) -> Iterator[dict[str, Any]]:
        for line, row in rows:
            done(1)
            try:
                call = self._call(line, row)
            except InvalidInput:
                if not self._asked.skip_bad:
                    raise
                continue
            if not self._asked.skip_bad or not any(self._told(call)):
                yield call

    def _append(self, body: bytes) -> int:
        if self._asked.kind == "items":
            items = parse_items(body, catalogs=self._project.catalogs, received_at=self._received_at)
            return self._put(Items(list(items.items)), len(items.items), items.refused)
        events = self._parsed(body)
        return self._put(Events(list(events.events)), len(events.events), events.refused)

    def _put(self, body: Body, n: int, refused: Sequence[Refusal]) -> int:
        self._unchanged(refused)
        self._turns.wait()
        (number,) = self._there.log.append([body], self._there.clock.now())
        self._turns.sent(number)
        return n

    def _unchanged(self, refused: Sequence[Refusal]) -> None:
        if refused:
            raise Conflict("import.changed", f"{self._asked.path.name} changed while it was imported", "run it again")

    # --- rows ---

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

    def _call(self, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """The call of a row; an id that the mapping made of its line is made one of the file's, too."""
        call = self._mapping.call(line, row)
        if "messageId" in call and not any(cell.to == "messageId" for cell in self._mapping.cells.values()):
            call["messageId"] = f"{self._ids}-{call['messageId']}"
        return call

    def _told(self, call: Mapping[str, Any]) -> Checked:
        if self._asked.kind == "items":
            body = msgspec.json.encode({"items": [call]})
            items = parse_items(body, catalogs=self._project.catalogs, received_at=self._received_at)
            return Checked(refused=_places(items.refused))
        parsed = self._parsed(msgspec.json.encode({"batch": [call]}))
        return Checked(refused=_places(parsed.refused), warned=_places(parsed.warned))

    def _parsed(self, body: bytes) -> Parsed:
        return parse_request(
            "import",
            body,
            source=self._asked.source,
            received_at=self._received_at,
            seal=self._there.sealer,
            new_id=lambda: "",
            history=self._asked.history,
            normaliser=self._project.normaliser,
            plan=self._project.tracking_plan,
            resolve=self._there.resolve,
        )

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
        own = _OWN_FIELDS["items" if self._asked.kind == "items" else ""]
        inside = _INSIDE[self._asked.kind]
        first = to.partition(".")[0]
        to = own.get(to) or (to if first in (inside, "context", "traits", "properties", "facts") else f"{inside}.{to}")
        if kind and kind not in _CELL_TYPES.values():
            hint = nearest(kind, _CELL_TYPES.values())
            raise InvalidInput.one("import.type", f"{target!r}: there is no type {kind!r}", hint=hint)
        found: CellType | None = kind or self._declared(to)  # type: ignore[assignment] # one of them, as just checked
        return Cell(to=to, type=found)

    def _declared(self, to: str) -> CellType | None:
        """The type that the tracking plan or the catalog declares for a target; an id is text."""
        if to in ("timestamp", "stamp"):
            return "instant"
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

    def _key(self) -> str:
        """Meta key of this import: the file's bytes, and how they are read."""
        asked = self._asked
        digest = hashlib.sha256(msgspec.json.encode([asked.source.name, asked.history, asked.skip_bad, self._mapping]))
        with asked.path.open("rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
        return f"import.{digest.hexdigest()}"


def _places(refusals: Sequence[Refusal]) -> list[tuple[str, str]]:
    return [(one.field, one.reason.removeprefix("left out: ")) for one in refusals]
