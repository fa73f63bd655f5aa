"""Why memberships changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Person
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.rules.fold.stores import Touched


class Change(NamedTuple):
    """A person entered or left a segment at a tick.

    `cause` is ``event``, ``time`` (nothing but the clock moved), ``import`` (touched by history events only),
    ``definition`` (the segment's first evaluation, of people whom the tick before knew), ``merge`` (what the other
    profile was), ``split`` (two people had been taken for one) or ``list`` (a list was changed, and no event had a part
    in it).
    """

    person: Person
    segment: str
    entered: bool
    cause: str


CAUSES = ("time", "event", "import", "merge", "definition", "list", "split")
_TIME, _EVENT, _IMPORT, _MERGE, _DEFINITION, _LIST, _SPLIT = range(len(CAUSES))

Carried = dict[str, int]
"""Segment -> whether people merged into one were inside, outside or both (bits)."""

INSIDE = 1
OUTSIDE = 2

_NOBODY = np.zeros(0, np.int64)


class Causes:
    """What happened between two ticks."""

    def __init__(
        self,
        anything: Touched,
        touched: Mapping[str, Touched],
        merged: Mapping[int, Carried],
        first_time: Collection[str],
        n_before: int,
        listed: Mapping[str, Ints],
    ) -> None:
        """Start.

        Args:
            anything: The people of any event.
            touched: The people of the rows of each feed.
            merged: What the people were who were merged into others.
            first_time: Segments that are evaluated by a new definition.
            n_before: How many people the last tick knew.
            listed: The people whom a change of each list concerns, ascending.
        """
        self._anything = anything
        self._touched = touched
        self._merged = merged
        self._first_time = first_time
        self._n_before = n_before
        self._listed = listed

    def of(
        self,
        segment: str,
        feeds: Collection[str],
        lists: Collection[str],
        persons: Ints,
        entered: Bools,
        alive: Bools,
        parted: Collection[int] = (),
    ) -> NDArray[np.int8]:
        """Places in CAUSES of changes that a segment's `feeds` and `lists` may have caused; the strongest last."""
        causes = np.full(len(persons), _TIME, dtype=np.int8)
        for name in lists:
            causes[_among(persons, self._listed.get(name, _NOBODY))] = _LIST
        new = persons >= self._n_before
        causes[new] = _EVENT
        touched = [self._touched[feed] for feed in feeds if feed in self._touched]
        for each in touched:
            causes[_among(persons, each.history)] = _IMPORT
        causes[new & _among(persons, self._anything.history)] = _IMPORT
        for each in touched:
            causes[_among(persons, each.live)] = _EVENT
        causes[new & _among(persons, self._anything.live)] = _EVENT
        for place in self._carried(segment, persons, entered):
            causes[place] = _MERGE
        if segment in self._first_time:
            causes[~new] = _DEFINITION
        causes[~alive] = _MERGE
        if parted:  # they were announced as one: what is new is what the split made of it
            causes[np.isin(persons, np.fromiter(parted, dtype=np.int64))] = _SPLIT
        return causes

    def _carried(self, segment: str, persons: Ints, entered: Bools) -> list[int]:
        if not self._merged:
            return []
        pairs = zip(persons.tolist(), entered.tolist(), strict=True)
        return [
            place
            for place, (person, inside) in enumerate(pairs)
            if self._merged.get(person, {}).get(segment, 0) & (INSIDE if inside else OUTSIDE)
        ]


def _among(persons: Ints, ascending: Ints) -> Bools:
    """Which persons are in an ascending list."""
    if not len(ascending):
        return np.zeros(len(persons), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, persons), len(ascending) - 1)
    return np.asarray(ascending[place] == persons, dtype=bool)
