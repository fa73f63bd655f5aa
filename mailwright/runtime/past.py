"""The past as it is kept in History: events with their people, ticks, changes, definitions, the catalog.

All of it is up to History's own offset, which stands a little behind a running engine: ask `EngineReads.flush_history`
first where what was folded just now must be in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mailwright.core.errors import NotFound
from mailwright.core.events import Item, Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.ports import History
from mailwright.profiles.identifier_key import identifier_keys
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Change, Fold, Rules
from mailwright.rules.fold.blocks import Block
from mailwright.rules.fold.bulk import columns_for, fill
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.runtime.graphs import NOBODY, Belongings, Graph, PastMerge, PastSplit, keys_in
from mailwright.runtime.past_blocks import WHOLE_EVENT, Owners, blocks, events_in, numbers, sampled

_WHO = ("offset", "known_at", "history", "identifier_kind", "identifier", "identifier_key")

_COLUMNS = ("offset", *WHOLE_EVENT, "identifier_key")


_LISTED = """
    SELECT list, identifier FROM lists WHERE "offset" <= $upto GROUP BY ALL HAVING arg_max(added, "offset")
"""


_LIST_CHANGES = """
    SELECT "offset", list, identifier, added FROM lists WHERE "offset" <= $upto ORDER BY "offset", added
"""


class PastTick(NamedTuple):
    """An evaluation: what counts at it are the events with a lower offset."""

    offset: Offset
    at: Instant


class PastChange(NamedTuple):
    """A change of membership as the live engine announced it at a tick."""

    offset: Offset
    at: Instant
    change: Change


class ListChanges(NamedTuple):
    """Changes of lists in order of `offset`: identifier number `key` of `keys` came on `list`, or left it."""

    offset: Ints
    list: Sequence[str]
    key: Ints
    added: Sequence[bool]
    keys: Ints
    lists: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A version of the project's files, in force from the record at `offset` on."""

    offset: Offset
    at: Instant
    version: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """What a question about an instant is answered from.

    Attributes:
        at: The instant asked for.
        offset: Of the last tick at or before it: events with a lower offset were there. 0 if there was no tick.
        graph_offset: Whose people the events are is taken from the graph at this offset: `offset`, or where an import
            of history that came later reaches back before `at`, the end of that import.
        reconstructed: Whether such an import is part of the answer. Nobody could have known then.
    """

    at: Instant
    offset: Offset
    graph_offset: Offset
    reconstructed: bool


class Past:
    """Reads of History in the words of the engine. Cheap to make; what it has read of the graph is kept.

    One object sees History up to the offset that it had when it was made.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.upto = history.offset("events")
        """Everything up to here is told."""

    # --- time ---

    def ticks(self, after: Offset = Offset(0), upto: Offset | None = None) -> list[PastTick]:
        """Ticks with after < offset <= upto (None: all there are), in order."""
        rows = self._rows("ticks", ["offset", "at"], self._end(upto))
        offset, at = (_numbers(rows, name) for name in ("offset", "at"))
        chosen = offset > after
        pairs = zip(offset[chosen].tolist(), at[chosen].tolist(), strict=True)
        return [PastTick(Offset(each), Instant(when)) for each, when in pairs]

    def offset_at(self, t: Instant) -> Offset:
        """Offset of the last tick at or before `t`; 0 if there was none."""
        offset, at = self._tick_columns
        place = int(np.searchsorted(at, t, side="right"))
        return Offset(int(offset[place - 1]) if place else 0)

    @cached_property
    def _tick_columns(self) -> tuple[Ints, Ints]:
        rows = self._rows("ticks", ["offset", "at"], self.upto)
        return _numbers(rows, "offset"), _numbers(rows, "at")

    def as_of(self, t: Instant) -> AsOf:
        """What an answer about `t` is to be made of.

        Events count that have an offset below the tick's; and those of an import of history made later that were known
        by `t`, with the graph as it stood when the (last such) import ended.
        """
        offset = self.offset_at(t)
        imported = self.imported_behind(offset, t)
        return AsOf(at=t, offset=offset, graph_offset=imported or offset, reconstructed=bool(imported))

    def imported_behind(self, offset: Offset, t: Instant) -> Offset:
        """The end of the (last) import of history behind `offset`, if one reaches back to `t` or before; else 0."""
        later = self._imported
        reaches = (later["offset"] > offset) & (later["known_at"] <= t)
        return Offset(int(later["offset"].max()) if bool(reaches.any()) else 0)

    @cached_property
    def _imported(self) -> dict[str, Ints]:
        """Offset and known_at of every event of an import declared as history."""
        columns = ["offset", "known_at", "history"]
        found = [batch.filter(batch.column("history")) for batch in self._scan("events", columns, self.upto)]
        rows = pa.Table.from_batches(found, schema=_schema(found, columns)) if found else None
        return {name: _numbers(rows, name) for name in columns[:2]}

    # --- definitions and changes ---

    def definition_at(self, t: Instant) -> Definition | None:
        """The version in force at the last tick at or before `t`; None before the first."""
        return self.definition_of(self.offset_at(t))

    def definition_of(self, offset: Offset) -> Definition | None:
        """The version in force for what was evaluated at `offset`; None before the first."""
        found = [each for each in self.definitions if each.offset <= offset]
        return found[-1] if found else None

    @cached_property
    def definitions(self) -> list[Definition]:
        """Each time a version came in force, in order."""
        columns = ["offset", "at", "version", "files", "in_force"]
        found: list[Definition] = []
        files: dict[int, dict[str, str]] = {}
        for row in self._rows("definitions", columns, self.upto).to_pylist():
            if row["files"] is not None:
                files[row["version"]] = msgspec.json.decode(row["files"], type=dict[str, str])
            if row["in_force"]:
                at = Instant(_micros(row["at"]))
                version = row["version"]
                found.append(Definition(offset=row["offset"], at=at, version=version, files=files.get(version, {})))
        return found

    def transitions(
        self, segment: str | None = None, after: Offset = Offset(0), upto: Offset | None = None
    ) -> list[PastChange]:
        """Changes of membership (of one segment, or of all) with after < offset <= upto, in order.

        Persons are as numbered then: one that was merged since has another number now, see `Graph.current`.
        """
        return list(self.changes(segment, after, upto))

    def changes(
        self, segment: str | None = None, after: Offset = Offset(0), upto: Offset | None = None
    ) -> Iterator[PastChange]:
        """`transitions`, read as they are asked for."""
        columns = ["offset", "at", "person", "segment", "entered", "cause"]
        for batch in self._scan("transitions", columns, self._end(upto)):
            chosen = _numbers(batch, "offset") > after
            if segment is not None:
                chosen &= np.asarray(pc.equal(batch.column("segment"), segment))
            rows = batch.filter(pa.array(chosen))
            at = _numbers(rows, "at").tolist()
            for row, when in zip(rows.to_pylist(), at, strict=True):
                change = Change(Person(row["person"]), row["segment"], row["entered"], row["cause"])
                yield PastChange(Offset(row["offset"]), Instant(when), change)

    # --- people ---

    def sampled(self, keys: Ints, owners: Owners, upto: Offset, rules: Rules) -> Block:
        """All events of a few identifiers up to an offset, for a fold of `rules`; see `past_blocks.sampled`."""
        return sampled(self._history, owners, keys, upto, columns_for(rules))

    @cached_property
    def belongings(self) -> Belongings:
        """Who owned which identifier when."""
        return Belongings(self._history, self._end(None))

    def graph_at(self, offset: Offset) -> Graph:
        """The people as known when everything up to `offset` had been folded."""
        return Graph(self.belongings, offset)

    def merges(self, after: Offset, upto: Offset) -> list[PastMerge]:
        """Merges with after < offset <= upto, in the order in which they happened."""
        return self.belongings.merges(after, upto)

    def splits(self, after: Offset, upto: Offset) -> list[PastSplit]:
        """Splits with after < offset <= upto, in order."""
        rows = [batch.to_pylist() for batch in self._scan("merges", ["offset", "kind", "person", "other"], upto)]
        told = (row for batch in rows for row in batch if row["kind"] == "split" and row["offset"] > after)
        return [PastSplit(Offset(row["offset"]), Person(row["person"]), Person(row["other"])) for row in told]

    # --- events and items ---

    def arrivals(
        self,
        upto: Offset,
        *,
        graph: Graph | None = None,
        persons: Ints | None = None,
        after: Offset = Offset(0),
        imported_by: Instant | None = None,
    ) -> Iterator[Arrival]:
        """Events with after < offset <= upto in order of offset, each once, read as they are asked for.

        An event has its first identifier alone, the one that says whose it is.

        Args:
            upto: The last offset.
            graph: Whose each event is; None: by the graph as it was at the event's own offset. What belongs to nobody
                there is left out.
            persons: Only events of these people.
            after: The offset behind which to begin.
            imported_by: Also events of history imports above `upto` that were known by this instant (see `as_of`).
        """
        for batch in self._scan("events", self._present("events", _COLUMNS), self.upto):
            offset = _numbers(batch, "offset")
            chosen = self._counting(batch, after, upto, imported_by)
            person = self._owners(batch, offset, graph)
            chosen &= person != NOBODY
            if persons is not None:
                chosen &= np.isin(person, persons)
            place = np.flatnonzero(chosen)
            if len(place):
                told = zip(
                    offset[place].tolist(), person[place].tolist(), events_in(batch.take(pa.array(place))), strict=True
                )
                for each, whose, event in told:
                    yield Arrival(Offset(each), Person(whose), event)

    def arrivals_as_of(self, moment: AsOf, persons: Ints | None = None) -> Iterator[Arrival]:
        """The events that a question about a moment is answered from; the fold itself leaves out what is not due."""
        imported_by = moment.at if moment.reconstructed else None
        graph = self.graph_at(moment.graph_offset)
        return self.arrivals(moment.offset, graph=graph, persons=persons, imported_by=imported_by)

    def _counting(self, batch: pa.RecordBatch, after: Offset, upto: Offset, imported_by: Instant | None) -> Bools:
        offset = _numbers(batch, "offset")
        chosen: Bools = (offset > after) & (offset <= upto)
        if imported_by is not None:
            history = _of_an_import(batch)
            chosen |= (offset > upto) & history & (_numbers(batch, "known_at") <= imported_by)
        return chosen

    def _owners(self, batch: pa.RecordBatch, offset: Ints, graph: Graph | None) -> Ints:
        keys = keys_in(batch)
        return self.belongings.persons_of(keys, offset) if graph is None else graph.persons_of(keys)

    def fill(
        self,
        rules: Rules,
        at: Instant,
        upto: Offset,
        *,
        leaves: Collection[str] | None = None,
        graph: Graph | None = None,
        catalog: Catalog | None = None,
        persons: Bools | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Fold:
        """A fold over the past in bulk, see `mailwright.rules.fold.bulk.fill`.

        Args:
            rules: What to keep.
            at: The instant of the fold.
            upto: The last offset that counts.
            leaves: Keys of the leaves to fill (None: all, and everybody is evaluated).
            graph: Whose each event is; None: by the graph as it was at `upto`.
            catalog: Items; None: those of the log up to `upto`.
            persons: By number, whose events count; None: everybody's.
            progress: Told now and then how many events were folded so far.
        """
        graph = graph or self.graph_at(upto)
        paths = columns_for(rules, leaves)
        told = blocks(self._history, graph, upto, paths, persons=persons)
        people = graph.n_persons if leaves is not None else graph.first_identifiers()
        if leaves is None:
            rules = replace(rules, lists={**rules.lists, **self.lists_at(upto, graph)})
        return fill(rules, catalog or self.catalog_at(upto), _telling(told, progress), at, people, leaves)

    def known_from(self, upto: Offset, graph: Graph) -> Iterator[tuple[Ints, Ints]]:
        """In blocks, whose each event with offset <= `upto` is by `graph`, and from when it was known.

        What an import of history tells was known from its own instant on, all else from the first tick behind it, with
        which answers begin to hold it.
        """
        ticks, instants = self._tick_columns
        instants = np.append(instants, np.iinfo(np.int64).max)
        for batch in self._scan("events", self._present("events", _WHO), upto):
            offset = numbers(batch, "offset")
            person = self._owners(batch, offset, graph)
            history = _of_an_import(batch)
            known_at = np.where(history, numbers(batch, "known_at"), instants[np.searchsorted(ticks, offset)])
            chosen = person != NOBODY
            yield person[chosen], known_at[chosen]

    def lists_at(self, upto: Offset, graph: Graph) -> dict[str, frozenset[str]]:
        """Who was on which list at `upto`: first identifiers (``kind:value``) of people by `graph`."""
        if not self._history.offset("lists"):
            return {}
        rows = self._history.query(_LISTED, {"upto": upto})
        persons = graph.persons_of(identifier_keys(rows["identifier"].to_pylist()))
        there = persons[persons != NOBODY]
        first = dict(zip(there.tolist(), graph.first_identifiers(there), strict=True))
        found: dict[str, set[str]] = {}
        for name, person in zip(rows["list"].to_pylist(), persons.tolist(), strict=True):
            found.setdefault(name, set()).update([first[person]] if person in first else [])
        return {name: frozenset(listed) for name, listed in found.items()}

    def list_changes(self, upto: Offset) -> ListChanges:
        """Every change of a list with offset <= `upto`."""
        none: list[Any] = []
        rows: dict[str, list[Any]] = dict.fromkeys(("offset", "list", "identifier", "added"), none)
        if self._history.offset("lists"):
            rows = self._history.query(_LIST_CHANGES, {"upto": upto}).to_pydict()
        keys, key = np.unique(identifier_keys(rows["identifier"]), return_inverse=True)
        offset = np.array(rows["offset"], dtype=np.int64)
        return ListChanges(offset, rows["list"], key, rows["added"], keys, sorted(set(rows["list"])))

    def items(self, after: Offset, upto: Offset) -> Iterator[tuple[Offset, Item]]:
        """Versions of catalog items with after < offset <= upto, in order."""
        for batch in self._scan("items", ["offset", "catalog", "item_id", "stamp_at", "facts"], upto):
            chosen = batch.filter(pa.array(numbers(batch, "offset") > after))
            for row, stamp in zip(chosen.to_pylist(), numbers(chosen, "stamp_at").tolist(), strict=True):
                facts = msgspec.json.decode(row["facts"] or "{}")
                item = Item(catalog=row["catalog"], item_id=row["item_id"], stamp_at=Instant(stamp), facts=facts)
                yield Offset(row["offset"]), item

    def catalog_at(self, offset: Offset) -> Catalog:
        """The catalog with every item version that the log held up to `offset`."""
        catalog = Catalog()
        for _, item in self.items(Offset(0), offset):
            catalog.put(item)
        return catalog

    # --- reading ---

    def _end(self, upto: Offset | None) -> Offset:
        return self.upto if upto is None else min(upto, self.upto)

    def _present(self, table: str, columns: Sequence[str]) -> list[str]:
        """Those of the columns that the table has: older ones lack some."""
        there = set(self._history.columns(table))
        return [name for name in columns if name in there]

    def _scan(self, table: str, columns: list[str], upto: Offset) -> Iterator[pa.RecordBatch]:
        try:
            return self._history.scan(table, columns, upto)
        except NotFound:  # nothing of that kind happened yet
            return iter(())

    def _rows(self, table: str, columns: list[str], upto: Offset) -> pa.Table:
        batches = list(self._scan(table, columns, upto))
        return pa.Table.from_batches(batches, schema=_schema(batches, columns))


def _telling(told: Iterable[Block], progress: Callable[[int], None] | None) -> Iterator[Block]:
    done = 0
    for block in told:
        yield block
        done += len(block)
        if progress is not None:
            progress(done)


def _schema(batches: list[pa.RecordBatch], columns: list[str]) -> pa.Schema:
    return batches[0].schema if batches else pa.schema([(name, pa.int64()) for name in columns])


def _of_an_import(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which events an import of history told."""
    return np.asarray(batch.column("history").fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def _numbers(rows: pa.Table | pa.RecordBatch | None, name: str) -> Ints:
    """A column of numbers or instants; no rows for None."""
    return np.zeros(0, np.int64) if rows is None else numbers(rows, name)


def _micros(value: Any) -> int:
    return int(pa.scalar(value, pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py())
