"""People by number as a story goes on."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mailwright.core.events import Offset, Person
from mailwright.runtime.graphs import NOBODY
from mailwright.runtime.past import Past, PastTick

_NEVER = 2**62


class People(Protocol):
    """How a story numbers people: without gaps, in the order in which they appear."""

    def number(self, person: Person) -> Person:
        """The story's number of a person of the log."""
        ...

    def person(self, number: int) -> Person:
        """The log's number of a person of the story."""
        ...

    def there(self, tick: PastTick) -> list[str]:
        """First identifiers of all that have appeared by a tick; ticks are asked in order, the list grows."""
        ...


class PeopleOfTheLog:
    """People with the numbers that the engine gave them."""

    def __init__(self, past: Past, end: Offset) -> None:
        self._born, self._names = past.belongings.given(end)
        self._there: list[str] = []

    def number(self, person: Person) -> Person:
        """See `People.number`."""
        return person

    def person(self, number: int) -> Person:
        """See `People.person`."""
        return Person(number)

    def there(self, tick: PastTick) -> list[str]:
        """See `People.there`."""
        n = int(np.searchsorted(self._born, tick.offset, side="right"))
        self._there += self._names[len(self._there) : n]
        return self._there


class PeopleFoundLater:
    """People as known when an import of history had ended, from when the first event of each was known.

    Those who came after the import follow, in the order of the log.
    """

    def __init__(self, past: Past, imported: Offset, end: Offset) -> None:
        self._born, self._names = past.belongings.given(end)
        self._imported = imported
        n_then = int(np.searchsorted(self._born, imported, side="right"))
        graph = past.graph_at(imported)
        known = np.full(n_then, _NEVER, dtype=np.int64)
        for persons, instants in past.known_from(imported, graph):
            np.minimum.at(known, persons, instants)
        order = np.argsort(known, kind="stable")
        self._order = order[graph.alive[order]]
        self._known = known[self._order]
        self._number = np.full(n_then, NOBODY, dtype=np.int64)
        self._number[self._order] = np.arange(len(self._order))
        self._n_then = n_then
        self._there: list[str] = []

    def number(self, person: Person) -> Person:
        """See `People.number`."""
        if person < self._n_then:
            return Person(int(self._number[person]))
        return Person(person - self._n_then + len(self._order))

    def person(self, number: int) -> Person:
        """See `People.person`."""
        n = len(self._order)
        return Person(int(self._order[number]) if number < n else number - n + self._n_then)

    def there(self, tick: PastTick) -> list[str]:
        """See `People.there`."""
        n = int(np.searchsorted(self._known, tick.at, side="right"))
        if tick.offset > self._imported:
            n = len(self._order) + int(np.searchsorted(self._born, tick.offset, side="right")) - self._n_then
        self._there += [self._names[self.person(number)] for number in range(len(self._there), n)]
        return self._there
