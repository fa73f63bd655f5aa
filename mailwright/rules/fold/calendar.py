"""A calendar queue: rows by instant in daily buckets, each bucket a few sorted runs that are never changed in place.

A row is one 64-bit key, microseconds of its day before the person's number, so that a run is sorted and searched by
instant without a second column; a value beside it only where a leaf adds values up. A late row goes into the bucket of
its own day, and runs of similar length are merged, so that each row is moved a logarithmic number of times.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import Permanent
from mailwright.core.instants import DAY
from mailwright.rules.fold.rows import Bools, Ints

NEVER = np.iinfo(np.int64).max
PERSON_BITS = 27
PEOPLE_MAX = 1 << PERSON_BITS
"""A key holds the number of a person below this, and 37 bits of microseconds: more than a day has."""

_SHIFT = np.uint64(PERSON_BITS)
_PERSON = np.uint64(PEOPLE_MAX - 1)
_RUNS = 8  # so many runs of a bucket are looked through before they are merged

Keys = NDArray[np.uint64]


class Dated(NamedTuple):
    """Rows as read: who, when, and the value (None where the calendar keeps none)."""

    person: Ints
    stamp: Ints
    value: Ints | None


class Run(NamedTuple):
    """Sorted keys of one bucket with their values; read-only."""

    keys: Keys
    values: Ints | None


class Calendar:
    """Rows by instant; `valued` tells whether each has a value."""

    def __init__(self, valued: bool) -> None:
        self.valued = valued
        self._buckets: dict[int, list[Run]] = {}
        self._days: list[int] = []  # numbers of the buckets, ascending

    def __len__(self) -> int:
        return sum(len(run.keys) for runs in self._buckets.values() for run in runs)

    def add(self, person: Ints, stamp: Ints, value: Ints | None) -> None:
        """Take in rows in order of stamp."""
        if not len(stamp):
            return
        first, last = int(stamp[0]) // DAY, int(stamp[-1]) // DAY
        if first == last:
            self._put(first, _run(first, person, stamp, value))
            return
        days = stamp // DAY
        cuts = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(stamp)]
        for start, stop in pairwise(cuts):
            day, part = int(days[start]), slice(start, stop)
            self._put(day, _run(day, person[part], stamp[part], None if value is None else value[part]))

    def _put(self, day: int, run: Run) -> None:
        runs = self._buckets.get(day)
        if runs is None:
            self._buckets[day] = [run]
            insort(self._days, day)
            return
        runs.append(run)
        if len(runs) > _RUNS:
            _merge_tail(runs)

    def between(self, after: int, upto: int) -> Dated:
        """The rows with ``after < stamp <= upto``."""
        return _joined(list(self._slices(after, upto)), self.valued)

    def _slices(self, after: int, upto: int) -> Iterator[tuple[int, Run]]:
        for day in self._days_in((after + 1) // DAY, upto // DAY):
            bounds = np.array([_edge(after, day), _edge(upto, day)], dtype=np.uint64)
            for run in self._buckets[day]:
                start, stop = run.keys.searchsorted(bounds).tolist()
                if stop > start:
                    yield day, _part(run, start, stop)

    def _days_in(self, first: int, last: int) -> list[int]:
        return self._days[bisect_left(self._days, first) : bisect_left(self._days, last + 1)]

    def first_after(self, edge: int) -> int:
        """The stamp of the first row past `edge`; NEVER if there is none."""
        for day in self._days[bisect_left(self._days, (edge + 1) // DAY) :]:
            bound = np.uint64(_edge(edge, day))
            heads = [
                int(run.keys[at]) for run in self._buckets[day] if (at := run.keys.searchsorted(bound)) < len(run.keys)
            ]
            if heads:
                return day * DAY + (min(heads) >> PERSON_BITS)
        return NEVER

    def first_where(self, edge: int, holds: Callable[[Ints, Ints], Bools]) -> int:
        """The stamp of the first row past `edge` of which `holds` (of people and stamps) is true; NEVER if of none.

        Rows of which it is false are forgotten on the way.
        """
        for day in self._days[bisect_left(self._days, (edge + 1) // DAY) :]:
            found = [_trimmed(run, day, edge, holds) for run in self._buckets[day]]
            self._buckets[day] = [run for run, _ in found]
            first = min(stamp for _, stamp in found)
            if first != NEVER:
                return first
        return NEVER

    def drop(self, upto: int) -> None:
        """Forget whole days that end at or before `upto`."""
        gone = bisect_left(self._days, (upto + 1) // DAY)
        for day in self._days[:gone]:
            del self._buckets[day]
        del self._days[:gone]

    def leave_out(self, chosen: Callable[[Ints], Bools]) -> None:
        """Forget the rows of the people that are chosen."""
        for day in list(self._days):
            runs = []
            for run in self._buckets[day]:
                out = chosen((run.keys & _PERSON).view(np.int64))
                kept = (
                    run if not out.any() else _fixed(run.keys[~out], None if run.values is None else run.values[~out])
                )
                if len(kept.keys):
                    runs.append(kept)
            self._buckets[day] = runs
            if not runs:
                del self._buckets[day]
        self._days = sorted(self._buckets)

    def dump(self) -> dict[str, dict[str, Any]]:
        """Plain data by day. What no row came to since the last time is the same read-only arrays."""
        for runs in self._buckets.values():
            runs[:] = [_merged(runs)]
        return {str(day): self._buckets[day][0]._asdict() for day in self._days}

    def load(self, days: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what `dump` gave."""
        self._buckets = {int(day): [_fixed(state["keys"], state["values"])] for day, state in days.items()}
        self._days = sorted(self._buckets)


def checked(n: int) -> int:
    """`n`, if so many people can be told apart.

    Raises:
        Permanent: ``fold.people``, if not.
    """
    if n > PEOPLE_MAX:
        raise Permanent("fold.people", f"{n:,} people are more than the live rules can number: {PEOPLE_MAX:,}")
    return n


def _edge(stamp: int, day: int) -> int:
    """The first key of `day` that lies past `stamp`."""
    return min(max(stamp + 1 - day * DAY, 0), DAY) << PERSON_BITS


def _run(day: int, person: Ints, stamp: Ints, value: Ints | None) -> Run:
    keys = ((stamp - day * DAY).astype(np.uint64) << _SHIFT) | person.astype(np.uint64)
    return _fixed(keys, None if value is None else value.copy())


def _fixed(keys: Keys, values: Ints | None) -> Run:
    for column in (keys, values):
        if column is not None:
            column.flags.writeable = False
    return Run(keys, values)


def _part(run: Run, start: int, stop: int) -> Run:
    return Run(run.keys[start:stop], None if run.values is None else run.values[start:stop])


def _trimmed(run: Run, day: int, edge: int, holds: Callable[[Ints, Ints], Bools]) -> tuple[Run, int]:
    """The run from its first row past `edge` on that holds, and that row's stamp."""
    start, size = int(run.keys.searchsorted(np.uint64(_edge(edge, day)))), 64
    while start < len(run.keys):
        rows = _joined([(day, _part(run, start, start + size))], valued=False)
        true = np.flatnonzero(holds(rows.person, rows.stamp))
        if len(true):
            return _part(run, start + int(true[0]), len(run.keys)), int(rows.stamp[true[0]])
        start, size = start + size, size * 2
    return _part(run, len(run.keys), len(run.keys)), NEVER


def _merge_tail(runs: list[Run]) -> None:
    """Merge the last runs up to one that is longer than all behind it."""
    start, total = len(runs) - 1, len(runs[-1].keys)
    while start and len(runs[start - 1].keys) <= 2 * total:
        start -= 1
        total += len(runs[start].keys)
    start = min(start, len(runs) - 2)
    runs[start:] = [_merged(runs[start:])]


def _merged(runs: list[Run]) -> Run:
    if len(runs) == 1:
        return runs[0]
    keys = np.concatenate([run.keys for run in runs])
    if runs[0].values is None:
        keys.sort(kind="stable")  # runs that are sorted already are merged in one pass
        return _fixed(keys, None)
    values = np.concatenate([run.values for run in runs if run.values is not None])
    order = np.argsort(keys, kind="stable")
    return _fixed(keys[order], values[order])


def _joined(parts: list[tuple[int, Run]], valued: bool) -> Dated:
    nothing = np.zeros(0, np.int64)
    if not parts:
        return Dated(nothing, nothing, nothing if valued else None)
    keys = parts[0][1].keys if len(parts) == 1 else np.concatenate([run.keys for _, run in parts])
    values = [run.values for _, run in parts if run.values is not None]
    starts = [np.full(len(run.keys), day * DAY, dtype=np.int64) for day, run in parts]
    return Dated(
        (keys & _PERSON).view(np.int64),
        (keys >> _SHIFT).view(np.int64) + np.concatenate(starts),
        np.concatenate(values) if valued else None,
    )
