"""Some people at one instant, with what is not a leaf: identifiers, zones, lists, memberships."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo

import numpy as np

from mailwright.core.instants import Instant
from mailwright.rules.fold.cells import Cells
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.listed import Listed
from mailwright.rules.fold.rows import Ints
from mailwright.rules.fold.zones import Zones


class World:
    """What frames share; the fold keeps it up to date."""

    def __init__(self, zone: tzinfo, lists: Mapping[str, frozenset[str]]) -> None:
        self.zones = Zones(zone)
        self.lists = lists
        self.listed = Listed()
        self.first_identifiers: Sequence[str] = ()
        self.members: dict[str, Columns] = {}
        """Per segment ``inside`` (bool) and ``since`` (instant of the tick at which that became so)."""
        self.segments: dict[str, Reader] = {}
        """What each segment says of itself, membership aside."""


class Frame:
    """Distinct `persons` at `t`; results are kept, so that a subtree that several rules share is read once."""

    def __init__(self, persons: Ints, t: Instant, world: World, *, tells_due: bool = False) -> None:
        self.persons = persons
        self.tells_due = tells_due  # else what leaves a counted window is left to the queue to tell
        self.t = t
        self.world = world
        self.memo: dict[str, Cells] = {}
        self._zones: tuple[list[tzinfo], Ints] | None = None

    def __len__(self) -> int:
        return len(self.persons)

    def zones(self) -> tuple[list[tzinfo], Ints]:
        """The distinct zones of these people, and for each person the place of theirs."""
        if self._zones is None:
            self._zones = self.world.zones.of(self.persons)
        return self._zones

    def zone_each(self) -> list[tzinfo]:
        """Each person's zone."""
        zones, back = self.zones()
        return [zones[place] for place in back.tolist()]

    def by_zone(self, of: Callable[[tzinfo], int]) -> Ints:
        """A number per zone, spread over the people."""
        zones, back = self.zones()
        return np.array([of(zone) for zone in zones], dtype=np.int64)[back]


Reader = Callable[[Frame], Cells]
"""Reads one expression for the people of a frame."""
