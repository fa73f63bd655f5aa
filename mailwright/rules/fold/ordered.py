"""Leaves beyond one cell per person: decayed scores, and the events of ordered leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.rows import Ints, Rows

_MICRO = 1e6
_SPAN = 64  # half-lives between two reference instants: 2^64 x any sum of points is far inside a double


class Decayed:
    """Sum of points x 2^((stamp - reference) / half_life): forward decay, so that an event is one addition."""

    def __init__(self, half_life: int) -> None:
        self.half_life = half_life
        self.cells = Columns(value=np.float64(0))
        self._reference = 0

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        self.cells.grow(n)

    def at_tick(self, t: Instant) -> None:
        """Before rows of a tick at `t` are added: move the reference on, always to a multiple of the same span."""
        span = _SPAN * self.half_life
        self._rebase(max(self._reference, t // span * span))

    def _rebase(self, reference: int) -> None:
        if reference != self._reference:
            self.cells["value"][:] *= np.exp2((self._reference - reference) / self.half_life)
            self._reference = reference

    def add(self, rows: Rows) -> None:
        """Add points (micro-units), in the order given."""
        weight = np.exp2((rows.stamp - self._reference) / self.half_life)
        np.add.at(self.cells["value"], rows.person, rows.value / _MICRO * weight)

    def current(self, persons: Ints, t: Instant) -> NDArray[np.float64]:
        """The scores as of `t`."""
        return np.asarray(self.cells["value"][persons] * np.exp2((self._reference - t) / self.half_life))

    def merge(self, into: Person, gone: Person) -> None:
        """Add one person's score to another's."""
        self.cells["value"][into] += self.cells["value"][gone]
        self.cells.clear(gone)

    def combine(self, other: Decayed, codes: Ints | None) -> None:
        """Add the scores of another part of the log."""
        del codes
        self._rebase(max(self._reference, other._reference))
        shift = np.exp2((other._reference - self._reference) / self.half_life)
        self.cells["value"][: other.cells.n] += other.cells["value"][: other.cells.n] * shift

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        return {"reference": self._reference, "value": self.cells["value"][: self.cells.n]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._reference = state["reference"]
        self.cells.load({"value": state["value"]})

    def digest(self, words: object) -> list[Any]:
        """Nothing: sums of floating-point numbers depend on their order in the last bits."""
        del words
        return []


class Kept:
    """The events that an ordered leaf reads, whole, by person."""

    def __init__(self) -> None:
        self._events: dict[int, list[tuple[int, int, Event]]] = {}

    def grow(self, n: int) -> None:
        """Nothing to make room for."""

    def keep(self, rows: Rows, events: Sequence[Event]) -> None:
        """Keep `events`, one per row."""
        for person, offset, event in zip(rows.person.tolist(), rows.offset.tolist(), events, strict=True):
            self._events.setdefault(person, []).append((event.stamp_at, offset, event))

    def of(self, person: Person) -> list[tuple[Offset, Event]]:
        """A person's events with their offsets, by (stamp, offset)."""
        return [(Offset(offset), event) for _, offset, event in self._sorted(person)]

    def _sorted(self, person: int) -> list[tuple[int, int, Event]]:
        return sorted(self._events.get(person, ()), key=lambda kept: kept[:2])

    def merge(self, into: Person, gone: Person) -> None:
        """The events of one person become another's."""
        moved = self._events.pop(gone, [])
        if moved:
            self._events.setdefault(into, []).extend(moved)

    def combine(self, other: Kept, codes: Ints | None) -> None:
        """Join the events of another part of the log."""
        del codes
        for person, events in other._events.items():
            self._events.setdefault(person, []).extend(events)

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        persons = sorted(self._events)
        kept = [[(offset, event) for _, offset, event in self._sorted(person)] for person in persons]
        return {"persons": persons, "events": msgspec.msgpack.encode(kept)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        kept = msgspec.msgpack.decode(state["events"], type=list[list[tuple[int, Event]]])
        self._events = {
            person: [(event.stamp_at, offset, event) for offset, event in events]
            for person, events in zip(state["persons"], kept, strict=True)
        }

    def digest(self, words: object) -> list[Any]:
        """What the state hash sees."""
        del words
        return [(person, [kept[:2] for kept in self._sorted(person)]) for person in sorted(self._events)]
