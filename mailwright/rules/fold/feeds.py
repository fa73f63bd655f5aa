"""From events to rows: each event is looked at once, and only for what a leaf reads.

A `Feed` is what several leaves share: the events of one name that meet one filter, and the property they read. Feeds
are found by event name; a filter is asked once per event however many feeds stand behind it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.filters import compiled, quick_elements
from mailwright.rules.fold.rows import Bools, Dictionary, Ints, Rows
from mailwright.rules.values import ItemLookup, names_of, paths, to_micro_units, trait_write

NEWEST = np.iinfo(np.int64).max
ANY = "$any"
"""The name by which sessions read every track, page and screen call."""


class Arrival(NamedTuple):
    """An accepted event, without duplicates, with the number of the person it belongs to."""

    offset: Offset
    person: Person
    event: Event


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed takes from which events.

    Attributes:
        kind: ``event`` one row per event; ``stamp`` one with its stamp; ``each`` one per element of `path`; ``number``
            summable elements of `path` in micro-units; ``value`` elements of `path` as codes; ``points`` micro-units by
            event name; ``trait`` and ``context`` writes of `path`; ``kept`` the events themselves, cut to what `reads`
            names (see `plan.properties_read`).
        names: Event names, sorted; for trait and context empty: every event may carry them.
        lateness: Events known later than this many microseconds after their stamp are left out (None: none are).
    """

    kind: Literal["event", "stamp", "each", "number", "value", "points", "trait", "context", "kept"]
    names: tuple[str, ...] = ()
    where: s.Expression | None = None
    path: tuple[str, ...] = ()
    points: tuple[tuple[str, int], ...] = ()
    lateness: int | None = None
    reads: tuple[str, ...] = ()

    def key(self) -> str:
        """Identity across folds and checkpoints."""
        where = "" if self.where is None else s.key(self.where)
        plain = (self.kind, self.names, where, self.path, self.points, self.lateness, self.reads)
        return self.kind + ":" + hashlib.sha256(msgspec.json.encode(plain)).hexdigest()[:24]


class Feed:
    """The rows that wait for the next tick, as runs of values by place in the inbox; with its values' dictionary."""

    _COLUMNS = ("index", "size", "value")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = Dictionary()
        self.index = array("q")
        self.size = array("q")
        self.value = array("q")
        self.kept: dict[int, Event] = {}
        self._points = dict(source.points)

    def take_event(self, at: int, event: Event) -> None:
        """One row for the event, if it is not too late."""
        if self._in_time(event):
            self._take(at, (event.stamp_at if self.source.kind == "stamp" else 0,))
            if self.source.kind == "kept":
                self.kept[at] = self.slim(event)

    def _in_time(self, event: Event) -> bool:
        return self.source.lateness is None or event.known_at - event.stamp_at <= self.source.lateness

    def slim(self, event: Event) -> Event:
        """The event with nothing but what the leaf reads."""
        reads = self.source.reads
        properties = {name: event.properties[name] for name in reads if name in event.properties}
        context = {name: value for name, value in event.context.items() if f"context/{name}" in reads}
        return msgspec.structs.replace(event, properties=properties, context=context, traits={}, identifiers=[])

    def take_points(self, at: int, name: str) -> None:
        """One row with the points of the event's name."""
        self._take(at, (self._points[name],))

    def take_numbers(self, at: int, values: Sequence[Any]) -> None:
        """A row for each value that can be summed."""
        units = [_units(value) for value in values if type(value) in _NUMBERS]
        self._take(at, [each for each in units if each is not None])

    def take_values(self, at: int, event: Event, values: Sequence[Any]) -> None:
        """A row for each value, in order."""
        if self._in_time(event):
            coded = self.source.kind == "value"
            self._take(at, self.words.encoded(values) if coded else (0,) * len(values))

    def take_write(self, at: int, value: Any) -> None:
        """A row for a write; None, a removal, is a row too."""
        self._take(at, (self.words.code(value),))

    def _take(self, at: int, values: Sequence[int]) -> None:
        if values:
            self.index.append(at)
            self.size.append(len(values))
            self.value.extend(values)

    def drain(self, ready: Bools, moved: Ints) -> tuple[Ints, Ints, Ints]:
        """Take the rows of events that are ready: (inbox place, place, value); the others stay, renumbered."""
        index, size, value = self._columns()
        due = ready[index]
        spread = np.repeat(due, size)
        self._keep({"index": moved[index[~due]], "size": size[~due], "value": value[~spread]})
        self.kept = {int(moved[at]): event for at, event in self.kept.items() if not ready[at]}
        sizes = size[due]
        starts = np.cumsum(sizes) - sizes
        place = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
        return np.repeat(index[due], sizes), place, value[spread]

    def _columns(self) -> tuple[Ints, Ints, Ints]:
        index, size, value = (np.array(getattr(self, name), dtype=np.int64) for name in self._COLUMNS)
        return index, size, value

    def _keep(self, columns: Mapping[str, Ints]) -> None:
        for name in self._COLUMNS:
            setattr(self, name, array("q", columns[name].tobytes()))

    def append(self, other: Feed, codes: Ints | None, shift: int) -> None:
        """Take over rows that wait in another part of the log, whose inbox begins at `shift` here."""
        index, size, value = other._columns()
        self.index.frombytes((index + shift).tobytes())
        self.size.frombytes(size.tobytes())
        self.value.frombytes((value if codes is None else codes[value]).tobytes())
        self.kept.update({at + shift: event for at, event in other.kept.items()})

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        waiting = dict(zip(self._COLUMNS, self._columns(), strict=True))
        kept = msgspec.msgpack.encode(list(self.kept.items()))
        return {"words": self.words.values, "kept": kept, **waiting}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        for value in state["words"]:
            self.words.code(value)  # the same dictionary: readers hold on to it
        self.kept = dict(msgspec.msgpack.decode(state["kept"], type=list[tuple[int, Event]]))
        self._keep(state)


class _Filtered:
    """Feeds behind one filter of one event name, by what they read."""

    def __init__(self, where: s.Expression | None, items: ItemLookup) -> None:
        self.where = where
        self.holds = compiled(where, items)
        self.plain: list[Feed] = []
        self.points: list[Feed] = []
        self.by_path: dict[tuple[str, ...], tuple[list[Feed], list[Feed]]] = {}

    def add(self, feed: Feed) -> None:
        kind = feed.source.kind
        if kind in ("event", "stamp", "kept"):
            self.plain.append(feed)
        elif kind == "points":
            self.points.append(feed)
        else:
            numbers, values = self.by_path.setdefault(feed.source.path, ([], []))
            (numbers if kind == "number" else values).append(feed)


class Reading:
    """Hands each event to the feeds that read it."""

    def __init__(self, feeds: Sequence[Feed], items: ItemLookup) -> None:
        self._items = items
        self._by_name: dict[str, list[_Filtered]] = {}
        self._traits = [feed for feed in feeds if feed.source.kind == "trait"]
        self._context = [feed for feed in feeds if feed.source.kind == "context"]
        for feed in feeds:
            for name in feed.source.names:
                self._behind(name, feed.source.where).add(feed)
        self._any = ANY in self._by_name

    def _behind(self, name: str, where: s.Expression | None) -> _Filtered:
        group = self._by_name.setdefault(name, [])
        for filtered in group:
            if filtered.where == where:
                return filtered
        group.append(_Filtered(where, self._items))
        return group[-1]

    def take(self, at: int, event: Event) -> None:
        """Give the event, number `at` of the inbox, to every feed that reads it."""
        for name in self._names(event):
            for filtered in self._by_name.get(name, ()):
                if filtered.holds(event, None):
                    self._take_named(at, event, name, filtered)
        if event.traits and event.type == "identify":
            self._take_traits(at, event)
        if event.context and self._context:
            self._take_context(at, event)

    def _names(self, event: Event) -> tuple[str, ...]:
        if event.type == "track" and not self._any:
            return (event.name,)
        names = names_of(event)
        return (*names, ANY) if self._any and event.type in ("track", "page", "screen") else names

    def _take_named(self, at: int, event: Event, name: str, filtered: _Filtered) -> None:
        for feed in filtered.plain:
            feed.take_event(at, event)
        for feed in filtered.points:
            feed.take_points(at, name)
        for path, (numbers, values) in filtered.by_path.items():
            found = quick_elements(event, path, self._items)
            if found:
                for feed in numbers:
                    feed.take_numbers(at, found)
                for feed in values:
                    feed.take_values(at, event, found)

    def _take_traits(self, at: int, event: Event) -> None:
        for feed in self._traits:
            written, value = trait_write(event.traits, feed.source.path)
            if written:
                feed.take_write(at, value)

    def _take_context(self, at: int, event: Event) -> None:
        for feed in self._context:
            found = paths(event.context, feed.source.path, event.stamp_at, self._items)
            if found:
                feed.take_write(at, found[0])


class Inbox:
    """Events that wait for a tick: who, when, from when they count, and whether they are history."""

    _COLUMNS = ("person", "stamp", "offset", "due", "history")

    def __init__(self) -> None:
        self.person = array("q")
        self.stamp = array("q")
        self.offset = array("q")
        self.due = array("q")
        self.history = array("q")

    def put(self, arrival: Arrival) -> int:
        """Add an event; its place."""
        offset, person, event = arrival
        at = len(self.person)
        self.person.append(person)
        self.stamp.append(event.stamp_at)
        self.offset.append(offset)
        self.due.append(max(event.stamp_at, event.known_at))
        self.history.append(event.history)
        return at

    def columns(self) -> dict[str, Ints]:
        """The waiting events as arrays."""
        return {name: np.array(getattr(self, name), dtype=np.int64) for name in self._COLUMNS}

    def keep(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Replace the waiting events."""
        for name in self._COLUMNS:
            setattr(self, name, array("q", columns[name].tobytes()))

    def join(self, other: Inbox, wanted: bool) -> None:
        """Append another part's waiting events, if any of their rows were."""
        for name in self._COLUMNS if wanted else ():
            getattr(self, name).extend(getattr(other, name))

    def rename(self, into: Person, gone: Person) -> None:
        """Events of one person belong to another."""
        if gone in self.person:
            person = np.array(self.person, dtype=np.int64)
            self.person = array("q", np.where(person == gone, into, person).tobytes())


class Batch:
    """The events that a tick lets count."""

    def __init__(self, inbox: Inbox, t: Instant) -> None:
        columns = inbox.columns()
        self.ready: Bools = columns["due"] <= t
        stay = ~self.ready
        self.moved: Ints = np.cumsum(stay) - 1
        inbox.keep({name: column[stay] for name, column in columns.items()})
        self._columns = columns
        self.due: Ints = columns["due"]
        self.oldest_waiting: int = int(columns["offset"][stay].min(initial=NEWEST))
        self.person: Ints = columns["person"][self.ready]
        self.history: Bools = columns["history"][self.ready].astype(bool)

    def rows(self, feed: Feed) -> tuple[Rows, Ints, Bools]:
        """A feed's rows, each one's place in the inbox as it was, and whether it is history."""
        index, place, value = feed.drain(self.ready, self.moved)
        person, stamp, offset, history = (
            self._columns[name][index] for name in ("person", "stamp", "offset", "history")
        )
        return Rows(person, stamp, offset, place, value), index, history.astype(bool)


_NUMBERS = (int, float)
_units = lru_cache(maxsize=65_536, typed=True)(to_micro_units)
