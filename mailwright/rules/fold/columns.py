"""All-time leaves: one cell per person, updated by ``ufunc.at``, nothing to do as time passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Person
from mailwright.rules.fold.rows import MISSING, Bools, Dictionary, Ints, Rows

_SAFE = float(2**62)  # a running sum whose bound stays below cannot wrap around


class Columns:
    """Named arrays over the numbered people, grown together with room to spare."""

    def __init__(self, **fills: Any) -> None:
        self._fills = fills
        self._cells: dict[str, NDArray[Any]] = {name: np.full(0, fill) for name, fill in fills.items()}
        self._bounds: dict[str, float] = {}  # what no cell of a column that is added to exceeds
        self.n = 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._cells[name]

    def grow(self, n: int) -> None:
        """Make cells for people up to `n`, filled with the neutral value."""
        self.n = max(self.n, n)
        for name, cells in self._cells.items():
            if len(cells) < n:
                grown = np.full(max(n, len(cells) * 5 // 4, 16), self._fills[name], dtype=cells.dtype)
                grown[: len(cells)] = cells
                self._cells[name] = grown

    def clear(self, person: Person) -> None:
        """Back to the neutral value."""
        for name, cells in self._cells.items():
            cells[person] = self._fills[name]

    def forget(self, persons: Ints) -> None:
        """Several people back to the neutral value."""
        for name, cells in self._cells.items():
            cells[persons] = self._fills[name]

    def add(self, name: str, person: Ints, values: NDArray[Any], sign: int = 1) -> None:
        """Add exactly: past 64 bits the column turns into Python integers."""
        cells = self._cells[name]
        if values.dtype == object or (cells.dtype != object and not self._fits(name, values)):
            cells = self._cells[name] = cells.astype(object)
        exact = values.astype(object) if cells.dtype == object else values
        (np.add if sign > 0 else np.subtract).at(cells, person, exact)

    def _fits(self, name: str, values: Ints) -> bool:
        """Whether no cell can leave 64 bits; the column itself is looked through only when a running bound says no."""
        added = float(np.abs(values.astype(np.float64)).sum())
        bound = self._bounds.get(name, 0.0) + added
        if bound >= _SAFE:
            bound = float(np.abs(self._cells[name].astype(np.float64)).max(initial=0.0)) + added
        self._bounds[name] = bound
        return bound < _SAFE

    def copy(self, other: Columns) -> None:
        """Take the cells of columns of the same names."""
        self.n = other.n
        self._cells = {name: cells.copy() for name, cells in other._cells.items()}
        self._bounds = dict(other._bounds)

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        return {name: cells[: self.n] for name, cells in self._cells.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._cells = dict(state)
        self._bounds = dict.fromkeys(state, _SAFE)  # the first sum looks
        self.n = len(next(iter(state.values())))


def add_ones(cells: NDArray[Any], person: Ints, sign: int = 1) -> None:
    """Count one more (or one less) per row; an array of ones of the cells' own type is much faster than a number."""
    (np.add if sign > 0 else np.subtract).at(cells, person, np.ones(len(person), dtype=cells.dtype))


class InColumns:
    """What all stores have in common whose state is columns and nothing besides.

    Attributes:
        cells: The state.
    """

    cells: Columns

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        self.cells.grow(n)

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more."""
        self.cells.forget(persons)

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        return self.cells.dump()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.cells.load(state)


class Totals(InColumns):
    """Count and exact sum of the rows ever seen."""

    def __init__(self) -> None:
        self.cells = Columns(count=np.int64(0), sum=np.int64(0))

    def add(self, rows: Rows) -> None:
        """Count rows and add their values."""
        add_ones(self.cells["count"], rows.person)
        self.cells.add("sum", rows.person, rows.value)

    def merge(self, into: Person, gone: Person) -> None:
        """Add one person's totals to another's."""
        at = np.array([into])
        self.cells["count"][into] += self.cells["count"][gone]
        self.cells.add("sum", at, self.cells["sum"][[gone]])
        self.cells.clear(gone)

    def adopt(self, other: Totals, persons: Ints, codes: Ints | None) -> None:
        """Add what another store has of its people 0, 1, ... to `persons`, in this order."""
        del codes
        self.cells["count"][persons] += other.cells["count"][: len(persons)]
        self.cells.add("sum", persons, other.cells["sum"][: len(persons)])

    def combine(self, other: Totals, codes: Ints | None) -> None:
        """Add the totals of another part of the log."""
        del codes  # totals hold no codes
        people = np.arange(other.cells.n)
        self.cells["count"][: other.cells.n] += other.cells["count"][: other.cells.n]
        self.cells.add("sum", people, other.cells["sum"][: other.cells.n])

    def digest(self, words: Dictionary | None) -> list[Any]:
        """What the state hash sees."""
        del words
        return [self.cells["count"][: self.cells.n].tolist(), [str(cell) for cell in self.cells["sum"][: self.cells.n]]]


class Extreme(InColumns):
    """The smallest or largest value ever seen."""

    def __init__(self, largest: bool) -> None:
        self._largest = largest
        bounds = np.iinfo(np.int64)
        # The neutral value is a possible one too, hence `known`.
        self.cells = Columns(value=np.int64(bounds.min if largest else bounds.max), known=np.bool_(False))

    def add(self, rows: Rows) -> None:
        """Keep the more extreme value."""
        (np.maximum if self._largest else np.minimum).at(self.cells["value"], rows.person, rows.value)
        self.cells["known"][rows.person] = True

    def merge(self, into: Person, gone: Person) -> None:
        """The more extreme of two people's values."""
        value, known = self.cells["value"], self.cells["known"]
        value[into] = (max if self._largest else min)(value[into], value[gone])
        known[into] |= known[gone]
        self.cells.clear(gone)

    def adopt(self, other: Extreme, persons: Ints, codes: Ints | None) -> None:
        """The more extreme of what is here of `persons` and of another store's people 0, 1, ..."""
        del codes
        n = len(persons)
        better = np.maximum if self._largest else np.minimum
        self.cells["value"][persons] = better(self.cells["value"][persons], other.cells["value"][:n])
        self.cells["known"][persons] |= other.cells["known"][:n]

    def combine(self, other: Extreme, codes: Ints | None) -> None:
        """The more extreme of two parts' values."""
        del codes
        n = other.cells.n
        mine, theirs = self.cells["value"], other.cells["value"]
        mine[:n] = (np.maximum if self._largest else np.minimum)(mine[:n], theirs[:n])
        self.cells["known"][:n] |= other.cells["known"][:n]

    def digest(self, words: Dictionary | None) -> list[Any]:
        """What the state hash sees."""
        del words
        return [self.cells["value"][: self.cells.n].tolist(), self.cells["known"][: self.cells.n].tolist()]


class End(InColumns):
    """The first or last row by (stamp, offset, place), with its value: first, last, time since, traits, context."""

    _ORDER = ("stamp", "offset", "place")

    def __init__(self, last: bool) -> None:
        self._last = last
        self.cells = Columns(
            known=np.bool_(False), stamp=np.int64(0), offset=np.int64(0), place=np.int64(0), value=np.int64(MISSING)
        )

    def add(self, rows: Rows) -> None:
        """Keep the row that is nearest to this end, per person."""
        if not len(rows.person):
            return
        rows = rows.take(rows.order())
        changes = np.flatnonzero(rows.person[1:] != rows.person[:-1])
        edge = np.append(changes, len(rows.person) - 1) if self._last else np.append(0, changes + 1)
        self._offer(rows.take(edge))

    def _offer(self, rows: Rows) -> None:
        """Take over each row that beats the cell; at most one row per person."""
        beats = self._beats(rows)
        won = rows.take(beats)
        for name in (*self._ORDER, "value"):
            self.cells[name][won.person] = getattr(won, name)
        self.cells["known"][won.person] = True

    def _beats(self, rows: Rows) -> Bools:
        later, equal = np.zeros(len(rows.person), bool), np.ones(len(rows.person), bool)
        for name in self._ORDER:
            theirs, mine = getattr(rows, name), self.cells[name][rows.person]
            later |= equal & ((theirs > mine) if self._last else (theirs < mine))
            equal &= theirs == mine
        return np.asarray(later | ~self.cells["known"][rows.person], dtype=bool)

    def _rows(self, persons: Ints, codes: Ints | None = None) -> Rows:
        persons = persons[self.cells["known"][persons]]
        stamp, offset, place, value = (self.cells[name][persons] for name in (*self._ORDER, "value"))
        return Rows(persons, stamp, offset, place, value if codes is None else codes[value])

    def merge(self, into: Person, gone: Person) -> None:
        """The nearer of two people's rows."""
        row = self._rows(np.array([gone]))
        self._offer(row._replace(person=np.full_like(row.person, into)))
        self.cells.clear(gone)

    def adopt(self, other: End, persons: Ints, codes: Ints | None) -> None:
        """The nearer of what is here of `persons` and of another store's people 0, 1, ..."""
        rows = other._rows(np.arange(len(persons)), codes)
        self._offer(rows._replace(person=persons[rows.person]))

    def combine(self, other: End, codes: Ints | None) -> None:
        """The nearer of two parts' rows; `codes` translates the other part's dictionary."""
        self._offer(other._rows(np.arange(other.cells.n), codes))

    def digest(self, words: Dictionary | None) -> list[Any]:
        """What the state hash sees: values, not codes."""
        rows = self._rows(np.arange(self.cells.n))
        names = words.digests() if words else []
        shown = [names[code] if code >= 0 and names else code for code in rows.value.tolist()]
        return [*(getattr(rows, name).tolist() for name in ("person", *self._ORDER)), shown]
