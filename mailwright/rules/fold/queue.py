"""Windowed counts and sums: running columns, and a calendar queue that says what leaves the window.

Rows lie in buckets by stamp, unsorted inside, so a late one costs no more than a punctual one. Leaves that differ only
in the window share the queue, each with its own edge; a bucket is searched only when an edge reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Person
from mailwright.core.instants import HOUR, Instant
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.rows import Ints, Rows, join, no_rows

WIDTH = HOUR  # of a bucket: small beside the windows that marketers use, large beside a tick
NEVER = np.iinfo(np.int64).max


class Windowed:
    """Count and exact sum of the rows stamped after `edge`: a leaf's window is ``(edge, edge + micros]``."""

    def __init__(self, micros: int, queue: Queue) -> None:
        self.micros = micros
        self._queue = queue
        self.cells = Columns(count=np.int64(0), sum=np.int64(0))
        self.edge = -NEVER
        self.next_stamp = NEVER  # a lower bound of the oldest row inside; NEVER when there is none

    def add(self, rows: Rows) -> None:
        """Count the rows that are inside the window."""
        rows = rows.take(rows.stamp > self.edge)
        if len(rows.person):
            np.add.at(self.cells["count"], rows.person, 1)
            self.cells.add("sum", rows.person, rows.value)
            self.next_stamp = min(self.next_stamp, int(rows.stamp.min()))

    def take_off(self, rows: Rows) -> None:
        """Take back rows that left the window."""
        np.subtract.at(self.cells["count"], rows.person, 1)
        self.cells.add("sum", rows.person, rows.value, sign=-1)

    def leave_at(self, persons: Ints) -> Ints:
        """When the oldest row of each of these people leaves the window; NEVER for those without one."""
        rows = self._queue.after(self.edge)
        oldest = np.full(len(persons), NEVER)
        if len(persons):
            order = np.argsort(persons)
            place = order[np.minimum(np.searchsorted(persons[order], rows.person), len(persons) - 1)]
            mine = persons[place] == rows.person
            np.minimum.at(oldest, place[mine], rows.stamp[mine] + self.micros)
        return oldest

    def next_due(self) -> Instant | None:
        """When the oldest row leaves; None if there is none."""
        return None if self.next_stamp == NEVER else Instant(self.next_stamp + self.micros)


class Queue:
    """The rows inside the longest of some windows, and the leaves that read them."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.leaves: dict[int, Windowed] = {}
        self._buckets: dict[int, list[Rows]] = {}
        self._heir: dict[int, int] = {}  # gone person -> into, applied when a row is read
        self._n = 0
        self._at: int | None = None

    def leaf(self, micros: int) -> Windowed:
        """The leaf of one window, made from the rows at hand if it is new; `micros` <= `longest`."""
        if micros not in self.leaves:
            self.leaves[micros] = self._made(micros)
        return self.leaves[micros]

    def _made(self, micros: int) -> Windowed:
        leaf = Windowed(micros, self)
        leaf.cells.grow(self._n)
        if self._at is not None:
            leaf.edge = self._at - micros
        leaf.add(self._all())
        return leaf

    def view(self, micros: int) -> Windowed:
        """The leaf of one window if it is kept, else its figures as of now, which nobody keeps up to date."""
        leaf = self.leaves.get(micros)
        return leaf if leaf is not None else self._made(micros)

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        self._n = max(self._n, n)
        for leaf in self.leaves.values():
            leaf.cells.grow(n)

    def add(self, rows: Rows) -> None:
        """Count rows into every leaf whose window they are in, and remember when they leave."""
        if self._at is not None:
            rows = rows.take(rows.stamp > self._at - self.longest)
        if not len(rows.person):
            return
        for leaf in self.leaves.values():
            leaf.add(rows)
        number = rows.stamp // WIDTH
        order = np.argsort(number, kind="stable")
        cuts = np.flatnonzero(np.diff(number[order])) + 1
        for part in np.split(order, cuts):
            self._buckets.setdefault(int(number[part[0]]), []).append(rows.take(part))

    def passed(self, at: Instant) -> Ints:
        """Move every edge to `at`; the people for whom a row left a window."""
        self._at = at
        touched = [self._advance(leaf, at - leaf.micros) for leaf in self.leaves.values()]
        for number in [number for number in self._buckets if (number + 1) * WIDTH <= at - self.longest]:
            del self._buckets[number]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *touched]))

    def _advance(self, leaf: Windowed, edge: int) -> Ints:
        before, leaf.edge = leaf.edge, max(edge, leaf.edge)
        if leaf.next_stamp > leaf.edge:
            return np.zeros(0, np.int64)
        left = self._between(max(before, leaf.next_stamp - 1), leaf.edge)
        leaf.take_off(left)
        leaf.next_stamp = self._oldest_after(leaf.edge)
        return left.person

    def _between(self, after: int, upto: int) -> Rows:
        first, last = (after + 1) // WIDTH, upto // WIDTH
        numbers = [number for number in self._buckets if first <= number <= last]
        rows = join([self._bucket(number) for number in sorted(numbers)])
        return self._resolved(rows.take((rows.stamp > after) & (rows.stamp <= upto)))

    def _bucket(self, number: int) -> Rows:
        parts = self._buckets[number]
        if len(parts) > 1:
            self._buckets[number] = parts = [join(parts)]
        return parts[0]

    def _oldest_after(self, edge: int) -> int:
        for number in sorted(number for number in self._buckets if number >= (edge + 1) // WIDTH):
            stamps = self._bucket(number).stamp
            inside = stamps[stamps > edge]
            if len(inside):
                return int(inside.min())
        return NEVER

    def next_due(self) -> Instant | None:
        """When the first row leaves any window."""
        dues = [due for leaf in self.leaves.values() if (due := leaf.next_due()) is not None]
        return min(dues, default=None)

    def merge(self, into: Person, gone: Person) -> None:
        """Add the running values; the queue's rows find the heir when they are read."""
        at = np.array([into])
        for leaf in self.leaves.values():
            leaf.cells["count"][into] += leaf.cells["count"][gone]
            leaf.cells.add("sum", at, leaf.cells["sum"][[gone]])
            leaf.cells.clear(gone)
        self._heir = {old: into if new == gone else new for old, new in self._heir.items()}
        self._heir[gone] = into

    def _resolved(self, rows: Rows) -> Rows:
        if not self._heir or not len(rows.person):
            return rows
        person = rows.person.copy()
        gone = np.fromiter(self._heir, np.int64)
        for number in gone[np.isin(gone, person)]:
            person[rows.person == number] = self._heir[int(number)]
        return rows._replace(person=person)

    def _all(self) -> Rows:
        """Every row, in one order that depends on nothing but the rows."""
        rows = self._resolved(join([rows for parts in self._buckets.values() for rows in parts]))
        if self._at is not None:
            rows = rows.take(rows.stamp > self._at - self.longest)
        return rows.take(np.lexsort((rows.value, rows.place, rows.offset, rows.stamp, rows.person)))

    def after(self, edge: int) -> Rows:
        """The rows stamped after `edge`."""
        rows = self._all()
        return rows.take(rows.stamp > edge)

    def combine(self, other: Queue, codes: NDArray[Any] | None) -> None:
        """Join the queues of two parts of the log; the windows stay where this one's are."""
        del codes
        self.add(other._all())

    def dump(self) -> dict[str, Any]:
        """Plain data; running values are made anew from the rows."""
        return {"longest": self.longest, "n": self._n, "at": self._at, **self._all()._asdict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._buckets, self._heir, self._at = {}, {}, state["at"]
        self.grow(state["n"])
        for leaf in self.leaves.values():
            leaf.edge = leaf.edge if self._at is None else self._at - leaf.micros
        self.add(Rows(*(state[name] for name in Rows._fields)))

    def digest(self, words: object) -> list[Any]:
        """What the state hash sees."""
        del words
        return [column.tolist() for column in (self._all() if self._buckets else no_rows())]
