"""Leaves beyond one cell per person: decayed scores, and the lines of ordered leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event, Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.lines import Line
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

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more."""
        self.cells.forget(persons)

    def adopt(self, other: Decayed, persons: Ints, codes: Ints | None) -> None:
        """Add the scores of another store's people 0, 1, ... to those of `persons`."""
        del codes
        self._rebase(max(self._reference, other._reference))
        shift = np.exp2((other._reference - self._reference) / self.half_life)
        self.cells["value"][persons] += other.cells["value"][: len(persons)] * shift

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


_BLOCK = 64  # people whose lines are one piece of a checkpoint


class Kept:
    """The lines of an ordered leaf, by person."""

    def __init__(self, make: Callable[[], Line]) -> None:
        self._make = make
        self._empty = make()
        self._lines: dict[int, Line] = {}
        self._written: dict[int, bytes] = {}  # block -> its bytes, unless they changed since

    def grow(self, n: int) -> None:
        """Nothing to make room for."""

    def keep(self, rows: Rows, events: Sequence[Event]) -> None:
        """Take in `events`, one per row."""
        for person, offset, event in zip(rows.person.tolist(), rows.offset.tolist(), events, strict=True):
            self._line(person).take(offset, event)

    def _line(self, person: int) -> Line:
        """A person's line, about to change."""
        self._written.pop(person // _BLOCK, None)
        line = self._lines.get(person)
        if line is None:
            line = self._lines[person] = self._make()
        return line

    def value(self, person: int) -> Any:
        """What the leaf says of a person; of a sequence all instants of completion."""
        return self._lines.get(person, self._empty).value()

    def merge(self, into: Person, gone: Person) -> None:
        """The events of one person become another's."""
        moved = self._lines.pop(gone, None)
        if moved is not None:
            self._written.pop(gone // _BLOCK, None)
            self._line(into).join(moved)

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more."""
        for person in persons.tolist():
            if self._lines.pop(person, None) is not None:
                self._written.pop(person // _BLOCK, None)

    def adopt(self, other: Kept, persons: Ints, codes: Ints | None) -> None:
        """Join the lines of another store's people 0, 1, ... to those of `persons`."""
        del codes
        for person, line in other._lines.items():
            self._line(int(persons[person])).join(line)

    def combine(self, other: Kept, codes: Ints | None) -> None:
        """Join the events of another part of the log."""
        del codes
        for person, line in other._lines.items():
            self._line(person).join(line)

    def dump(self) -> dict[str, Any]:
        """Plain data; only blocks of people in which something changed are written anew."""
        changed: dict[int, list[int]] = {}
        for person in self._lines:
            if person // _BLOCK not in self._written:
                changed.setdefault(person // _BLOCK, []).append(person)
        for block, persons in changed.items():
            lines = [[person, self._lines[person].dump()] for person in sorted(persons)]
            self._written[block] = msgspec.msgpack.encode(lines)
        return {"blocks": [self._written[block] for block in sorted(self._written)]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._lines, self._written = {}, {}
        for block in state["blocks"]:
            for person, line in msgspec.msgpack.decode(block):
                self._lines[person] = self._make()
                self._lines[person].load(line)

    def digest(self, words: object) -> list[Any]:
        """What the state hash sees."""
        del words
        return [(person, self._lines[person].dump()) for person in sorted(self._lines)]
