"""Lists of people as they changed, told to a fold before each evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mailwright.core.events import Offset, Person
from mailwright.rules.fold import Fold
from mailwright.runtime.graphs import NOBODY
from mailwright.runtime.past import Past


class PastLists:
    """Who was on which list at any offset: whoever owned an identifier that was on it.

    Who owned it is told by the graph of the time, for what lies before `imported` by the graph as it stood there.
    """

    def __init__(self, past: Past, end: Offset, imported: Offset, number: Callable[[Person], Person]) -> None:
        self._rows = past.list_changes(end)
        self._belongings = past.belongings
        self._imported = imported
        self._number = number
        self._on = {name: np.zeros(len(self._rows.keys), dtype=bool) for name in self._rows.lists}
        self._told: dict[str, set[int]] = {}
        self._n_rows = 0
        moments = [self._rows.offset, self._belongings.changes_of(self._rows.keys)]
        self._moments = np.unique(np.concatenate(moments))
        self._n_moments = -1

    def begin(self) -> None:
        """The next fold has been told nothing."""
        self._told, self._n_moments = {}, -1

    def come_to(self, fold: Fold, offset: Offset) -> bool:
        """Tell the fold who has come on a list or left it by an offset, not before the last; whether any may have."""
        n_moments = int(np.searchsorted(self._moments, offset, side="right"))
        if n_moments == self._n_moments or not self._on:
            return False
        self._n_moments = n_moments
        n_rows = int(np.searchsorted(self._rows.offset, offset, side="right"))
        for row in range(self._n_rows, n_rows):
            self._on[self._rows.list[row]][self._rows.key[row]] = self._rows.added[row]
        self._n_rows = n_rows
        owners = self._belongings.persons_of(self._rows.keys, Offset(max(offset, self._imported)))
        for name, on in self._on.items():
            persons = np.unique(owners[on & (owners != NOBODY)]).tolist()
            there = {int(self._number(Person(person))) for person in persons}
            before = self._told.get(name, set())
            fold.enlist(name, sorted(before - there), inside=False)
            fold.enlist(name, sorted(there - before), inside=True)
            self._told[name] = there
        return True
