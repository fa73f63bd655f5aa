"""The identity graph of any moment, as arrays, from History's belonging rows."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mailwright.core.errors import NotFound
from mailwright.core.events import Offset, Person
from mailwright.core.ports import History
from mailwright.profiles.identifier_key import identifier_keys
from mailwright.rules.fold.rows import Bools, Ints

NOBODY = -1
"""Where an identifier belongs to no person: it was not seen yet, or was erased."""


class PastMerge(NamedTuple):
    """At `offset` everything kept of `gone` was combined into `into`; `gone` was never used again."""

    offset: Offset
    into: Person
    gone: Person


class PastSplit(NamedTuple):
    """At `offset` some identifiers of `person`, with everything that they had ever done, became those of `other`."""

    offset: Offset
    person: Person
    other: Person


class Belongings:
    """Every belonging row up to an offset: who owned which identifier when. Numbers only; texts are read when asked."""

    def __init__(self, history: History, upto: Offset) -> None:
        self._history = history
        self.upto = upto
        rows = _read(history, upto)
        opens = rows["closed"] < 0
        # A row that closes gives the identifier to nobody from its end on, until the next row opens: mostly at once.
        at = np.where(opens, rows["opened"], rows["closed"])
        order = np.lexsort((np.arange(len(at)), at, rows["key"]))
        self._row = order
        self._key, self._at = rows["key"][order], at[order]
        self._person, self._opens = rows["person"][order], opens[order]

    def changes_of(self, keys: Ints) -> Ints:
        """The offsets at which any of some identifiers came to a person or left one, ascending."""
        found: Ints = np.unique(self._at[np.isin(self._key, keys)])
        return found

    def persons_of(self, keys: Ints, offsets: Ints | Offset) -> Ints:
        """Who owned each identifier at an offset, or each at its own; NOBODY if no one did.

        Args:
            keys: Identifier keys.
            offsets: One offset for all, or one per key; what happened at the offset itself counts.
        """
        first, behind = (np.searchsorted(self._key, keys, side) for side in ("left", "right"))
        upto = np.broadcast_to(np.asarray(offsets, dtype=np.int64), keys.shape)
        found = np.full(keys.shape, NOBODY, dtype=np.int64)
        step, open_ones = 0, np.flatnonzero(behind > first)
        while len(open_ones):  # as many rounds as the most often merged identifier has rows
            row = first[open_ones] + step
            reached = self._at[row] <= upto[open_ones]
            hit = open_ones[reached]
            found[hit] = np.where(self._opens[row[reached]], self._person[row[reached]], NOBODY)
            step += 1
            open_ones = hit[first[hit] + step < behind[hit]]
        return found

    def merges(self, after: Offset, upto: Offset) -> list[PastMerge]:
        """Merges with after < offset <= upto, in the order in which they happened."""
        handed = ~self._opens[:-1] & self._opens[1:] & (self._key[:-1] == self._key[1:])
        handed &= (self._at[:-1] == self._at[1:]) & (self._at[:-1] > after) & (self._at[:-1] <= upto)
        place = np.flatnonzero(handed)
        place = place[np.argsort(self._row[place])]  # the order in which the engine told them
        columns = (self._at[place], self._person[place + 1], self._person[place])
        told = zip(*(column.tolist() for column in columns), strict=True)
        merges = dict.fromkeys(PastMerge(Offset(at), Person(into), Person(gone)) for at, into, gone in told)
        return list(merges)

    def opened(self, upto: Offset) -> tuple[Ints, Ints]:
        """(person, row) of every row that gave an identifier to a person by `upto`, in order."""
        chosen = np.flatnonzero(self._opens & (self._at <= upto))
        chosen = chosen[np.argsort(self._row[chosen])]
        return self._person[chosen], self._row[chosen]

    def given(self, upto: Offset) -> tuple[Ints, list[str]]:
        """By number, the offset at which it was given, and the identifier that it was given for."""
        person, row = self.opened(upto)
        numbers, first = np.unique(person, return_index=True)
        n = int(numbers.max(initial=-1)) + 1
        born, names = np.zeros(n, dtype=np.int64), [""] * n
        born[numbers] = self.offsets_of(row[first])
        for number, text in zip(numbers.tolist(), self.texts(row[first]), strict=True):
            names[number] = text
        # A number whose identifiers were erased is as old as the one before it.
        return np.maximum.accumulate(born), names

    def offsets_of(self, rows: Ints) -> Ints:
        """The offset of each row, by its number."""
        offset = np.zeros(len(self._at), dtype=np.int64)
        offset[self._row] = self._at
        return offset[rows]

    def owned(self, offset: Offset) -> tuple[Ints, Ints]:
        """(key, person) of every identifier that somebody has at `offset`, by key."""
        known = self._at <= offset
        key, person, opens = self._key[known], self._person[known], self._opens[known]
        newest = np.append(key[1:] != key[:-1], True) if len(key) else np.zeros(0, dtype=bool)
        chosen = newest & opens
        return key[chosen], person[chosen]

    def texts(self, rows: Ints) -> list[str]:
        """The identifiers (``kind:value``) of belonging rows, by their number."""
        if not len(rows):
            return []
        batches = list(self._history.scan("belonging", ["identifier"], self.upto))
        column = pa.chunked_array([batch.column(0) for batch in batches])
        texts: list[str] = column.take(pa.array(rows)).to_pylist()
        return texts


class KeyTable:
    """Identifier key -> person, looked up for a million keys at once. Keys are hashes already, so their bits serve."""

    def __init__(self, keys: Ints, persons: Ints) -> None:
        size = 1 << max(4, int(len(keys) * 3).bit_length())
        self._mask = size - 1
        self._keys = np.zeros(size, dtype=np.int64)
        self._persons = np.full(size, NOBODY, dtype=np.int64)
        place, left = keys & self._mask, np.arange(len(keys))
        while len(left):
            free = self._persons[place] == NOBODY
            self._keys[place[free]] = keys[left[free]]
            self._persons[place[free]] = persons[left[free]]
            lost = ~(free & (self._keys[place] == keys[left]))  # taken before, or by another in this round
            left, place = left[lost], (place[lost] + 1) & self._mask

    def persons_of(self, keys: Ints) -> Ints:
        """The person of each key; NOBODY for an unknown one."""
        place = keys & self._mask
        found: Ints = self._persons[place]
        left = np.flatnonzero((self._keys[place] != keys) & (found != NOBODY))
        place = place[left]
        while len(left):
            place = (place + 1) & self._mask
            found[left] = self._persons[place]
            going_on = (self._keys[place] != keys[left]) & (found[left] != NOBODY)
            left, place = left[going_on], place[going_on]
        return found


class Graph:
    """The people as known at one offset."""

    def __init__(self, belongings: Belongings, offset: Offset) -> None:
        self._belongings = belongings
        self.offset = offset
        self._opened = belongings.opened(offset)
        self.n_persons = int(self._opened[0].max(initial=-1)) + 1
        """Numbers given so far, those of merged people included."""

    def persons_of(self, keys: Ints) -> Ints:
        """The person whose each identifier key is; NOBODY for one that is not known."""
        return self._table.persons_of(keys)

    @cached_property
    def _table(self) -> KeyTable:
        return KeyTable(*self._owned)

    @cached_property
    def _owned(self) -> tuple[Ints, Ints]:
        return self._belongings.owned(self.offset)

    @cached_property
    def current(self) -> Ints:
        """By number, the living person it stands for."""
        into = np.arange(self.n_persons)
        person, row = self._opened
        came = np.full(self.n_persons, -1, dtype=np.int64)
        np.maximum.at(came, person, self._belongings.offsets_of(row))
        for merge in self._belongings.merges(Offset(0), self.offset):
            if came[merge.gone] <= merge.offset:  # else a split brought the number back
                into[merge.gone] = merge.into
        while not np.array_equal(further := into[into], into):
            into = further
        return into

    @property
    def alive(self) -> Bools:
        """By number, whether the person was not merged into another."""
        return np.asarray(self.current == np.arange(self.n_persons))

    def keys_of(self, persons: Ints) -> tuple[Ints, Ints]:
        """(key, person) of every identifier that these people have, by key."""
        wanted = np.zeros(self.n_persons, dtype=bool)
        wanted[persons] = True
        keys, owners = self._owned
        chosen = wanted[owners]
        return keys[chosen], owners[chosen]

    def first_identifiers(self, persons: Ints | None = None) -> list[str]:
        """``kind:value`` of the first identifier of the living person behind each number (None: all, by number)."""
        person, row = self._opened
        numbers, first = np.unique(person, return_index=True)
        if len(numbers) != self.n_persons:
            raise NotFound("history.person", "History lacks the identifiers of some people", "rebuild it from the log")
        asked = self.current if persons is None else self.current[persons]
        return self._belongings.texts(row[first][asked])


def _read(history: History, upto: Offset) -> dict[str, NDArray[np.int64]]:
    names = ("key", "person", "opened", "closed")
    parts: list[tuple[NDArray[np.int64], ...]] = []
    columns = ["identifier", "person", "from_offset", "to_offset", "identifier_key"]
    columns = [name for name in columns if name in history.columns("belonging")]
    for batch in history.scan("belonging", columns, upto) if columns else ():
        parts.append((keys_in(batch), *(_numbers(batch.column(place)) for place in (1, 2, 3))))
    return {
        name: np.concatenate([np.zeros(0, np.int64), *(part[place] for part in parts)])
        for place, name in enumerate(names)
    }


def keys_in(batch: pa.RecordBatch) -> Ints:
    """Identifier keys of rows with ``identifier`` and, but in older files, ``identifier_key``."""
    names = batch.schema.names
    if "identifier_key" in names and not batch.column("identifier_key").null_count:
        return _numbers(batch.column("identifier_key"))
    texts = batch.column("identifier").to_pylist()
    if "identifier_kind" in names:
        kinds = batch.column("identifier_kind").to_pylist()
        texts = [f"{kind}:{value}" for kind, value in zip(kinds, texts, strict=True)]
    return identifier_keys(texts)


def _numbers(column: pa.Array) -> NDArray[np.int64]:
    return np.asarray(column.fill_null(NOBODY).to_numpy(zero_copy_only=False), dtype=np.int64)
