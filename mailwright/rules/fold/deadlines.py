"""When a segment must be looked at again for a person although no event comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.calendar import NEVER, Calendar
from mailwright.rules.fold.cells import FOREVER
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.rows import Bools, Ints, distinct

_SPARE = 4_096  # so many deadlines that no longer hold may always lie about


class Deadlines:
    """Per person the instant until which a segment surely stays what it is; room only where some segment needs it.

    The calendar may hold deadlines that were moved since; one counts only if it is still the person's.
    """

    def __init__(self) -> None:
        self._until: Columns | None = None
        self._calendar = Calendar(valued=False)
        self._n_dated = 0
        self._volatile = np.zeros(0, np.int64)  # people to look at on every tick
        self._passed = -NEVER  # deadlines up to here were told

    def due(self, t: Instant) -> list[Ints]:
        """The people to look at as time comes to `t`; each call tells what fell due since the last."""
        found = [self._volatile]
        if self._until is not None:
            dated = self._calendar.between(self._passed, t)
            found.append(dated.person[self._holds(dated.person, dated.stamp)])
            self._calendar.drop(t)
        self._passed = max(self._passed, t)
        return found

    def _holds(self, person: Ints, stamp: Ints) -> Bools:
        until = self._until
        if until is None:
            return np.zeros(len(person), dtype=bool)
        return np.asarray(until["until"][person] == stamp, dtype=bool)

    def settle(self, persons: Ints, until: Ints, t: Instant, n: int) -> None:
        """`persons`, among them all that were due, were looked at; until when each stays what it is.

        Args:
            persons: Distinct numbers below `n`.
            until: Instants; not after `t`: any moment; FOREVER: by an event only.
            t: The instant of the tick.
            n: The number of people.
        """
        self._volatile = persons[until <= t]
        dated = (until > t) & (until < FOREVER)
        if self._until is None:
            if not dated.any():
                return
            self._until = Columns(until=np.int64(FOREVER))
        self._until.grow(n)
        column = self._until["until"]
        moved = dated & (column[persons] != until)
        column[persons] = np.where(dated, until, FOREVER)
        self._add(persons[moved], until[moved])
        if self._n_dated > 2 * n + _SPARE:
            self._rebuild()

    def _add(self, person: Ints, until: Ints) -> None:
        order = np.argsort(until, kind="stable")
        self._calendar.add(person[order], until[order], None)
        self._n_dated += len(person)

    def _rebuild(self) -> None:
        """Leave the deadlines that hold, and nothing else, in the calendar."""
        self._calendar, self._n_dated = Calendar(valued=False), 0
        if self._until is not None:
            column = self._until["until"][: self._until.n]
            person = np.flatnonzero(column != FOREVER)
            self._add(person, column[person])

    def next_due(self) -> int | None:
        """The first deadline; None if there is none. Volatile people are not told here."""
        if self._until is None:
            return None
        first = self._calendar.first_where(self._passed, self._holds)
        return None if first == NEVER else first

    @property
    def kept(self) -> bool:
        """Whether anybody's deadline was ever finite: then every look at somebody must be settled."""
        return self._until is not None or self.volatile

    @property
    def volatile(self) -> bool:
        """Whether somebody must be looked at on every tick."""
        return len(self._volatile) > 0

    def merge(self, into: Person, gone: Person) -> None:
        """Nobody waits for a person who was merged; the heir will be looked at anyway."""
        del into
        if self._until is not None and gone < self._until.n:
            self._until["until"][gone] = FOREVER

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        until = None if self._until is None else self._until.dump()["until"]
        return {"until": until, "volatile": distinct(self._volatile), "passed": self._passed}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._volatile, self._passed = state["volatile"], state["passed"]
        if state["until"] is not None:
            self._until = Columns(until=np.int64(FOREVER))
            self._until.load({"until": state["until"]})
        self._rebuild()
