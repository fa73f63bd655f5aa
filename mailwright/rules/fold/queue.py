"""Windowed counts and sums: running columns, and a calendar queue that says what leaves the window.

Leaves that differ only in the window share the queue, each with its own edge; each row is looked at once per leaf,
when that leaf's edge passes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.calendar import NEVER, Calendar, Dated, checked
from mailwright.rules.fold.columns import Columns, add_ones
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.rows import Ints, Rows


class Windowed:
    """Count and exact sum of the rows stamped after `edge`: a leaf's window is ``(edge, edge + micros]``.

    `cells` holds ``count``, and ``sum`` where the rows have values.
    """

    def __init__(self, micros: int, queue: Queue) -> None:
        self.micros = micros
        self._queue = queue
        self.cells = Columns(count=np.int32(0), **({"sum": np.int64(0)} if queue.valued else {}))
        self.edge = -NEVER
        self.next_stamp = NEVER  # of the oldest row inside; NEVER when there is none

    def add(self, rows: Dated) -> None:
        """Count the rows that are inside the window, given in order of stamp."""
        start = int(rows.stamp.searchsorted(self.edge, "right")) if rows.stamp[0] <= self.edge else 0
        if start == len(rows.stamp):
            return
        self._count(rows.person[start:], None if rows.value is None else rows.value[start:])
        self.next_stamp = min(self.next_stamp, int(rows.stamp[start]))

    def _count(self, person: Ints, value: Ints | None, sign: int = 1) -> None:
        add_ones(self.cells["count"], person, sign)
        if value is not None:
            self.cells.add("sum", person, value, sign)

    def advance(self, edge: int) -> Ints | None:
        """Move the edge on and take off what it passed: the people concerned; None if there are none."""
        before, self.edge = self.edge, max(edge, self.edge)
        if self.next_stamp > self.edge:
            return None
        left = self._queue.between(max(before, self.next_stamp - 1), self.edge)
        self._count(left.person, left.value, sign=-1)
        self.next_stamp = self._queue.first_after(self.edge)
        return left.person

    def refill(self, at: int | None) -> None:
        """Make the figures anew from the queue's rows, as of `at`."""
        self.edge = -NEVER if at is None else at - self.micros
        rows = self._queue.between(self.edge, NEVER)
        self.next_stamp = int(rows.stamp.min(initial=NEVER))
        self._count(rows.person, rows.value)

    def refill_beyond(self, shorter: Windowed, at: int) -> None:
        """Make the figures anew: those of a shorter window, and the rows beyond it."""
        self.edge = at - self.micros
        self.cells.copy(shorter.cells)
        rows = self._queue.between(self.edge, shorter.edge)
        self.next_stamp = min(shorter.next_stamp, int(rows.stamp.min(initial=NEVER)))
        self._count(rows.person, rows.value)

    def merge(self, into: Person, gone: Person) -> None:
        """Add one person's figures to another's."""
        self.cells["count"][into] += self.cells["count"][gone]
        if self._queue.valued:
            self.cells.add("sum", np.array([into]), self.cells["sum"][[gone]])
        self.cells.clear(gone)

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more, and their rows have left the queue."""
        self.cells.forget(persons)
        self.next_stamp = self._queue.first_after(self.edge)

    def leave_at(self, persons: Ints) -> Ints:
        """When the oldest row of each of these people leaves the window; NEVER for those without one."""
        rows = self._queue.between(self.edge, NEVER)
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
    """The rows inside the longest of some windows, and the leaves that read them.

    Rows of people who were merged into another are theirs in the calendar and their heirs' when they are read.
    """

    def __init__(self, longest: int, valued: bool, heirs: Heirs) -> None:
        self.longest = longest
        self.valued = valued
        self.leaves: dict[int, Windowed] = {}
        self._calendar = Calendar(valued)
        self._heirs = heirs
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
        leaf.refill(self._at)
        return leaf

    def view(self, micros: int) -> Windowed:
        """The leaf of one window if it is kept, else its figures as of now, which nobody keeps up to date."""
        leaf = self.leaves.get(micros)
        return leaf if leaf is not None else self._made(micros)

    def grow(self, n: int) -> None:
        """Make room for `n` people.

        Raises:
            Permanent: If there are more people than can be numbered.
        """
        self._n = checked(max(self._n, n))
        for leaf in self.leaves.values():
            leaf.cells.grow(n)

    def add(self, rows: Rows) -> None:
        """Count rows into every leaf whose window they are in, and remember when they leave."""
        self.take(Dated(rows.person, rows.stamp, rows.value if self.valued else None))

    def take(self, rows: Dated) -> None:
        """`add` of rows in any order."""
        stamp = rows.stamp
        order = np.argsort(stamp, kind="stable") if bool((stamp[1:] < stamp[:-1]).any()) else np.s_[:]
        sorted_rows = Dated(rows.person[order], stamp[order], None if rows.value is None else rows.value[order])
        rows = _after(sorted_rows, -NEVER if self._at is None else self._at - self.longest)
        if len(rows.stamp):
            for leaf in self.leaves.values():
                leaf.add(rows)
            self._calendar.add(*rows)

    def passed(self, at: Instant) -> dict[int, Ints]:
        """Move every edge to `at`; by window, the people for whom a row left it."""
        self._at = at
        left: dict[int, Ints] = {}
        for micros, leaf in self.leaves.items():
            person = leaf.advance(at - micros)
            if person is not None:
                left[micros] = person
        self._calendar.drop(at - self.longest)
        return left

    def between(self, after: int, upto: int) -> Dated:
        """The rows with ``after < stamp <= upto``, in no order."""
        rows = self._calendar.between(after, upto)
        return rows._replace(person=self._heirs.of(rows.person))

    def first_after(self, edge: int) -> int:
        """The stamp of the first row past `edge`; NEVER if there is none."""
        return self._calendar.first_after(edge)

    def next_due(self) -> Instant | None:
        """When the first row leaves any window."""
        dues = [due for leaf in self.leaves.values() if (due := leaf.next_due()) is not None]
        return min(dues, default=None)

    def merge(self, into: Person, gone: Person) -> None:
        """Add the running values; the queue's rows find the heir when they are read."""
        for leaf in self.leaves.values():
            leaf.merge(into, gone)

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more, nor of those whose heirs they are."""
        self._calendar.leave_out(lambda person: np.isin(self._heirs.of(person), persons))
        for leaf in self.leaves.values():
            leaf.forget(persons)

    def adopt(self, other: Queue, persons: Ints, codes: Ints | None) -> None:
        """Take in the rows of another queue's people 0, 1, ... for `persons`."""
        del codes
        rows = other._inside()
        self.take(rows._replace(person=persons[rows.person]))

    def _inside(self) -> Dated:
        """Every row of the longest window."""
        return self.between(-NEVER if self._at is None else self._at - self.longest, NEVER)

    def combine(self, other: Queue, codes: NDArray[Any] | None) -> None:
        """Join the queues of two parts of the log; the windows stay where this one's are."""
        del codes
        self.take(other._inside())

    def dump(self) -> dict[str, Any]:
        """Plain data; running values are made anew from the rows."""
        return {"longest": self.longest, "n": self._n, "at": self._at, "days": self._calendar.dump()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._at = state["at"]
        self._calendar.load(state["days"])
        self.grow(state["n"])
        before: Windowed | None = None
        for _, leaf in sorted(self.leaves.items()):
            if before is None or self._at is None:
                leaf.refill(self._at)
            else:
                leaf.refill_beyond(before, self._at)
            before = leaf

    def digest(self, words: object) -> list[Any]:
        """What the state hash sees."""
        del words
        person, stamp, value = self._inside()
        order = np.lexsort((stamp, person) if value is None else (value, stamp, person))
        return [column[order].tolist() for column in (person, stamp, value) if column is not None]


def _after(rows: Dated, edge: int) -> Dated:
    """The rows past `edge`, of rows in order of stamp."""
    if not len(rows.stamp) or rows.stamp[0] > edge:
        return rows
    inside = slice(int(rows.stamp.searchsorted(edge, "right")), None)
    return Dated(rows.person[inside], rows.stamp[inside], None if rows.value is None else rows.value[inside])
