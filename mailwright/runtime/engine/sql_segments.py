"""SQL segments at work: queries of History at their planned times, whose answers become changes of lists.

On the system clock a query runs in a thread of its own, so the engine never waits for it. On a virtual clock it runs at
the tick itself: the same story gives the same log.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import tzinfo
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import ListChanged
from mailwright.core.instants import Instant
from mailwright.core.ports import Clock, EventLog, History, MetaRecords
from mailwright.ingest.lists import MAX_ENTRIES
from mailwright.segments.sql import LIST_PREFIX, SqlSegmentDefinition

_log = logging.getLogger(__name__)

_LISTED = """
    SELECT identifier FROM lists WHERE list = $list GROUP BY identifier HAVING arg_max(added, "offset")
"""
_FIRST = """
    SELECT person, arg_min(identifier, from_offset) AS identifier
    FROM (SELECT identifier, person, from_offset, arg_max(to_offset IS NULL, ("offset", to_offset IS NOT NULL)) AS still
          FROM belonging GROUP BY ALL)
    WHERE still GROUP BY person
"""


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """How the newest run of a SQL segment went.

    Attributes:
        planned_at: For when it was planned; `ran_at` when it ended.
        digest: Of the definition's text: another one runs at once.
        rows: Identifiers found; of a run that failed, what the one before found.
        error: Why it failed; empty if it did not. The list is then as it was.
    """

    planned_at: Instant
    ran_at: Instant
    digest: str
    rows: int
    error: str = ""


def meta_key(name: str) -> str:
    """Under which key Records keeps a segment's newest `Refresh`, as JSON."""
    return f"sql_segment.{name}"


def newest_refresh(meta: MetaRecords, name: str) -> Refresh | None:
    """The newest run; None if there was none."""
    told = meta.get(meta_key(name))
    return None if told is None else msgspec.json.decode(told, type=Refresh)


class SqlSegments:
    """Runs what is due, one query at a time."""

    def __init__(self, *, history: History, log: EventLog, meta: MetaRecords, clock: Clock, inline: bool) -> None:
        self._history = history
        self._log = log
        self._meta = meta
        self._clock = clock
        self._inline = inline
        self._appended = 0  # number of the newest record that a run appended
        self._thread: threading.Thread | None = None

    def tick(
        self,
        definitions: Mapping[str, SqlSegmentDefinition],
        number: int,
        at: Instant,
        shop: tzinfo,
        held: Callable[[], threading.Event],
    ) -> None:
        """See what is due at a tick that has just taken effect.

        Args:
            definitions: In force.
            number: The tick's record.
            at: Its instant.
            shop: The shop's time zone.
            held: Brings what is folded to History; the event tells when it is there.
        """
        if not definitions or (self._thread is not None and self._thread.is_alive()):
            return
        if number < self._appended:  # what the last run found is not folded yet
            return
        due = [(name, one, planned) for name, one in definitions.items() if (planned := self._due(name, one, at, shop))]
        if not due:
            return
        there = held()
        if self._inline:
            self._run_all(due, there)
            return
        self._thread = threading.Thread(target=self._run_all, args=(due, there), name="sql-segments", daemon=True)
        self._thread.start()

    def _due(self, name: str, definition: SqlSegmentDefinition, at: Instant, shop: tzinfo) -> Instant | None:
        planned, last = definition.planned(at, shop), newest_refresh(self._meta, name)
        if last is not None and last.digest == _digest(definition) and last.planned_at >= planned:
            return None
        return planned

    def _run_all(self, due: list[tuple[str, SqlSegmentDefinition, Instant]], there: threading.Event) -> None:
        there.wait()
        for name, definition, planned in due:
            last = newest_refresh(self._meta, name)
            rows, error = last.rows if last else 0, ""
            try:
                rows = self._run(name, definition)
            except MailwrightError as failure:
                error = failure.message
            except Exception as failure:  # noqa: BLE001 whatever a query can raise, the engine and the others go on
                error = f"{type(failure).__name__}: {failure}"
            if error:
                _log.warning("SQL segment %s was not refreshed: %s", name, error)
            done = Refresh(
                planned_at=planned, ran_at=self._clock.now(), digest=_digest(definition), rows=rows, error=error
            )
            self._meta.put(meta_key(name), msgspec.json.encode(done).decode())

    def _run(self, name: str, definition: SqlSegmentDefinition) -> int:
        found = self._found(definition)
        listed = self._listed(LIST_PREFIX + name)
        changes = list(_changes(LIST_PREFIX + name, sorted(found - listed), sorted(listed - found)))
        if changes:
            self._appended = self._log.append(list(changes), self._clock.now())[-1]
        return len(found)

    def _found(self, definition: SqlSegmentDefinition) -> set[str]:
        table = self._history.query(definition.sql)
        if table.num_columns != 1:
            raise InvalidInput.one("segment.sql", f"it gives {table.num_columns} columns, not one")
        values = [value for value in table.column(0).to_pylist() if value is not None]
        if table.column_names[0] == "person":
            first = self._first_identifiers()
            return {first[person] for person in values if person in first}
        if wrong := next((value for value in values if not isinstance(value, str) or ":" not in value), None):
            raise InvalidInput.one("segment.sql", f"{wrong!r} is no identifier as kind:value")
        return set(values)

    def _first_identifiers(self) -> dict[Any, str]:
        rows = self._history.query(_FIRST) if self._history.offset("belonging") else None
        if rows is None:
            return {}
        return dict(zip(rows["person"].to_pylist(), rows["identifier"].to_pylist(), strict=True))

    def _listed(self, name: str) -> set[str]:
        if not self._history.offset("lists"):
            return set()
        return set(self._history.query(_LISTED, {"list": name})["identifier"].to_pylist())


def _changes(name: str, added: Collection[str], removed: Collection[str]) -> Iterator[ListChanged]:
    """Records to append together."""
    for field, identifiers in (("added", list(added)), ("removed", list(removed))):
        for start in range(0, len(identifiers), MAX_ENTRIES):
            chunk: dict[str, Any] = {field: identifiers[start : start + MAX_ENTRIES]}
            yield ListChanged(name=name, source="sql", **chunk)


def _digest(definition: SqlSegmentDefinition) -> str:
    return hashlib.sha256(msgspec.json.encode(definition)).hexdigest()[:16]
