"""Who the rows of people belong to who were merged into another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mailwright.core.events import Person
from mailwright.rules.fold.rows import Ints


class Heirs:
    """Gone person -> the one they turned out to be; read when rows are, so that a merge moves no row."""

    def __init__(self) -> None:
        self._into = np.zeros(0, np.int64)  # by person; empty as long as nobody was merged
        self._gone: set[int] = set()

    def merge(self, into: Person, gone: Person) -> None:
        """`gone` turns out to be `into`."""
        highest = max(into, gone)
        if highest >= len(self._into):
            more = np.arange(len(self._into), max(highest + 1, len(self._into) * 5 // 4))
            self._into = np.concatenate([self._into, more])
        self._into[gone] = into
        self._gone.add(gone)

    def stands_for(self, number: int, person: int) -> None:
        """A number that was gone is `person`'s from now on; its own: it is not gone any more."""
        if number != person:
            self.merge(Person(person), Person(number))
        elif number < len(self._into):
            self._into[number] = number
            self._gone.discard(number)

    def of(self, person: Ints) -> Ints:
        """Whose rows of these people are now; the same array if none of them is gone."""
        if not self._gone:
            return person
        known = person < len(self._into)
        found = np.where(known, self._into[np.where(known, person, 0)], person)
        return person if np.array_equal(found, person) else self.of(found)  # an heir may be gone too

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        gone = np.array(sorted(self._gone), dtype=np.int64)
        return {"gone": gone, "into": self._into[gone]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        for gone, into in zip(state["gone"].tolist(), state["into"].tolist(), strict=True):
            self.merge(Person(into), Person(gone))
