"""The log as History tells it, played once more into a fold, in the order in which it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge as merged
from typing import Any, NamedTuple

import numpy as np

from mailwright.core.events import Item, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Fold
from mailwright.runtime.graphs import PastMerge, PastSplit
from mailwright.runtime.past import Past
from mailwright.runtime.rehearsal.people import People, PeopleFoundLater, PeopleOfTheLog

BLOCK = 20_000
"""Events that a fold is handed at once, at most."""

Told = Callable[[int], None]
"""Is told how many more events were read."""


def untold(_n: int) -> None:
    """Nobody asks."""


class _Step(NamedTuple):
    """Something at an offset: at the same one merges come before the event that caused them."""

    offset: Offset
    rank: int
    what: PastMerge | PastSplit | Item | Arrival


class Story:
    """What happened up to `end`, told in order and once.

    Where an import of history, which ended at `imported`, reaches back into what is told, its events come first of all
    and count from their own ``known_at``, and whose an event is and who there is follows from the graph as it stood
    when the import ended.
    """

    def __init__(self, past: Past, end: Offset, *, imported: Offset = Offset(0), told: Told = untold) -> None:
        self.catalog = Catalog()
        self.people: People = (
            PeopleFoundLater(past, imported, max(end, imported)) if imported else PeopleOfTheLog(past, end)
        )
        self.gone: set[Person] = set()
        """Numbers (the story's) of people who were merged into others so far."""
        self._past = past
        self._told = told
        self._steps = _steps(past, imported, end)
        self._next = next(self._steps, None)

    def play(self, fold: Fold, upto: Offset) -> int:
        """Let a fold (over `catalog`) take in what came up to and at an offset; how many events that was."""
        n = 0
        waiting: list[Arrival] = []
        while self._next is not None and self._next.offset <= upto:
            what = self._next.what
            if isinstance(what, Arrival):
                waiting.append(what._replace(person=self.people.number(what.person)))
            if len(waiting) == BLOCK or not isinstance(what, Arrival):
                n += self._hand(fold, waiting)
            if isinstance(what, PastMerge):
                into, gone = self.people.number(what.into), self.people.number(what.gone)
                fold.merge(into, gone)
                self.gone.add(gone)
            elif isinstance(what, PastSplit):
                self._part(fold, what)
            elif isinstance(what, Item):
                self.catalog.put(what)
            self._next = next(self._steps, None)
        return n + self._hand(fold, waiting)

    def _part(self, fold: Fold, split: PastSplit) -> None:
        """Two people who were taken for one; since when each is in a segment begins anew with the next evaluation."""
        graph, people = self._past.graph_at(Offset(split.offset + 1)), (split.person, split.other)
        place = {person: Person(number) for number, person in enumerate(people)}
        asked = np.array(people, dtype=np.int64)
        fresh = fold.like()
        fresh.ingest(
            [
                each._replace(person=place[each.person])
                for each in self._past.arrivals(split.offset, graph=graph, persons=asked)
            ]
        )
        firsts = graph.first_identifiers(asked)
        for name, listed in self._past.lists_at(Offset(split.offset + 1), graph).items():
            fresh.enlist(name, [number for number, first in enumerate(firsts) if first in listed], inside=True)
        if fold.at is not None:
            fresh.tick(fold.at, firsts)
        numbers = [int(self.people.number(person)) for person in people]
        self.gone -= set(map(Person, numbers))
        fold.part({number: number for number in numbers}, fresh, numbers, fresh.stays(numbers))

    def _hand(self, fold: Fold, waiting: list[Arrival]) -> int:
        n = len(waiting)
        fold.ingest(waiting)
        waiting.clear()
        if n:
            self._told(n)
        return n


def _steps(past: Past, imported: Offset, end: Offset) -> Iterator[_Step]:
    if imported:
        yield from (_Step(Offset(0), 0, item) for _, item in past.items(Offset(0), imported))
        graph = past.graph_at(imported)
        pulled = past.arrivals(Offset(0), graph=graph, imported_by=_ANY_TIME)
        yield from (_Step(Offset(0), 1, arrival) for arrival in pulled if arrival.offset <= imported)
        rest = past.arrivals(imported, graph=graph)
        yield from (_Step(arrival.offset, 1, arrival) for arrival in rest if not arrival.event.history)
    events = (_Step(each.offset, 2, each) for each in past.arrivals(end, after=imported))
    items = (_Step(offset, 1, item) for offset, item in past.items(imported, end))
    splits = (_Step(each.offset, 0, each) for each in past.splits(imported, end))
    merges = (_Step(each.offset, 0, each) for each in past.merges(imported, end))
    yield from merged(merges, splits, items, events, key=_place)


def _place(step: Any) -> tuple[int, int]:
    return step.offset, step.rank


_ANY_TIME = Instant(2**62)
