"""Who is on which list, by person: what `in list` reads live."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.rows import Bools, Ints, distinct


class Listed:
    """A column of true and false per list, and for whom any changed since the last tick."""

    def __init__(self) -> None:
        self._lists: dict[str, Columns] = {}
        self._touched: dict[str, list[Ints]] = {}

    def put(self, name: str, persons: Iterable[int], *, inside: bool) -> None:
        """Put people on a list, or take them off."""
        asked = np.fromiter(persons, dtype=np.int64)
        cells = self._lists.setdefault(name, Columns(inside=np.bool_(False)))
        cells.grow(int(asked.max(initial=-1)) + 1)
        changed: Ints = asked[cells["inside"][asked] != inside]
        cells["inside"][changed] = inside
        if len(changed):
            self._touched.setdefault(name, []).append(changed)

    def inside(self, name: str, persons: Ints) -> Bools:
        """Who of some people is on the list; on one that nobody knows, none is."""
        found: Bools = np.zeros(len(persons), dtype=bool)
        if (cells := self._lists.get(name)) is not None:
            known = persons < cells.n
            found[known] = cells["inside"][persons[known]]
        return found

    def merge(self, into: int, gone: int) -> None:
        """Who is on a list under either name is on it."""
        for name in list(self._lists):
            if self.inside(name, np.array([gone]))[0]:
                self.put(name, [into], inside=True)

    def settle(self) -> dict[str, Ints]:
        """By list whom a change concerns, ascending; the next call tells what comes after this one."""
        touched, self._touched = self._touched, {}
        return {name: distinct(np.concatenate(parts)) for name, parts in touched.items()}
