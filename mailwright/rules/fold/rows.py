"""What a leaf takes in: rows of whole numbers, and the dictionary that turns any value into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailwright.rules.values import identity

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MISSING = -1
"""The code of a missing value."""


class Rows(NamedTuple):
    """Parallel arrays, one row per value that an event gave; `value` is a code, micro-units, points or 0."""

    person: Ints
    stamp: Ints
    offset: Ints
    place: Ints
    value: NDArray[Any]

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The rows that a mask or an index array chooses."""
        return Rows(*(column[chosen] for column in self))

    def order(self) -> Ints:
        """Index that sorts by (person, stamp, offset, place)."""
        return np.lexsort((self.place, self.offset, self.stamp, self.person))


def distinct(numbers: Ints) -> Ints:
    """Ascending, each once; sorting is far quicker than ``np.unique`` where numbers are many."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def no_rows() -> Rows:
    """Rows of nothing."""
    return Rows(*(np.zeros(0, np.int64) for _ in range(5)))


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, in order."""
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else no_rows()


class Dictionary:
    """Distinct JSON-shaped values, numbered in order of first appearance.

    Values are the same when the language calls them equal: 1 and 1.0 are, True and 1 are not.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._codes: dict[Any, int] = {}

    def code(self, value: Any) -> int:
        """Number of `value`, a new one if it was not seen; MISSING for None."""
        key = value if type(value) is str else identity(value)
        code = self._codes.get(key)
        if code is None:
            if value is None:
                return MISSING
            code = self._codes[key] = len(self.values)
            self.values.append(value)
        return code

    def encoded(self, values: Sequence[Any]) -> list[int]:
        """Numbers of several values, none of them None."""
        try:
            return [self._codes[value] for value in values]  # texts that were seen before: nearly always
        except (KeyError, TypeError):
            return [self.code(value) for value in values]

    def known(self, value: Any) -> int:
        """Number of `value`, or MISSING if it was never seen."""
        return self._codes.get(value if type(value) is str else identity(value), MISSING)

    def translation(self, other: Dictionary) -> Ints:
        """For each code of `other` the code here, new ones added; one cell more, so that MISSING maps to itself."""
        return np.array([*map(self.code, other.values), MISSING], dtype=np.int64)

    def digests(self) -> list[str]:
        """A text per code that depends on the value alone: state hashes must not depend on the order of arrival."""
        return [repr(identity(value)) for value in self.values]
