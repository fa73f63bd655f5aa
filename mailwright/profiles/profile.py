"""What is kept per person beside the rule leaves: traits with their source, and when the person was seen."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant

_FORMAT = 1
_NEVER = (1 << 63) - 1  # first_seen_at of a number without events: later than any instant
_LONG_AGO = -(1 << 63)


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
    """The store as written: columns as little-endian int64, traits by person."""

    format: int
    first_seen: list[int]
    last_seen: list[int]
    n_events: list[int]
    traits: dict[int, dict[str, _Write]]


class ProfileStore:
    """Profiles by person number. Applying events and merges in any order of arrival gives the same profile."""

    def __init__(self) -> None:
        self._first_seen = array("q")
        self._last_seen = array("q")
        self._n_events = array("q")
        self._traits: dict[int, dict[str, _Write]] = {}

    def apply(self, person: Person, event: Event, offset: Offset) -> None:
        """Count an event; an identify also writes its traits (null removes), the last by (stamp, offset) counts."""
        if person >= len(self._n_events):
            self._grow(person + 1)
        stamp = event.stamp_at
        if stamp < self._first_seen[person]:
            self._first_seen[person] = stamp
        if stamp > self._last_seen[person]:
            self._last_seen[person] = stamp
        self._n_events[person] += 1
        if event.type == "identify" and event.traits:
            traits = self._traits.setdefault(person, {})
            for name, value in event.traits.items():
                _write(traits, name, (stamp, offset, value, event.source))

    def merge(self, into: Person, gone: Person) -> None:
        """Combine `gone` into `into` exactly, as if all events had been of `into`; `gone` is empty afterwards."""
        self._grow(max(into, gone) + 1)
        self._first_seen[into] = min(self._first_seen[into], self._first_seen[gone])
        self._last_seen[into] = max(self._last_seen[into], self._last_seen[gone])
        self._n_events[into] += self._n_events[gone]
        self._first_seen[gone], self._last_seen[gone], self._n_events[gone] = _NEVER, _LONG_AGO, 0
        moved = self._traits.pop(gone, None)
        if moved:
            traits = self._traits.setdefault(into, {})
            for name, write in moved.items():
                _write(traits, name, write)

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

    def dump(self) -> bytes:
        """The store as bytes."""
        columns = (self._first_seen.tolist(), self._last_seen.tolist(), self._n_events.tolist())
        return msgspec.msgpack.encode(_State(_FORMAT, *columns, self._traits))

    @classmethod
    def load(cls, data: bytes) -> ProfileStore:
        """The store that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
        except msgspec.MsgspecError as error:
            raise Corrupt("profiles.state", f"the profiles cannot be decoded: {error}") from error
        if state.format != _FORMAT:
            raise Corrupt("profiles.state", f"the profiles have format {state.format}, known is {_FORMAT}")
        store = cls()
        store._first_seen = array("q", state.first_seen)
        store._last_seen = array("q", state.last_seen)
        store._n_events = array("q", state.n_events)
        store._traits = state.traits
        return store


def _write(traits: dict[str, _Write], name: str, write: _Write) -> None:
    old = traits.get(name)
    if old is None or write[:2] >= old[:2]:
        traits[name] = write
