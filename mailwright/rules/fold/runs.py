"""Rows kept by person: for windows that need every row again, and for counts per distinct value.

A sorted run answers "all rows of these people" by two binary searches; new rows wait in an unsorted tail and are
merged in when the tail has grown past a share of the run, so that each row is moved a logarithmic number of times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mailwright.core.events import Person
from mailwright.rules.fold.rows import Dictionary, Ints, Rows, join, no_rows

_TAIL = 16_384  # below this many rows a merge is not worth its sort
FOREVER = np.iinfo(np.int64).max


class Found(NamedTuple):
    """Rows of the asked people, sorted by (group, stamp, offset, place); `group` is the index into the question."""

    group: Ints
    rows: Rows


class Ledger:
    """Every row of the last `retention` microseconds (FOREVER: all)."""

    def __init__(self, retention: int) -> None:
        self.retention = retention
        self._run = no_rows()
        self._tail: list[Rows] = []
        self._n_tail = 0
        self._at = 0

    def grow(self, n: int) -> None:
        """Nothing to make room for."""

    def add(self, rows: Rows) -> None:
        """Remember the rows."""
        if len(rows.person):
            self._tail.append(rows)
            self._n_tail += len(rows.person)
        if self._n_tail > max(_TAIL, len(self._run.person) // 4):
            self._settle()

    def at_tick(self, at: int) -> None:
        """Time has come to `at`: what left the retention is dropped at the next merge of the tail."""
        self._at = max(self._at, at)

    def of(self, persons: Ints) -> Found:
        """All rows of `persons` (distinct numbers)."""
        start, stop = (np.searchsorted(self._run.person, persons, side) for side in ("left", "right"))
        sizes = stop - start
        group = np.repeat(np.arange(len(persons)), sizes)
        index = np.arange(len(group)) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
        found = Found(group, self._run.take(index))
        return self._with_tail(found, persons) if self._n_tail else found

    def _with_tail(self, found: Found, persons: Ints) -> Found:
        if not len(persons):
            return found
        tail = self._whole_tail()
        by_number = np.argsort(persons)
        place = np.minimum(np.searchsorted(persons[by_number], tail.person), len(persons) - 1)
        hit = persons[by_number][place] == tail.person
        group = np.append(found.group, by_number[place[hit]])
        rows = join([found.rows, tail.take(hit)])
        order = np.lexsort((rows.place, rows.offset, rows.stamp, group))
        return Found(group[order], rows.take(order))

    def _whole_tail(self) -> Rows:
        if len(self._tail) > 1:
            self._tail = [join(self._tail)]
        return self._tail[0] if self._tail else no_rows()

    def _settle(self) -> None:
        rows = join([self._run, *self._tail])
        if self.retention != FOREVER:
            rows = rows.take(rows.stamp > self._at - self.retention)
        self._run, self._tail, self._n_tail = self._reduced(rows.take(rows.order())), [], 0

    def _reduced(self, rows: Rows) -> Rows:
        return rows

    def merge(self, into: Person, gone: Person) -> None:
        """The rows of one person become another's."""
        start, stop = (int(np.searchsorted(self._run.person, gone, side)) for side in ("left", "right"))
        moved = self._run.take(np.arange(start, stop))
        self._run = Rows(*(np.delete(column, np.s_[start:stop]) for column in self._run)) if stop > start else self._run
        tail = self._whole_tail()
        self._tail = [tail._replace(person=np.where(tail.person == gone, into, tail.person))]
        self._n_tail = len(tail.person)
        self.add(moved._replace(person=np.full_like(moved.person, into)))

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more."""
        self._settle()
        self._run = self._run.take(~np.isin(self._run.person, persons))

    def adopt(self, other: Ledger, persons: Ints, codes: Ints | None) -> None:
        """Join the rows of another store's people 0, 1, ... to those of `persons`."""
        other._settle()
        run = other._run._replace(person=persons[other._run.person])
        Ledger.add(self, run if codes is None else run._replace(value=codes[run.value]))

    def combine(self, other: Ledger, codes: Ints | None) -> None:
        """Join the rows of another part of the log; `codes` translates its dictionary."""
        other._settle()
        self.add(other._run if codes is None else other._run._replace(value=codes[other._run.value]))

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        self._settle()
        return {"at": self._at, **self._run._asdict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._at = state["at"]
        self._run = Rows(*(state[name] for name in Rows._fields))
        self._tail, self._n_tail = [], 0

    def digest(self, words: Dictionary | None) -> list[Any]:
        """What the state hash sees: values, not codes."""
        self._settle()
        names = words.digests() if words else []
        shown = [names[code] if code >= 0 and names else code for code in self._run.value.tolist()]
        return [*(column.tolist() for column in self._run[:-1]), shown]


class Tally(Ledger):
    """One row per person and distinct value: its count, and the place of its latest appearance.

    Between merges the tail holds single appearances; `counted` adds up what `of` finds. A row's count stands in
    `place` once reduced, so the place in the list is folded into the offset's lowest bits before (see `add`).
    """

    _PLACES = 4096

    def __init__(self) -> None:
        super().__init__(FOREVER)

    def add(self, rows: Rows) -> None:
        """Count the appearances; the place inside a list (at most 4095 is told apart) moves into the offset."""
        within = np.minimum(rows.place, self._PLACES - 1)
        super().add(rows._replace(offset=rows.offset * self._PLACES + within, place=np.ones_like(rows.place)))

    def _reduced(self, rows: Rows) -> Rows:
        return _per_value(Found(rows.person, rows)).rows

    def counted(self, persons: Ints) -> Found:
        """One row per asked person and distinct value: `place` is its count, stamp and offset its latest appearance."""
        return _per_value(self.of(persons))

    def merge(self, into: Person, gone: Person) -> None:
        """The counts of one person are added to another's."""
        self._settle()
        mine = self._run.person == gone
        self._run = self._run._replace(person=np.where(mine, into, self._run.person))
        self._settle()

    def combine(self, other: Ledger, codes: Ints | None) -> None:
        """Add the counts of another part of the log."""
        other._settle()
        run = other._run if codes is None else other._run._replace(value=codes[other._run.value])
        Ledger.add(self, run)


def _per_value(found: Found) -> Found:
    """Add the counts (`place`) of equal (group, value), keeping the latest row; sorted by (group, stamp, offset)."""
    group, rows = found
    if not len(group):
        return found
    order = np.lexsort((rows.offset, rows.stamp, rows.value, group))
    group, rows = group[order], rows.take(order)
    changes = (group[1:] != group[:-1]) | (rows.value[1:] != rows.value[:-1])
    ends = np.append(np.flatnonzero(changes), len(group) - 1)
    counts = np.diff(np.append(0, np.cumsum(rows.place)[ends]))
    group, rows = group[ends], rows.take(ends)._replace(place=counts)
    back = np.lexsort((rows.offset, rows.stamp, group))
    return Found(group[back], rows.take(back))
