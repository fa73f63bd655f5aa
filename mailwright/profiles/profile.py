"""What is kept per person beside the rule leaves: traits with their source, and when the person was seen."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.core.presence import is_sign_of_life
from mailwright.profiles.columns import from_little_endian, little_endian
from mailwright.profiles.trait_index import TraitIndex
from mailwright.profiles.writes import TraitBook, effective

_FORMAT = 3
_NEVER = (1 << 63) - 1  # first_seen_at of a number without events: later than any instant
_LONG_AGO = -(1 << 63)
_person = itemgetter(0)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One person's profile.

    Attributes:
        traits: Trait name -> the write that counts; removed ones left out. Nested objects are one value.
        first_seen_at: Earliest stamp of an event; for a number without events 0, as is last_seen_at.
        last_seen_at: Newest stamp of a sign of life, see `mailwright.core.presence`; without any, first_seen_at.
        n_events: Events, duplicates not counted.
        sources: Source -> newest stamp of an event that it brought.
    """

    traits: Mapping[str, Known]
    first_seen_at: Instant
    last_seen_at: Instant
    n_events: int
    sources: Mapping[str, Instant] = {}


class _State(msgspec.Struct, array_like=True):
    """The store as written: columns as little-endian int64; traits by person, cut into chunks of people."""

    format: int
    first_seen: bytes
    last_seen: bytes
    n_events: bytes
    newest: list[bytes]
    older: list[bytes]
    sources: dict[str, bytes]


class ProfileStore:
    """Profiles by person number. Applying events and merges in any order of arrival gives the same profile.

    To make people anew from their events: `forget` them, then `apply_all` again, or `adopt` them from a store that did.
    """

    def __init__(self) -> None:
        self._first_seen = array("q")
        self._last_seen = array("q")
        self._n_events = array("q")
        self._sources: dict[str, array[int]] = {}  # each as long as it must be
        self._traits = TraitBook()
        self._index = TraitIndex()
        self._merges: Mapping[str, str] = {}

    def declare(self, indexed: frozenset[str], merges: Mapping[str, str]) -> None:
        """Which traits people are looked up by, and of which another write than the newest counts.

        No part of the state: it is told again whenever the definitions change or a state was loaded.
        """
        if self._index.names != indexed or self._merges != merges:
            self._merges = dict(merges)
            self._index = TraitIndex(indexed)
            for person in self._traits.numbers():
                self._index_again(person, {})

    def apply(self, person: Person, event: Event, offset: Offset) -> None:
        """Count an event; an identify also writes its traits (null removes), the last by (stamp, offset) counts."""
        self.apply_all([(person, event, offset)])

    def apply_all(self, applied: Sequence[tuple[Person, Event, Offset]]) -> None:
        """`apply` each in order."""
        if not applied:
            return
        newest = max(applied, key=_person)[0]
        if newest >= len(self._n_events):
            self._grow(newest + 1)
        first_seen, last_seen, n_events = self._first_seen, self._last_seen, self._n_events
        source, seen = "", array("q")
        for person, event, offset in applied:
            stamp = event.stamp_at
            if stamp < first_seen[person]:
                first_seen[person] = stamp
            if stamp > last_seen[person] and is_sign_of_life(event):
                last_seen[person] = stamp
            n_events[person] += 1
            if event.source != source or person >= len(seen):
                source, seen = event.source, self._seen_by(event.source, person)
            if stamp > seen[person]:
                seen[person] = stamp
            if event.type == "identify" and event.traits:
                before = self._keys(person, event.traits)
                self._traits.told(person, stamp, offset, event.traits, source)
                if before is not None:
                    self._index_again(person, before)

    def merge(self, into: Person, gone: Person) -> None:
        """Combine `gone` into `into` exactly, as if all events had been of `into`; `gone` is empty afterwards."""
        self._grow(max(into, gone) + 1)
        self._first_seen[into] = min(self._first_seen[into], self._first_seen[gone])
        self._last_seen[into] = max(self._last_seen[into], self._last_seen[gone])
        self._n_events[into] += self._n_events[gone]
        for source, seen in self._sources.items():
            if gone < len(seen) and seen[gone] != _LONG_AGO:
                seen = self._seen_by(source, into)
                seen[into] = max(seen[into], seen[gone])
        theirs, mine = self._keys(gone, None), self._keys(into, None)
        self._traits.merge(into, gone)
        self._forget_columns(gone)
        if theirs is not None and mine is not None:
            self._index_again(gone, theirs)
            self._index_again(into, mine)

    def forget(self, persons: Sequence[int]) -> None:
        """Nothing is known of these people any more."""
        self._grow(max(persons, default=-1) + 1)
        for person in persons:
            before = self._keys(person, None)
            self._forget_columns(person)
            self._traits.forget(person)
            if before is not None:
                self._index_again(person, before)

    def adopt(self, other: ProfileStore, persons: Sequence[Person]) -> None:
        """Take over the people 0, 1, ... of another store, as these, of whom nothing is known here."""
        self._grow(max(persons, default=-1) + 1)
        other._grow(len(persons))
        for place, person in enumerate(persons):
            self._first_seen[person] = other._first_seen[place]
            self._last_seen[person] = other._last_seen[place]
            self._n_events[person] = other._n_events[place]
            for source, seen in other._sources.items():
                if place < len(seen) and seen[place] != _LONG_AGO:
                    self._seen_by(source, person)[person] = seen[place]
            self._traits.adopt(other._traits, place, person)
            self._index_again(person, {})

    def _forget_columns(self, person: int) -> None:
        self._first_seen[person], self._last_seen[person], self._n_events[person] = _NEVER, _LONG_AGO, 0
        for seen in self._sources.values():
            if person < len(seen):
                seen[person] = _LONG_AGO

    # --- the index ---

    def _keys(self, person: int, traits: Mapping[str, Any] | None) -> dict[str, frozenset[bytes]] | None:
        """Under what a person stands in the index; None if writes of `traits` (None: any) cannot change it."""
        names = self._index.names
        if not names or (traits is not None and names.isdisjoint(traits)):
            return None
        return {
            name: self._index.keys(write[2] if (write := self._effective(person, name)) else None) for name in names
        }

    def _index_again(self, person: int, before: Mapping[str, frozenset[bytes]]) -> None:
        now = self._keys(person, None)
        if now is not None:
            self._index.move(person, before, now)

    def having(self, trait: str, value: Any) -> list[Person]:
        """People whose indexed trait has this value now, ascending; of a list, one of whose elements it is.

        A sealed value is asked as ``{"hash": ...}``.

        Raises:
            KeyError: If the trait has no index.
        """
        return [Person(number) for number in self._index.having(trait, value)]

    def _effective(self, person: int, name: str) -> tuple[int, int, Any, str] | None:
        merge = self._merges.get(name)
        if merge is not None:
            return effective(self._traits.writes(person, name), merge)
        write = self._traits.newest(person).get(name)
        return None if write is None or write[2] is None else write

    # --- reading ---

    def view(self, person: Person) -> Profile:
        """The profile of a person; one without events is empty."""
        known = person < len(self._n_events) and self._n_events[person] > 0
        first = self._first_seen[person] if known else 0
        last = self._last_seen[person] if known else _LONG_AGO
        return Profile(
            traits={
                name: Known(value=write[2], at=Instant(write[0]), source=write[3])
                for name in self._traits.newest(person)
                if (write := self._effective(person, name)) is not None
            },
            first_seen_at=Instant(first),
            last_seen_at=Instant(first if last == _LONG_AGO else last),
            n_events=self._n_events[person] if known else 0,
            sources={
                source: Instant(seen[person])
                for source, seen in sorted(self._sources.items())
                if person < len(seen) and seen[person] != _LONG_AGO
            },
        )

    def history(self, person: Person) -> dict[str, list[Known]]:
        """Trait -> its kept writes, newest first; a removal has the value None. See `mailwright.profiles.writes`."""
        return {
            name: [
                Known(value=value, at=Instant(stamp), source=source)
                for stamp, _, value, source in self._traits.writes(person, name)
            ]
            for name in self._traits.newest(person)
        }

    def _grow(self, n: int) -> None:
        more = n - len(self._n_events)
        if more > 0:
            self._first_seen.extend([_NEVER] * more)
            self._last_seen.extend([_LONG_AGO] * more)
            self._n_events.extend([0] * more)

    def _seen_by(self, source: str, person: int) -> array[int]:
        """The column of a source, long enough for a person."""
        seen = self._sources.get(source)
        if seen is None:
            seen = self._sources[sys.intern(source)] = array("q")
        if person >= len(seen):
            seen.extend([_LONG_AGO] * (person + 1 - len(seen)))
        return seen

    # --- checkpoints ---

    def freeze(self) -> Callable[[], bytes]:
        """The store as it is now, to be encoded later, in any thread, while the store goes on."""
        columns = self._first_seen[:], self._last_seen[:], self._n_events[:]
        sources = {source: seen[:] for source, seen in self._sources.items()}
        traits = self._traits.frozen()

        def encode() -> bytes:
            first, last, counts = map(little_endian, columns)
            seen = {source: little_endian(sources[source]) for source in sorted(sources)}
            return msgspec.msgpack.encode(_State(_FORMAT, first, last, counts, *traits.chunks(), seen))

        return encode

    def dump(self) -> bytes:
        """The store as bytes, see `freeze`."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> ProfileStore:
        """The store that `dump` wrote; `declare` it again.

        Raises:
            Corrupt: If the bytes are none.
        """
        store = cls()
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            if state.format != _FORMAT:
                raise Corrupt("profiles.state", f"the profiles have format {state.format}, known is {_FORMAT}")
            store._traits = TraitBook.of(state.newest, state.older)
        except msgspec.MsgspecError as error:
            raise Corrupt("profiles.state", f"the profiles cannot be decoded: {error}") from error
        store._first_seen = from_little_endian(state.first_seen)
        store._last_seen = from_little_endian(state.last_seen)
        store._n_events = from_little_endian(state.n_events)
        store._sources = {sys.intern(name): from_little_endian(column) for name, column in state.sources.items()}
        return store
