"""The pure fold: everything that follows from the log alone. The same records give the same state, however cut."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from mailwright.core.errors import Corrupt, NotFound
from mailwright.core.events import (
    AUDIT,
    PLACES,
    Body,
    Defined,
    Event,
    Events,
    Identifier,
    Installed,
    Items,
    ListChanged,
    LogRecord,
    Offset,
    PeopleKeptApart,
    PeopleMerged,
    Person,
    PersonSplit,
    Tick,
)
from mailwright.core.facts import ClockParted, Installing
from mailwright.core.instants import Instant
from mailwright.core.transitions import Cursor
from mailwright.ingest.dedupe import DedupeIndex
from mailwright.profiles.accounts import AccountBook
from mailwright.profiles.identity import Belonging, IdentityGraph, Merge
from mailwright.profiles.lists import ListBook
from mailwright.profiles.merge_book import Said
from mailwright.profiles.profile import ProfileStore
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Change, Fold
from mailwright.runtime.engine.frozen import FrozenState, parts_below
from mailwright.runtime.engine.installing import SplitPast, Underway, restored, unpacked_past
from mailwright.runtime.engine.merge_rows import MergeRow, merge_rows, refused_row, split_row
from mailwright.runtime.engine.recent import Recent
from mailwright.runtime.engine.rerun import PastOf, Rerun, TheirPast, lives_of, no_past, relived, whose_numbers
from mailwright.runtime.project.load import Project, load_project

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Folded:
    """What a micro-batch of records added, for History.

    Accepted events with their person, item versions, ticks, segment changes, and which identifier belongs to whom;
    definitions: (offset, at, version, files or None if told before, whether it is in force from here on); every record
    of another kind as it stood in the log; lists: (offset, at, list, identifier, whether it came on it or left).
    """

    events: list[tuple[Offset, Instant, Person, Event]] = field(default_factory=list)
    items: list[tuple[Offset, Any]] = field(default_factory=list)
    ticks: list[tuple[Offset, Instant]] = field(default_factory=list)
    changes: list[tuple[Offset, Instant, Change]] = field(default_factory=list)
    belongings: list[tuple[Offset, Belonging]] = field(default_factory=list)
    definitions: list[tuple[Offset, Instant, int, dict[str, str] | None, bool]] = field(default_factory=list)
    records: list[tuple[Offset, Instant, Body]] = field(default_factory=list)
    lists: list[tuple[Offset, Instant, str, str, bool]] = field(default_factory=list)
    merges: list[MergeRow] = field(default_factory=list)


class EngineState:
    """Identity, profiles, catalog, dedupe and live rules of one installation, as of `number`.

    `blob` gives the bytes that an `Installed` record names, `past` what happened to those whom a split concerns.
    """

    def __init__(self, blob: Callable[[str], bytes], past: PastOf = no_past) -> None:
        self._blob = blob
        self._past = past
        self.number = 0
        self.at = Instant(0)
        self.tick_offset = Offset(0)
        self.ticked_at: Instant | None = None
        self.version = 0
        self.started_at = Instant(0)
        self.n_events = 0
        self.n_duplicates = 0
        self.identity = IdentityGraph()
        self.profiles = ProfileStore()
        self.accounts = AccountBook()
        self.catalog = Catalog()
        self.dedupe = DedupeIndex()
        self.lists = ListBook()
        self.files: dict[str, str] = {}
        self.project: Project = load_project({})
        self.fold = Fold(self.project.rules, self.catalog)
        self.recent = Recent()
        self.underway: Underway | None = None
        # What only the engine at work knows, for readers; no part of the state.
        self.installing: Installing | None = None
        self.clock: ClockParted | None = None

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
                self.recent.add(record.offset, record.at, changes)
                self.tick_offset, self.ticked_at = record.offset, record.at
                if self.underway:
                    self.underway.tick(record.at, self.identity.n_persons)
                folded.ticks.append((record.offset, record.at))
                folded.changes += [(record.offset, record.at, change) for change in changes]
            case Defined(version=version, files=files):
                self._define(record, version, files, folded)
            case other:
                if isinstance(other, Installed):
                    self._install(record, other, folded)
                elif isinstance(other, ListChanged):
                    self._list_changed(record, other, folded)
                elif isinstance(other, PeopleMerged):
                    self._merge_by_hand(record, other, folded)
                elif isinstance(other, PeopleKeptApart):
                    if self._given(other.one, other.other):
                        self.identity.keep_apart(Person(other.one), Person(other.other))
                elif isinstance(other, PersonSplit):
                    self._split(record, other, folded)
                folded.records.append((record.offset, record.at, other))
        self.number, self.at = record.number, record.at
        belongings = self.identity.belonging_changes()
        folded.belongings += [(self.upto, change) for change in belongings]
        folded.merges += merge_rows(self.identity, record.at)
        self._enlist_new(belongings)
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
                resolution = self.identity.resolve(event, offset, at)
                person = resolution.person
                if resolution.merges:
                    self._take(taken[n_folded:])
                    n_folded = len(taken)
                for merge in resolution.merges:
                    self._merge(merge)
            taken.append((offset, at, person, event))
        self._take(taken[n_folded:])
        self.n_events += len(taken)
        self.n_duplicates += len(events) - len(taken)
        folded.events += taken

    def _take(self, taken: Sequence[tuple[Offset, Instant, Person, Event]]) -> None:
        """Count events for people between two merges."""
        applied = [(person, event, offset) for offset, _, person, event in taken]
        self.profiles.apply_all(applied)
        self.accounts.apply_all(applied)
        arrivals = [Arrival(offset, person, event) for offset, _, person, event in taken]
        self.fold.ingest(arrivals)
        if self.underway:
            self.underway.ingest(arrivals)

    def _merge(self, merge: Merge) -> None:
        self.fold.merge(merge.into, merge.gone)
        self.profiles.merge(merge.into, merge.gone)
        self.accounts.merge(merge.into, merge.gone)
        if self.underway:
            self.underway.merge(merge.into, merge.gone)

    def _merge_by_hand(self, record: LogRecord, body: PeopleMerged, folded: Folded) -> None:
        if not self._given(body.one, body.other):
            folded.merges.append(refused_row(record, body.one, body.other, "nobody has this number", body.by))
            return
        one, other = Person(body.one), Person(body.other)
        # As of now: what the audit saw may have been merged or split since.
        fault = self.identity.objection(one, other) if body.by == AUDIT else ""
        said = Said("merge", by=body.by, reason=body.reason)
        merge = None if fault else self.identity.merge_by_hand(one, other, record.offset, record.at, said)
        if merge is None:
            reason = fault or "they are one person already"
            folded.merges.append(refused_row(record, body.one, body.other, reason, body.by))
        else:
            self._merge(merge)

    def _split(self, record: LogRecord, body: PersonSplit, folded: Folded) -> None:
        """Two people who were taken for one are what each would be; nothing changes before their past was read."""
        fault = "" if self._given(body.person) else "nobody has this number"
        parting = fault or self.identity.parting(Person(body.person), body.merge, body.identifiers)
        if isinstance(parting, str):
            folded.merges.append(refused_row(record, body.person, None, parting, body.by))
            return
        keys = [self.identity.key(row) for row in (*parting.stay, *parting.moved)]
        past = self._past(keys, record.offset)
        part = self.identity.part(parting, record.offset, record.at)
        people = [parting.person, part]
        lives, whose = lives_of(self.identity, people), whose_numbers(self.identity, people)
        lived = Rerun(lives, past, lambda files: load_project(dict(files)).rules, self.catalog).run(record.offset)
        fresh = relived(self.fold.like(), lives, past, before=record.offset)
        self.fold.part(whose, fresh, lives.numbers, lived.stays(lives.numbers) if lived else {})
        if self.underway:
            self.underway.part(whose, lives, past, record.offset)
        self._profiles_again(people, whose, past)
        for name in self.lists.info():
            left = self._not_on(name, people)
            self.fold.enlist(name, left, inside=False)
            self.fold.enlist(name, [person for person in people if person not in left], inside=True)
        folded.merges.append(split_row(self.identity, record, body, people, parting.moved))

    def _profiles_again(self, people: Sequence[Person], whose: Mapping[int, int], past: TheirPast) -> None:
        fresh, place = ProfileStore(), {person: Person(number) for number, person in enumerate(people)}
        owned = ((self.identity.number_of(event.identifiers[0]), event, offset) for offset, event in past.events)
        theirs = [(owner, event, offset) for owner, event, offset in owned if owner is not None and owner in place]
        fresh.apply_all([(place[owner], event, offset) for owner, event, offset in theirs])
        self.profiles.forget(sorted(whose))
        self.profiles.adopt(fresh, people)
        self.accounts.forget(sorted(whose))
        self.accounts.apply_all(theirs)

    def _given(self, *numbers: int) -> bool:
        return all(0 <= number < self.identity.n_persons for number in numbers)

    # --- lists ---

    def _list_changed(self, record: LogRecord, change: ListChanged, folded: Folded) -> None:
        listing = self.lists.apply(change, record.at)
        for identifiers, added in ((listing.removed, False), (listing.added, True)):
            folded.lists += [(record.offset, record.at, change.name, each, added) for each in identifiers]
            known = self._owners(identifiers)
            # Whoever leaves by one identifier may still be on the list by another.
            self.fold.enlist(change.name, known if added else self._not_on(change.name, known), inside=added)

    def _enlist_new(self, belongings: Sequence[Belonging]) -> None:
        """An identifier that was on a list before it had this person; one that left the person."""
        for belonging in belongings:
            for name in self.lists.naming(belonging.identifier):
                if belonging.to_offset is None:
                    self.fold.enlist(name, [belonging.person], inside=True)
                elif self.identity.current(belonging.person) == belonging.person:
                    self.fold.enlist(name, self._not_on(name, [belonging.person]), inside=False)

    def _owners(self, identifiers: Iterable[str]) -> list[Person]:
        """The people of those identifiers that somebody has."""
        split = (each.partition(":") for each in identifiers)
        found = (self.identity.number_of(Identifier(kind, value)) for kind, _, value in split)
        return [person for person in dict.fromkeys(found) if person is not None]

    def _not_on(self, name: str, persons: Iterable[Person]) -> list[Person]:
        def keys(person: Person) -> list[str]:
            return [f"{each.kind}:{each.value}" for each in self.identity.identifiers(person)]

        return [person for person in persons if not self.lists.has(name, keys(person))]

    # --- definitions ---

    def _define(self, record: LogRecord, version: int, files: dict[str, str], folded: Folded) -> None:
        """A version is in force at once if every leaf is there; else it is on its way, in the place of any other."""
        if self._is_known(version, files):
            return
        project = load_project(files)
        self.identity.rules = project.identity
        shadow = self.fold.beside(project.rules, self.catalog)
        in_force = not (shadow.leaves() and self.n_events)
        folded.definitions.append((record.offset, record.at, version, files, in_force))
        if in_force:
            # Before the first event no leaf lacks a past. One that replaced another fold would go on asking for it.
            fold = Fold(project.rules, self.catalog, replacing=self.fold if self.n_events else None)
            self._put_in_force(record, version, files, project, fold)
            return
        self.underway = Underway(
            version=version,
            defined=record.number,
            counted_at=self.ticked_at,
            files=files,
            project=project,
            shadow=shadow,
        )

    def _is_known(self, version: int, files: dict[str, str]) -> bool:
        """Whether the newest definition is this one: what comes from Records may come twice."""
        newest = (self.underway.version, self.underway.files) if self.underway else (self.version, self.files)
        return newest == (version, files)

    def _install(self, record: LogRecord, installed: Installed, folded: Folded) -> None:
        """The past of the version on its way is folded. One that was given up meanwhile, or is in force, is no news."""
        underway = self.underway
        if underway is None or (installed.version, installed.defined) != (underway.version, underway.defined):
            return
        try:
            past = unpacked_past(self._blob(installed.blob), underway.order, self.catalog)
        except (NotFound, Corrupt) as error:
            # Not in force, then: the job makes the blob again, and another record will name it.
            _log.error("version %d cannot be put in force: %s", installed.version, error.message)
            return
        fold = underway.installed(past, self.fold, self.catalog, self._split_since(underway, record))
        folded.definitions.append((record.offset, record.at, installed.version, None, True))
        self._put_in_force(record, underway.version, underway.files, underway.project, fold)

    def _split_since(self, underway: Underway, record: LogRecord) -> SplitPast | None:
        """What the blob does not know: people whom a split took apart since it was asked for."""
        people = sorted({self.identity.current(Person(number)) for number in underway.split})
        if not people:
            return None
        keys = [f"{each.kind}:{each.value}" for person in people for each in self.identity.identifiers(person)]
        past = self._past(keys, record.offset)
        return SplitPast(lives_of(self.identity, people), whose_numbers(self.identity, people), past)

    def _put_in_force(
        self, record: LogRecord, version: int, files: dict[str, str], project: Project, fold: Fold
    ) -> None:
        self.version, self.files, self.project, self.fold = version, files, project, fold
        self.underway = None
        self.started_at = self.started_at or record.at
        self.profiles.declare(project.profile.indexed(), project.profile.merges())

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
        holds = self.fold.holding(self.project.rules.conditions[condition])
        return [Person(number) for number in np.flatnonzero(holds).tolist()]

    def which(self, condition: str, persons: Sequence[Person]) -> frozenset[Person]:
        """Those of `persons`, numbers as given, for whom a named condition is true."""
        current = [self.identity.current(person) for person in persons]
        truths = self.fold.truths([condition], current)[condition]
        return frozenset(person for person, true in zip(persons, truths, strict=True) if true)

    def state_hash(self) -> str:
        """A digest of who is who and of all that is known of them; how it came to that leaves no trace in it."""
        everybody = [Person(number) for number in range(self.identity.n_persons)]
        profiles = [(self.profiles.view(person), self.profiles.history(person)) for person in everybody]
        lists = {name: sorted(self.lists.identifiers(name)) for name in self.lists.info()}
        told = [
            self.identity.digest(),
            profiles,
            self.accounts.digest(),
            lists,
            self.fold.state_hash(self.identity.n_persons),
        ]
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()

    # --- checkpoints ---

    def freeze(self) -> FrozenState:
        """A quick copy, for a checkpoint; only between two records, the last of which was a tick."""
        counters = {name: getattr(self, name) for name in _COUNTERS}
        counters["underway"] = self.underway and self.underway.counters()
        told = msgspec.msgpack.encode(counters)
        folds = {"fold": self.fold.freeze()} | ({"shadow": self.underway.shadow.freeze()} if self.underway else {})
        return FrozenState(
            number=self.number,
            upto=self.upto,
            plain={
                "counters": lambda: told,
                "identity": self.identity.freeze(),
                "profiles": self.profiles.freeze(),
                "accounts": self.accounts.freeze(),
                "catalog": self.catalog.freeze(),
                "dedupe": self.dedupe.freeze(),
                "lists": self.lists.freeze(),
            },
            folds=folds,
        )

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take over the state that was frozen: all of it, or, if a part cannot be read, nothing."""
        counters = msgspec.msgpack.decode(parts["counters"])
        project = load_project(counters["files"])
        catalog = Catalog.load(parts["catalog"])
        identity = IdentityGraph.load(parts["identity"])
        underway = counters.pop("underway")
        loaded = {
            "identity": identity,
            "profiles": ProfileStore.load(parts["profiles"]),
            "accounts": AccountBook.load(parts["accounts"]),
            "dedupe": DedupeIndex.load(parts["dedupe"]),
            "fold": Fold.load(parts_below("fold", parts), project.rules, catalog, identity.firsts),
            "lists": ListBook.load(parts["lists"]),
            "catalog": catalog,
            "project": project,
            "underway": underway and restored(underway, parts_below("shadow", parts), catalog),
        }
        for name, value in (counters | loaded).items():
            setattr(self, name, value)
        self.identity.rules = (self.underway.project if self.underway else project).identity
        self.profiles.declare(project.profile.indexed(), project.profile.merges())
        self.recent = Recent(Cursor(self.tick_offset))
        self.fold.listed_as({name: self._owners(self.lists.identifiers(name)) for name in self.lists.info()})


_COUNTERS = ("number", "at", "tick_offset", "ticked_at", "version", "started_at", "n_events", "n_duplicates", "files")
