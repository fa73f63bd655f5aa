"""The pure fold: everything that follows from the log alone. The same records give the same state, however cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mailwright.core.events import (
    PLACES,
    Body,
    Defined,
    Event,
    Events,
    Items,
    LogRecord,
    Offset,
    Person,
    Tick,
)
from mailwright.core.instants import Instant
from mailwright.core.transitions import Cursor
from mailwright.ingest.dedupe import DedupeIndex
from mailwright.profiles.identity import Belonging, IdentityGraph
from mailwright.profiles.profile import ProfileStore
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Change, Fold
from mailwright.runtime.engine.recent import Recent
from mailwright.runtime.project.load import Project, load_project


@dataclass(slots=True)
class Folded:
    """What a micro-batch of records added, for History.

    Accepted events with their person, item versions, ticks, segment changes, and which identifier belongs to whom;
    definitions: (offset, at, version, files or None if told before, whether it is in force from here on); every record
    of another kind as it stood in the log.
    """

    events: list[tuple[Offset, Instant, Person, Event]] = field(default_factory=list)
    items: list[tuple[Offset, Any]] = field(default_factory=list)
    ticks: list[tuple[Offset, Instant]] = field(default_factory=list)
    changes: list[tuple[Offset, Instant, Change]] = field(default_factory=list)
    belongings: list[tuple[Offset, Belonging]] = field(default_factory=list)
    definitions: list[tuple[Offset, Instant, int, dict[str, str] | None, bool]] = field(default_factory=list)
    records: list[tuple[Offset, Instant, Body]] = field(default_factory=list)


class EngineState:
    """Identity, profiles, catalog, dedupe and live rules of one installation, as of `number`.

    `replay` reads the log from its start; it is needed only when a definition brings leaves that must be filled from
    what happened before it.
    """

    def __init__(self, replay: Callable[[int], Iterable[LogRecord]]) -> None:
        self._replay = replay
        self.number = 0
        self.at = Instant(0)
        self.tick_offset = Offset(0)
        self.version = 0
        self.started_at = Instant(0)
        self.n_events = 0
        self.n_duplicates = 0
        self.identity = IdentityGraph()
        self.profiles = ProfileStore()
        self.catalog = Catalog()
        self.dedupe = DedupeIndex()
        self.files: dict[str, str] = {}
        self.project: Project = load_project({})
        self.fold = Fold(self.project.rules, self.catalog)
        self.recent = Recent()

    # --- folding ---

    def apply(self, record: LogRecord, folded: Folded) -> list[Change]:
        """Fold the next record; the changes are those of a tick, empty for any other record."""
        changes: list[Change] = []
        match record.body:
            case Events(events=events):
                self._events(record, events, folded)
            case Items(items=items):
                for place, item in enumerate(items):
                    self.catalog.put(item)
                    folded.items.append((Offset(record.offset + place), item))
            case Tick():
                changes = self.fold.tick(record.at, self.identity.firsts)
                self.tick_offset = record.offset
                self.recent.add(record.offset, record.at, changes)
                folded.ticks.append((record.offset, record.at))
                folded.changes += [(record.offset, record.at, change) for change in changes]
            case Defined(version=version, files=files):
                self._define(record, version, files)
                folded.definitions.append((record.offset, record.at, version, files, True))
            case other:
                folded.records.append((record.offset, record.at, other))
        self.number, self.at = record.number, record.at
        folded.belongings += [(self.upto, change) for change in self.identity.belonging_changes()]
        return changes

    def _events(self, record: LogRecord, events: Sequence[Event], folded: Folded) -> None:
        pairs = [(event.source, event.message_id) for event in events]
        fresh = self.dedupe.fresh(pairs, record.at, lasting=any(event.imported for event in events))
        at, first, known = record.at, record.offset, self.identity.known
        taken: list[tuple[Offset, Instant, Person, Event]] = []
        n_folded = 0
        for place, (event, new) in enumerate(zip(events, fresh, strict=True)):
            if not new:
                continue
            offset = Offset(first + place)
            person = known(event)
            if person is None:
                resolution = self.identity.resolve(event, offset)
                person = resolution.person
                if resolution.merges:
                    self._take(taken[n_folded:])
                    n_folded = len(taken)
                for merge in resolution.merges:
                    self.fold.merge(merge.into, merge.gone)
                    self.profiles.merge(merge.into, merge.gone)
            taken.append((offset, at, person, event))
        self._take(taken[n_folded:])
        self.n_events += len(taken)
        self.n_duplicates += len(events) - len(taken)
        folded.events += taken

    def _take(self, taken: Sequence[tuple[Offset, Instant, Person, Event]]) -> None:
        """Count events for people between two merges."""
        self.profiles.apply_all([(person, event, offset) for offset, _, person, event in taken])
        self.fold.ingest([Arrival(offset, person, event) for offset, _, person, event in taken])

    def _define(self, record: LogRecord, version: int, files: dict[str, str]) -> None:
        self.files = files
        self.project = load_project(files)
        # Before the first event no leaf lacks a past. One that replaced another fold would go on asking for it.
        self.fold = Fold(self.project.rules, self.catalog, replacing=self.fold if self.n_events else None)
        if self.fold.missing_leaves():
            self.fold.combine(self._backfilled(record.number))
        self.version = version
        self.started_at = self.started_at or record.at

    def _backfilled(self, before: int) -> Fold:
        """The new rules over all that the log held before record `before`, with the identity graph as it is now."""
        shadow = Fold(self.project.rules, self.catalog)
        dedupe = DedupeIndex()
        for record in self._replay(before):
            if isinstance(record.body, Events):
                events = record.body.events
                fresh = dedupe.fresh([(event.source, event.message_id) for event in events])
                shadow.ingest(
                    [
                        Arrival(Offset(record.offset + place), self._owner(event), event)
                        for place, (event, new) in enumerate(zip(events, fresh, strict=True))
                        if new
                    ]
                )
        return shadow

    def _owner(self, event: Event) -> Person:
        person = self.identity.number_of(event.identifiers[0])
        assert person is not None, "an accepted event's first identifier is in the graph"  # noqa: S101
        return person

    # --- reading ---

    def living(self) -> list[Person]:
        """All people that were not merged into another, ascending."""
        return self.identity.living()

    @property
    def upto(self) -> Offset:
        """The last offset of the last record folded."""
        return Offset((self.number + 1) * PLACES - 1)

    def holding(self, condition: str) -> list[Person]:
        """Living people for whom a named condition is true, ascending."""
        people = self.living()
        truths = self.fold.truths([condition], people)[condition]
        return [person for person, true in zip(people, truths, strict=True) if true]

    def which(self, condition: str, persons: Sequence[Person]) -> frozenset[Person]:
        """Those of `persons`, numbers as given, for whom a named condition is true."""
        current = [self.identity.current(person) for person in persons]
        truths = self.fold.truths([condition], current)[condition]
        return frozenset(person for person, true in zip(persons, truths, strict=True) if true)

    # --- checkpoints ---

    def parts(self) -> dict[str, bytes]:
        """The state as named bytes; `restore` reads them back."""
        counters = {
            "number": self.number,
            "at": self.at,
            "tick_offset": self.tick_offset,
            "version": self.version,
            "started_at": self.started_at,
            "n_events": self.n_events,
            "n_duplicates": self.n_duplicates,
            "files": self.files,
        }
        return {
            "counters": msgspec.msgpack.encode(counters),
            "identity": self.identity.dump(),
            "profiles": self.profiles.dump(),
            "catalog": self.catalog.dump(),
            "dedupe": self.dedupe.dump(),
            **{f"fold/{name}": data for name, data in self.fold.freeze().parts().items()},
        }

    def restore(self, parts: dict[str, bytes]) -> None:
        """Take over the state that `parts` wrote: all of it, or, if a part cannot be read, nothing."""
        counters = msgspec.msgpack.decode(parts["counters"])
        project = load_project(counters["files"])
        catalog = Catalog.load(parts["catalog"])
        identity = IdentityGraph.load(parts["identity"])
        fold = {name.removeprefix("fold/"): data for name, data in parts.items() if name.startswith("fold/")}
        first = [identity.first_identifier(Person(n)) for n in range(identity.n_persons)]
        loaded = {
            "identity": identity,
            "profiles": ProfileStore.load(parts["profiles"]),
            "dedupe": DedupeIndex.load(parts["dedupe"]),
            "fold": Fold.load(fold, project.rules, catalog, first),
            "catalog": catalog,
            "project": project,
        }
        for name, value in (counters | loaded).items():
            setattr(self, name, value)
        self.recent = Recent(Cursor(self.tick_offset))
