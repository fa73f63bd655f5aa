"""The star-shaped views of History: for queries, and as files for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Offset
from mailwright.core.instants import Instant, to_datetime
from mailwright.core.ports import DefinitionRecords, DefinitionVersion, History
from mailwright.rules.sql.star import StarDialect, views
from mailwright.runtime.engine import history_rows as rows
from mailwright.runtime.project.load import load_project
from mailwright.stores.history_queries import Star
from mailwright.stores.view_files import Format, write_view

SCHEMAS = {
    "events": rows.EVENTS,
    "belonging": rows.BELONGING,
    "transitions": rows.TRANSITIONS,
    "records": rows.RECORDS,
}
"""Tables that views read."""


def star(definitions: DefinitionRecords | None = None) -> Star:
    """What queries may name beside the tables: views, of a project by its newest definitions."""
    return Star(views() if definitions is None else _Views(definitions), SCHEMAS)


class _Views(Mapping[str, str]):
    """The views; only for that one which shows people by an identifier the definitions are asked how kinds rank."""

    def __init__(self, definitions: DefinitionRecords) -> None:
        self._definitions = definitions

    def __getitem__(self, name: str) -> str:
        return (kept_views(self._definitions.current()) if name == "people" else views())[name]

    def __iter__(self) -> Iterator[str]:
        return iter(views())

    def __len__(self) -> int:
        return len(views())


def kept_views(current: DefinitionVersion | None, dialect: StarDialect = "duckdb") -> Mapping[str, str]:
    """The views as a version of the definitions has them."""
    told = {} if current is None else {path: text for path, text in current.files.items() if path == "identity.yaml"}
    return views(dialect, tuple(load_project(told).identity.priority)) if told else views(dialect)


_NEWEST = {
    "events": """SELECT max("offset") FROM events WHERE recorded_at <= $at""",
    "records": """SELECT max("offset") FROM records WHERE "at" <= $at""",
    "merges": """SELECT max("offset") FROM merges WHERE "at" <= $at""",
    "ticks": """SELECT max("offset") FROM ticks WHERE "at" <= $at""",
}


def offset_by(history: History, at: Instant) -> Offset:
    """The log's offset at an instant, as far as History tells: of the last that was appended by then; 0 before all.

    What an import told later of the time before is not in it: nobody could have known.
    """
    asked = {"at": to_datetime(at)}
    found = [history.query(sql, asked).column(0)[0].as_py() for name, sql in _NEWEST.items() if history.offset(name)]
    return Offset(max((each for each in found if each is not None), default=0))


def export_views(
    history: History, to: Path, kind: Format, names: Sequence[str] = (), upto: Offset | None = None
) -> dict[str, int]:
    """Write views (none: all) below a folder, each whole and in place of what was there; rows by name.

    Args:
        history: What is read.
        to: The folder.
        kind: What is written.
        names: Which views.
        upto: As if nothing above this offset had been appended; see `offset_by`.

    Raises:
        InvalidInput: If there is no such view.
    """
    known = list(views())
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput.one("history.view", f"there is no view {unknown[0]!r}", hint=nearest(unknown[0], known))
    return {
        name: write_view(history.stream(f'SELECT * FROM "{name}"', upto=upto), to, name, kind)  # noqa: S608 our names
        for name in names or known
    }
