"""Readers of leaves: from the state of a store to cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import Cells, Coded, Fading, Loose, Since, Whole, forever
from mailwright.rules.fold.columns import End, Extreme, Totals
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.ordered import Decayed
from mailwright.rules.fold.queue import Windowed
from mailwright.rules.fold.rows import MISSING, Bools, Dictionary, Ints
from mailwright.rules.fold.runs import Found, Ledger, Tally
from mailwright.rules.values import local_date, scaled
from mailwright.rules.windows import bounds, calendar_start, day_start

_LIMIT = float(2**62)


# --- one cell per person ---------------------------------------------------------------------------------------------


def total(store: Totals | Windowed, function: str) -> Reader:
    """Count, sum or average from running values; what leaves a window is told by the queue, so it holds forever."""

    def read(frame: Frame) -> Cells:
        count = store.cells["count"][frame.persons]
        amount = count if function == "count" else store.cells["sum"][frame.persons]
        if frame.tells_due and isinstance(store, Windowed):
            return figure(function, count, amount, store.leave_at(frame.persons))
        return figure(function, count, amount, forever(len(frame)))

    return read


def figure(function: str, count: Ints, amount: NDArray[Any], until: Ints) -> Cells:
    """Count, sum or average of `count` numbers that add up to `amount` micro-units."""
    everybody = np.ones(len(count), dtype=bool)
    if function == "count":
        return Whole(count, everybody, "whole", until)
    if function == "sum":
        return Whole(amount, everybody, "micro", until)
    return Whole(_average(amount, np.maximum(count, 1)), count > 0, "micro", until)


def _average(amount: NDArray[Any], count: Ints) -> NDArray[Any]:
    """`values.average_micro_units` of whole columns: half even."""
    quotient = amount // count
    rest = amount - quotient * count
    up = (2 * rest > count) | ((2 * rest == count) & (quotient % 2 == 1))
    return np.asarray(quotient + up)


def extreme(store: Extreme) -> Reader:
    """The smallest or largest number."""

    def read(frame: Frame) -> Cells:
        cells = store.cells
        return Whole(cells["value"][frame.persons], cells["known"][frame.persons], "micro", forever(len(frame)))

    return read


def end_value(store: End, words: Dictionary) -> Callable[[Frame], Coded]:
    """The value of the first or last row; a removal is missing."""

    def read(frame: Frame) -> Coded:
        return Coded(store.cells["value"][frame.persons], words, forever(len(frame)))

    return read


def end_stamp(store: End) -> Reader:
    """The stamp of the first or last event."""

    def read(frame: Frame) -> Cells:
        cells = store.cells
        return Whole(cells["stamp"][frame.persons], cells["known"][frame.persons], "instant", forever(len(frame)))

    return read


def time_since(store: End) -> Reader:
    """How long ago the last event was."""

    def read(frame: Frame) -> Cells:
        return Since(store.cells["stamp"][frame.persons], store.cells["known"][frame.persons], frame.t)

    return read


def fading(store: Decayed, scale: float | None) -> Reader:
    """A decayed score."""

    def read(frame: Frame) -> Cells:
        return Fading(store.current(frame.persons, frame.t), store.half_life, scale, frame.t)

    return read


# --- per distinct value, ever ----------------------------------------------------------------------------------------


def tallied(store: Tally, words: Dictionary | None, function: str) -> Reader:
    """``distinct`` or ``most_frequent`` over all time."""

    def read(frame: Frame) -> Cells:
        return _per_value(store.counted(frame.persons), len(frame), words, function, forever(len(frame)))

    return read


def last_values(store: Tally, words: Dictionary, n: int) -> Reader:
    """The last n distinct values over all time, latest first."""

    def read(frame: Frame) -> Cells:
        return _latest(store.counted(frame.persons), len(frame), words, n, forever(len(frame)))

    return read


def _per_value(found: Found, n: int, words: Dictionary | None, function: str, until: Ints) -> Cells:
    """From one row per value (a stamp if there are no `words`), `place` its count, sorted by (group, last seen)."""
    group, rows = found
    if function == "distinct":
        return Whole(np.bincount(group, minlength=n).astype(np.int64), np.ones(n, dtype=bool), "whole", until)
    # Stable: of equal counts the one that appeared latest stays last.
    order = np.lexsort((rows.place, group))
    codes = np.full(n, MISSING, dtype=np.int64)
    codes[group[order]] = rows.value[order]  # the last assignment of a group wins
    if words is None:
        return Whole(codes, np.bincount(group, minlength=n) > 0, "instant", until)
    return Coded(codes, words, until)


def _latest(found: Found, n: int, words: Dictionary, most: int, until: Ints) -> Cells:
    group, codes = found.group, found.rows.value
    sizes = np.bincount(group, minlength=n)
    stops = np.cumsum(sizes)
    starts = stops - sizes
    lists = [
        [words.values[code] for code in codes[max(start, stop - most) : stop][::-1]]
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    return Loose(lists, until)


# --- made of other values --------------------------------------------------------------------------------------------


def scaled_sum(plain_sum: Reader, scale: Decimal) -> Reader:
    """A score without half-life on 0..100."""

    def read(frame: Frame) -> Cells:
        cells = plain_sum(frame)
        return Loose([scaled(value, scale) for value in cells.values()], cells.until)

    return read


def case(rows: Sequence[tuple[Reader, Reader]], otherwise: Reader | None) -> Reader:
    """The value of the first row whose condition is true."""

    def read(frame: Frame) -> Cells:
        results: list[Any] = [None] * len(frame)
        until = forever(len(frame)).copy()
        open_ = np.ones(len(frame), dtype=bool)
        for when, value in rows:
            truth = when(frame).truth()
            until = np.where(open_, np.minimum(until, truth.until), until)
            _fill(results, open_ & truth.mask, value(frame), until)
            open_ &= ~truth.mask
        if otherwise is not None:
            _fill(results, open_, otherwise(frame), until)
        return Loose(results, until)

    return read


def _fill(results: list[Any], chosen: Bools, cells: Cells, until: Ints) -> None:
    values = cells.values()
    for place in np.flatnonzero(chosen).tolist():
        results[place] = values[place]
        until[place] = min(until[place], cells.until[place])


# --- windows, from rows ----------------------------------------------------------------------------------------------


def windowed(store: Ledger, words: Dictionary | None, node: s.Aggregate | s.LastDistinct | s.Did) -> Reader:
    """Any function over any window, from every row of the people asked for."""

    def read(frame: Frame) -> Cells:
        found, until = inside(store, node.window, frame)
        return _aggregated(found, len(frame), words, node, until)

    return read


def inside(store: Ledger, window: s.Window | None, frame: Frame) -> tuple[Found, Ints]:
    """The rows inside a window at the frame's instant, and until when it surely holds the same rows."""
    group, rows = store.of(frame.persons)
    zones, back = frame.zones()
    edges = np.array([bounds(window, frame.t, zone) for zone in zones], dtype=np.int64).reshape(-1, 2)[back[group]]
    chosen = (rows.stamp > edges[:, 0]) & (rows.stamp <= edges[:, 1])
    found = Found(group[chosen], rows.take(chosen))
    return found, _holds_until(found, window, frame)


def _holds_until(found: Found, window: s.Window | None, frame: Frame) -> Ints:
    until = forever(len(frame)).copy()
    if isinstance(window, s.Within):
        np.minimum.at(until, found.group, found.rows.stamp + window.micros)
    elif isinstance(window, s.Calendar):
        ends = frame.by_zone(lambda zone: period_end(window.unit, frame.t, zone))
        until[found.group] = ends[found.group]
    return until  # days between two dates that have passed stay what they are


def period_end(unit: str, t: Instant, zone: tzinfo) -> Instant:
    """The first instant of the next day, week, month or year."""
    first = calendar_start(unit, local_date(t, zone))
    longer = {"day": 1, "week": 7, "month": 31, "year": 366}[unit]
    return day_start(calendar_start(unit, first + timedelta(days=longer)), zone)


def _aggregated(
    found: Found, n: int, words: Dictionary | None, node: s.Aggregate | s.LastDistinct | s.Did, until: Ints
) -> Cells:
    group, rows = found
    function = (
        node.function if isinstance(node, s.Aggregate) else "latest" if isinstance(node, s.LastDistinct) else "count"
    )
    if function in ("count", "sum", "average"):
        return figure(function, np.bincount(group, minlength=n).astype(np.int64), _sums(group, rows.value, n), until)
    if function in ("min", "max"):
        return _extremes(group, rows.value, n, function == "max", until)
    if function in ("first", "last"):
        return _end(found, n, words, function == "last", until)
    counted = _counted(found)
    if isinstance(node, s.LastDistinct) and words is not None:
        return _latest(counted, n, words, node.n, until)
    return _per_value(counted, n, words, function, until)


def _sums(group: Ints, values: Ints, n: int) -> NDArray[Any]:
    safe = float(np.abs(values.astype(np.float64)).sum()) < _LIMIT
    sums: NDArray[Any] = np.zeros(n, dtype=np.int64 if safe else object)
    np.add.at(sums, group, values if safe else values.astype(object))
    return sums


def _extremes(group: Ints, values: Ints, n: int, largest: bool, until: Ints) -> Cells:
    info = np.iinfo(np.int64)
    cells = np.full(n, info.min if largest else info.max, dtype=np.int64)
    (np.maximum if largest else np.minimum).at(cells, group, values)
    return Whole(cells, np.bincount(group, minlength=n) > 0, "micro", until)


def _end(found: Found, n: int, words: Dictionary | None, last: bool, until: Ints) -> Cells:
    way = slice(None) if last else slice(None, None, -1)  # the last assignment of a group wins
    group, rows = found.group[way], found.rows.take(np.arange(len(found.group))[way])
    if words is None:
        known: Bools = np.zeros(n, dtype=bool)
        stamps = np.zeros(n, dtype=np.int64)
        known[group], stamps[group] = True, rows.stamp
        return Whole(stamps, known, "instant", until)
    codes = np.full(n, MISSING, dtype=np.int64)
    codes[group] = rows.value
    return Coded(codes, words, until)


def _counted(found: Found) -> Found:
    """One row per (group, value): `place` its count, in order of latest appearance within the group."""
    group, rows = found
    place = np.arange(len(group))
    order = np.lexsort((place, rows.value, group))
    sorted_group, values = group[order], rows.value[order]
    if not len(order):
        return found
    changes = (sorted_group[1:] != sorted_group[:-1]) | (values[1:] != values[:-1])
    ends = np.append(np.flatnonzero(changes), len(order) - 1)
    counts = np.diff(np.append(-1, ends))
    back = np.argsort(order[ends])
    latest = order[ends][back]
    return Found(group[latest], rows.take(latest)._replace(place=counts[back]))
