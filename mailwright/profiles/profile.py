"""What is kept per person beside the rule leaves: traits with their source, and when the person was seen."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.profiles.columns import from_little_endian, little_endian

_FORMAT = 2
_CHUNK = 1 << 12  # people encoded at a time: a thread that writes a checkpoint lets others run between two chunks
_NEVER = (1 << 63) - 1  # first_seen_at of a number without events: later than any instant
_LONG_AGO = -(1 << 63)
_person = itemgetter(0)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One person's profile.

    Attributes:
        traits: Trait name -> last write; removed ones left out. Nested objects are one value.
        first_seen_at: Earliest stamp of an event; for a number without events 0, as is last_seen_at.
        n_events: Events, duplicates not counted.
    """

    traits: Mapping[str, Known]
    first_seen_at: Instant
    last_seen_at: Instant
    n_events: int


# A trait as kept: (stamp, offset, value, source). Stamp and offset first, so that the order of writes is that of the
# tuples' first two members; a removed trait stays with the value None, or a late older write would bring it back.
_Write = tuple[int, int, Any, str]


class _State(msgspec.Struct, array_like=True):
    """The store as written: columns as little-endian int64; traits by person, cut into chunks of people."""

    format: int
    first_seen: bytes
    last_seen: bytes
    n_events: bytes
    traits: list[bytes]


class ProfileStore:
    """Profiles by person number. Applying events and merges in any order of arrival gives the same profile."""

    def __init__(self) -> None:
        self._first_seen = array("q")
        self._last_seen = array("q")
        self._n_events = array("q")
        # A person's traits are replaced, never changed in place: a frozen state may share them.
        self._traits: dict[int, dict[str, _Write]] = {}

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
        for person, event, offset in applied:
            stamp = event.stamp_at
            if stamp < first_seen[person]:
                first_seen[person] = stamp
            if stamp > last_seen[person]:
                last_seen[person] = stamp
            n_events[person] += 1
            if event.type == "identify" and event.traits:
                source = event.source
                self._write(person, {name: (stamp, offset, value, source) for name, value in event.traits.items()})

    def merge(self, into: Person, gone: Person) -> None:
        """Combine `gone` into `into` exactly, as if all events had been of `into`; `gone` is empty afterwards."""
        self._grow(max(into, gone) + 1)
        self._first_seen[into] = min(self._first_seen[into], self._first_seen[gone])
        self._last_seen[into] = max(self._last_seen[into], self._last_seen[gone])
        self._n_events[into] += self._n_events[gone]
        self._first_seen[gone], self._last_seen[gone], self._n_events[gone] = _NEVER, _LONG_AGO, 0
        moved = self._traits.pop(gone, None)
        if moved:
            self._write(into, moved)

    def forget(self, persons: Sequence[int]) -> None:
        """Nothing is known of these people any more."""
        self._grow(max(persons, default=-1) + 1)
        for person in persons:
            self._first_seen[person], self._last_seen[person], self._n_events[person] = _NEVER, _LONG_AGO, 0
            self._traits.pop(person, None)

    def adopt(self, other: ProfileStore, persons: Sequence[Person]) -> None:
        """Take over the people 0, 1, ... of another store, as these; the other must not be used any more."""
        self._grow(max(persons, default=-1) + 1)
        other._grow(len(persons))
        for place, person in enumerate(persons):
            self._first_seen[person] = other._first_seen[place]
            self._last_seen[person] = other._last_seen[place]
            self._n_events[person] = other._n_events[place]
            if place in other._traits:
                self._traits[person] = other._traits[place]

    def _write(self, person: Person, writes: Mapping[str, _Write]) -> None:
        traits = dict(self._traits.get(person, ()))
        for name, write in writes.items():
            old = traits.get(name)
            if old is None or write[:2] >= old[:2]:
                traits[name] = write
        self._traits[person] = traits

    def view(self, person: Person) -> Profile:
        """The profile of a person; one without events is empty."""
        known = person < len(self._n_events) and self._n_events[person] > 0
        return Profile(
            traits={
                name: Known(value=value, at=Instant(stamp), source=source)
                for name, (stamp, _, value, source) in self._traits.get(person, {}).items()
                if value is not None
            },
            first_seen_at=Instant(self._first_seen[person] if known else 0),
            last_seen_at=Instant(self._last_seen[person] if known else 0),
            n_events=self._n_events[person] if known else 0,
        )

    def _grow(self, n: int) -> None:
        more = n - len(self._n_events)
        if more > 0:
            self._first_seen.extend([_NEVER] * more)
            self._last_seen.extend([_LONG_AGO] * more)
            self._n_events.extend([0] * more)

    def freeze(self) -> Callable[[], bytes]:
        """The store as it is now, to be encoded later, in any thread, while the store goes on."""
        first_seen, last_seen, n_events = self._first_seen[:], self._last_seen[:], self._n_events[:]
        traits = self._traits.copy()

        def encode() -> bytes:
            left = iter(traits.items())
            chunks = []
            while chunk := dict(islice(left, _CHUNK)):
                chunks.append(msgspec.msgpack.encode(chunk))
            first, last, counts = map(little_endian, (first_seen, last_seen, n_events))
            return msgspec.msgpack.encode(_State(_FORMAT, first, last, counts, chunks))

        return encode

    def dump(self) -> bytes:
        """The store as bytes, see `freeze`."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> ProfileStore:
        """The store that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            chunks = [msgspec.msgpack.decode(chunk, type=dict[int, dict[str, _Write]]) for chunk in state.traits]
        except msgspec.MsgspecError as error:
            raise Corrupt("profiles.state", f"the profiles cannot be decoded: {error}") from error
        if state.format != _FORMAT:
            raise Corrupt("profiles.state", f"the profiles have format {state.format}, known is {_FORMAT}")
        store = cls()
        store._first_seen = from_little_endian(state.first_seen)
        store._last_seen = from_little_endian(state.last_seen)
        store._n_events = from_little_endian(state.n_events)
        store._traits = {person: traits for chunk in chunks for person, traits in chunk.items()}
        return store
