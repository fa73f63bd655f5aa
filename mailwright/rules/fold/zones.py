"""People's time zones, from two leaves that every fold keeps: trait ``timezone``, and that of the newest context."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

import numpy as np

from mailwright.rules.fold.columns import Columns, End
from mailwright.rules.fold.feeds import Source
from mailwright.rules.fold.rows import MISSING, Dictionary, Ints
from mailwright.rules.zones import ZONE, PersonZone, zone_of

SOURCES: Mapping[str, Source] = {
    "trait": Source(kind="trait", path=ZONE),
    "context": Source(kind="context", path=ZONE),
}
"""What tells people's own zones; the first that names one decides, see `rules.zones.zone_of`."""

_NONE = -1


class Zones:
    """Whose zone is which. Each distinct name is looked up once, whoever has it."""

    def __init__(self, shop: tzinfo, told: Mapping[str, tuple[End, Dictionary]] | None = None) -> None:
        """Begin with the shop's zone, and for each of SOURCES its leaf and words; without, all have the shop's."""
        self._known: list[tzinfo] = [shop]
        self._place: dict[tzinfo, int] = {shop: 0}
        self._told = told or {}
        self._named = {name: Columns(place=np.int64(_NONE)) for name in self._told}

    def of(self, persons: Ints) -> tuple[list[tzinfo], Ints]:
        """The distinct zones of some people, and for each person the place of theirs."""
        places = np.zeros(len(persons), np.int64)
        for name, codes in reversed(self.codes(persons).items()):
            found = self._places(name)[codes]
            places = np.where(found == _NONE, places, found)
        there = np.flatnonzero(np.bincount(places, minlength=1))
        renumbered = np.zeros(len(self._known), np.int64)
        renumbered[there] = np.arange(len(there))
        return [self._known[place] for place in there.tolist()], renumbered[places]

    def codes(self, persons: Ints) -> dict[str, Ints]:
        """What each source holds of some people, as codes of its words."""
        return {name: store.cells["value"][persons] for name, (store, _) in self._told.items()}

    def told(self, person: int) -> PersonZone:
        """One person's zone and what told it."""
        codes = {name: int(codes[0]) for name, codes in self.codes(np.array([person])).items()}
        words = {name: None if code == MISSING else self._told[name][1].values[code] for name, code in codes.items()}
        return zone_of(words.get("trait"), words.get("context"), self._known[0])

    def _places(self, name: str) -> Ints:
        """By code of a source's words, the place of the zone; the last cell, which is that of MISSING, is none."""
        words, columns = self._told[name][1].values, self._named[name]
        known = max(columns.n - 1, 0)
        columns.grow(len(words) + 1)
        places = columns["place"]
        for code in range(known, len(words)):
            found = zone_of(words[code], None, self._known[0])
            if found.told_by == "trait":
                places[code] = self._place.setdefault(found.zone, len(self._known))
                if places[code] == len(self._known):
                    self._known.append(found.zone)
        return places


assert MISSING == -1  # noqa: S101 - it is used as the place of the last cell
