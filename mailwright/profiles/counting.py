"""Which identifiers of a person count towards the limit of their kind, without a walk over all of them every time."""

from __future__ import annotations

from collections.abc import Sequence

from mailwright.core.events import Person
from mailwright.profiles.identity_columns import GraphColumns

_PEOPLE = 1 << 14
"""So many people are remembered at a time; then it begins anew, for most of them get no new name for long."""


class Counting:
    """The rows that count, by person and kind, for some kinds.

    A person's rows are walked once and followed from then on. It is what the graph says already, so it is no part of
    a checkpoint; whoever is not known here is walked again.
    """

    def __init__(self, graph: GraphColumns, kinds: frozenset[str]) -> None:
        self._graph = graph
        self._kinds = kinds
        self._of: dict[Person, dict[str, list[int]]] = {}

    def rows(self, person: Person, kind: str) -> list[int]:
        """Rows of one of the kinds that still join people, ascending; whoever retires one takes it out of here."""
        known = self._of.get(person)
        if known is None:
            if len(self._of) >= _PEOPLE:
                self._of.clear()
            known = self._of[person] = {}
            self._add(known, self._graph.rows_of(person))
        return known.setdefault(kind, [])

    def linked(self, person: Person, row: int) -> None:
        """A new row, the last of all, is the person's."""
        if (known := self._of.get(person)) is not None:
            self._add(known, [row])

    def merged(self, into: Person, gone: Person, rows: Sequence[int]) -> None:
        """The rows of `gone` are those of `into` now."""
        self._of.pop(gone, None)
        if (known := self._of.get(into)) is not None:
            self._add(known, rows)

    def forget(self, *people: Person) -> None:
        """Their rows changed in another way."""
        for person in people:
            self._of.pop(person, None)

    def _add(self, known: dict[str, list[int]], rows: Sequence[int]) -> None:
        fresh: dict[str, list[int]] = {}
        for row in rows:
            kind = self._graph.key(row).partition(":")[0]
            if kind in self._kinds and not self._graph.is_retired(row):
                fresh.setdefault(kind, []).append(row)
        for kind, more in fresh.items():
            mine = known.setdefault(kind, [])
            mine += more
            mine.sort()
