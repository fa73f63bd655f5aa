"""From events to rows: a batch is read column by column, and only what a leaf reads of those events it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from mailwright.core.events import Event
from mailwright.rules import syntax as s
from mailwright.rules.fold.feeds import ANY, Arrival, Block, Feed, Taken, columns_of, points_of
from mailwright.rules.fold.filters import BulkTest, in_bulk, quick_elements
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.rules.values import ItemLookup, names_of, paths, to_micro_units, trait_write

_EXACT = 1e15  # so many digits a double holds: below, equal doubles are equal decimals
_NUMBERS = frozenset((int, float))
_ONE_VALUE = frozenset((str, int, bool, dict))  # types that are a value as they stand: no element apart, none missing
_units = lru_cache(maxsize=65_536, typed=True)(to_micro_units)


class _Chosen(NamedTuple):
    """Events of a batch that meet a filter: their places among the fresh ones, themselves, and when they were known."""

    at: Ints
    events: Sequence[Event]
    stamp: Ints
    late: Ints

    def where(self, mask: Bools) -> _Chosen:
        events = [event for event, yes in zip(self.events, mask.tolist(), strict=True) if yes]
        return _Chosen(self.at[mask], events, self.stamp[mask], self.late[mask])

    def in_time(self, feed: Feed) -> _Chosen:
        """Those that are not too late for the feed."""
        limit = feed.source.lateness
        if limit is None or not bool((late := self.late > limit).any()):
            return self
        return self.where(~late)


class _Values(NamedTuple):
    """What a path reads: values, of which event each is (None: one of each), and each one's place in its event."""

    values: list[Any]
    of: Ints | None = None
    place: Ints | None = None

    def rows(self, index: Ints, value: Ints | None, mask: Bools | None = None) -> Taken:
        """The rows of these values, or of those of a mask; places are counted anew among them."""
        index = index if self.of is None else index[self.of]
        if mask is None:
            return Taken(index, self.place, value)
        value = value if value is None or len(value) != len(mask) else value[mask]
        return Taken(index[mask], None if self.place is None else _places(index[mask]), value)


def _places(index: Ints) -> Ints:
    """Place of each row among those of the same event, which stand together."""
    starts = np.flatnonzero(np.append(True, index[1:] != index[:-1])) if len(index) else index
    return np.arange(len(index)) - np.repeat(starts, np.diff(np.append(starts, len(index))))


class _Filtered:
    """Feeds behind one filter of one event name, by what they read."""

    def __init__(self, where: s.Expression | None, items: ItemLookup) -> None:
        self.where = where
        self._items = items
        self._holds: BulkTest | None = None if where is None else in_bulk(where, items)
        self._plain: list[Feed] = []
        self._by_path: dict[tuple[str, ...], list[Feed]] = {}

    def add(self, feed: Feed) -> None:
        """One more feed."""
        plain = feed.source.kind in ("event", "stamp", "kept", "points")
        (self._plain if plain else self._by_path.setdefault(feed.source.path, [])).append(feed)

    def take(self, name: str, chosen: _Chosen) -> None:
        """Give the events called `name` to the feeds, if they meet the filter."""
        if self._holds is not None:
            chosen = chosen.where(self._holds(chosen.events))
        if not len(chosen.at):
            return
        for feed in self._plain:
            feed.take(_plain_rows(feed, name, chosen.in_time(feed)))
        for path, feeds in self._by_path.items():
            self._take_path(chosen, path, feeds)

    def _take_path(self, chosen: _Chosen, path: tuple[str, ...], feeds: Sequence[Feed]) -> None:
        read: dict[int, _Values] = {}
        for feed in feeds:
            mine = chosen.in_time(feed)
            if len(mine.at) not in read:  # who is in time is all, or the same few for every feed with a limit
                read[len(mine.at)] = _read(mine.events, path, self._items)
            feed.take(_value_rows(feed, mine.at, read[len(mine.at)]))


def _plain_rows(feed: Feed, name: str, chosen: _Chosen) -> Taken:
    match feed.source.kind:
        case "stamp":
            return Taken(chosen.at, value=chosen.stamp)
        case "points":
            return Taken(chosen.at, value=np.full(len(chosen.at), points_of(feed.source)[name], dtype=np.int64))
        case "kept":
            chosen = _once(feed, name, chosen)
            return Taken(chosen.at, events=[feed.slim(event) for event in chosen.events])
        case _:
            return Taken(chosen.at)


def _once(feed: Feed, name: str, chosen: _Chosen) -> _Chosen:
    """Without what the feed takes by another name: a page goes by ``$page`` and by its own, and is kept once."""
    names = feed.source.names
    if len(names) == 1:
        return chosen
    firsts = [next(one for one in names if one in names_of(event)) for event in chosen.events]
    return chosen.where(np.array([first == name for first in firsts], dtype=bool))


def _value_rows(feed: Feed, index: Ints, found: _Values) -> Taken:
    match feed.source.kind:
        case "number":
            units, known = micro_units(found.values)
            return found.rows(index, units, known)
        case "value":
            return found.rows(index, np.array(feed.words.encoded(found.values), dtype=np.int64))
        case _:
            return found.rows(index, None)


def _read(events: Sequence[Event], path: tuple[str, ...], items: ItemLookup) -> _Values:
    """The elements of a property of many events, see `values.elements`."""
    if len(path) == 1 and path[0] not in ("product", "context"):
        step = path[0]
        raw = [event.properties.get(step) for event in events]
        kinds = set(map(type, raw))
        if kinds <= _ONE_VALUE or (kinds <= _ONE_VALUE | {float} and _finite(raw)):
            return _Values(raw)
        if kinds <= _ONE_VALUE | {type(None)}:
            there = [place for place, value in enumerate(raw) if value is not None]
            return _Values([raw[place] for place in there], np.array(there, dtype=np.int64))
    found = [quick_elements(event, path, items) for event in events]
    of = np.repeat(np.arange(len(events)), [len(values) for values in found])
    return _Values([value for values in found for value in values], of, _places(of))


def _finite(values: Sequence[Any]) -> bool:
    """Whether no number among values of single types is infinite or none."""
    if _all_numbers(values):
        try:
            return bool(np.isfinite(np.array(values, dtype=np.float64)).all())
        except OverflowError:
            pass
    return all(isfinite(value) for value in values if type(value) is float)


def micro_units(values: Sequence[Any]) -> tuple[Ints, Bools | None]:
    """`values.to_micro_units` of each value and which of them there are (None: all); of the others any number.

    A double below 10^9 that equals a whole number of millionths is that number, as no two decimals of fifteen digits
    are one double; all else is converted from its decimal text.
    """
    numbers = [value if type(value) in _NUMBERS else None for value in values] if not _all_numbers(values) else values
    try:
        doubles = np.array(numbers, dtype=np.float64)
    except OverflowError:  # a whole number beyond every double
        doubles = np.full(len(numbers), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.rint(doubles * 1e6)
        exact = (units / 1e6 == doubles) & (np.abs(units) < _EXACT)
        found: Ints = np.where(exact, units, 0).astype(np.int64)
    if exact.all():
        return found, None
    known = exact.copy()
    for place in np.flatnonzero(~exact).tolist():
        number = numbers[place]
        slow = None if number is None else _units(number)
        if slow is not None:
            found[place], known[place] = slow, True
    return found, None if known.all() else known


def _all_numbers(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= _NUMBERS


class Reading:
    """Hands the events of a batch to the feeds that read them."""

    def __init__(self, feeds: Iterable[Feed], items: ItemLookup) -> None:
        self._items = items
        self._by_name: dict[str, list[_Filtered]] = {}
        feeds = list(feeds)
        self._traits = [feed for feed in feeds if feed.source.kind == "trait"]
        self._context = [feed for feed in feeds if feed.source.kind == "context"]
        for feed in feeds:
            for name in feed.source.names:
                self._behind(name, feed.source.where).add(feed)
        self._names = list(self._by_name)
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._any = ANY in self._by_name

    def _behind(self, name: str, where: s.Expression | None) -> _Filtered:
        group = self._by_name.setdefault(name, [])
        for filtered in group:
            if filtered.where == where:
                return filtered
        group.append(_Filtered(where, self._items))
        return group[-1]

    def take(self, arrivals: Sequence[Arrival], put: Callable[[Block], int]) -> None:
        """Put arrivals into the inbox, and their rows into every feed that reads them."""
        block, known, events = columns_of(arrivals)
        first = put(block)
        late = known - block.stamp
        for name, places in self._called(events):
            chosen = _Chosen(places + first, [events[at] for at in places.tolist()], block.stamp[places], late[places])
            for filtered in self._by_name[name]:
                filtered.take(name, chosen)
        for feed in self._traits:
            _take_writes(feed, first, events, _trait)
        if self._context:
            with_context = [(place, event) for place, event in enumerate(events) if event.context]
            for feed in self._context:
                self._take_context(feed, first, with_context)

    def _called(self, events: Sequence[Event]) -> list[tuple[str, Ints]]:
        """The places of events by each name that is read, ascending."""
        code = self._codes.get
        if not self._any and {event.type for event in events} == {"track"}:
            codes = np.array([code(event.name, -1) for event in events], dtype=np.int64)
            places = np.arange(len(events))
        else:
            pairs = [
                (place, code(name, -1))
                for place, event in enumerate(events)
                for name in dict.fromkeys(self._all_names(event))
            ]
            places, codes = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        if not len(codes):
            return []
        short = np.int16 if len(self._names) < 32_000 else np.int32  # a stable sort of 16 bits is a radix sort
        order = np.argsort(codes.astype(short), kind="stable")
        codes = codes[order]
        starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])).tolist()
        groups = [(int(codes[start]), order[start:stop]) for start, stop in pairwise([*starts, len(codes)])]
        return [(self._names[number], places[group]) for number, group in groups if number >= 0]

    def _all_names(self, event: Event) -> tuple[str, ...]:
        names = names_of(event)
        return (*names, ANY) if self._any and event.type in ("track", "page", "screen") else names

    def _take_context(self, feed: Feed, first: int, events: Sequence[tuple[int, Event]]) -> None:
        head, path = feed.source.path[0], feed.source.path
        writes: list[tuple[int, Any]] = []
        for place, event in events:
            if head in event.context or head == "product":
                found = paths(event.context, path, event.stamp_at, self._items)
                if found:
                    writes.append((place, found[0]))
        _take_coded(feed, first, writes)


def _trait(feed: Feed, event: Event) -> tuple[bool, Any]:
    if event.type != "identify" or not event.traits:
        return False, None
    return trait_write(event.traits, feed.source.path)


def _take_writes(
    feed: Feed, first: int, events: Sequence[Event], write: Callable[[Feed, Event], tuple[bool, Any]]
) -> None:
    written = [(place, *write(feed, event)) for place, event in enumerate(events)]
    _take_coded(feed, first, [(place, value) for place, yes, value in written if yes])


def _take_coded(feed: Feed, first: int, writes: Sequence[tuple[int, Any]]) -> None:
    """Rows for writes; None, a removal, is a row too."""
    if writes:
        places, values = zip(*writes, strict=True)
        codes = np.array([feed.words.code(value) for value in values], dtype=np.int64)
        feed.take(Taken(np.array(places, dtype=np.int64) + first, value=codes))
