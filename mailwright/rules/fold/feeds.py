"""Feeds: the rows that wait for the next tick, by what leaves read; and the inbox that knows whose and when they are.

A `Feed` is what several leaves share: the events of one name that meet one filter, and the property they read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.rows import Bools, Dictionary, Ints, Rows

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


class Taken(NamedTuple):
    """Rows of a feed, in order of arrival.

    Attributes:
        at: The event of each row, by its place in the inbox's part that it is in.
        place: Place of each value in its event; None: all 0.
        value: See `Source.kind`; None: all 0.
        events: The events themselves, for a feed that keeps them.
    """

    at: Ints
    place: Ints | None = None
    value: Ints | None = None
    events: list[Event] | None = None

    def chosen(self, mask: Bools) -> Taken:
        """The rows of a mask."""
        events = self.events and [event for event, yes in zip(self.events, mask.tolist(), strict=True) if yes]
        place, value = (None if column is None else column[mask] for column in (self.place, self.value))
        return Taken(self.at[mask], place, value, events)


def joined(parts: Sequence[Taken]) -> Taken:
    """All rows, in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Taken(np.zeros(0, np.int64))
    events = [event for part in parts for event in part.events or ()]
    sizes = [len(part.at) for part in parts]
    place, value = (_concatenated(column, sizes) for column in zip(*(part[1:3] for part in parts), strict=True))
    return Taken(np.concatenate([part.at for part in parts]), place, value, events or None)


def _concatenated(columns: Sequence[Any], sizes: Sequence[int]) -> Ints | None:
    if all(column is None for column in columns):
        return None
    pairs = zip(columns, sizes, strict=True)
    return np.concatenate([np.zeros(size, np.int64) if column is None else column for column, size in pairs])


class Block(NamedTuple):
    """Events that wait: who, when, from when they count, and whether they are history."""

    person: Ints
    stamp: Ints
    offset: Ints
    due: Ints
    history: Bools

    def chosen(self, mask: Bools) -> Block:
        """The events of a mask."""
        person, stamp, offset, due = (column[mask] for column in self[:4])
        return Block(person, stamp, offset, due, self.history[mask])


def together(blocks: Sequence[Block]) -> Block:
    """All events, in order."""
    if len(blocks) == 1:
        return blocks[0]
    none = np.zeros(0, np.int64)
    person, stamp, offset, due = (
        np.concatenate([none, *columns])
        for columns in zip(*([(none,) * 4, *(block[:4] for block in blocks)]), strict=True)
    )
    return Block(person, stamp, offset, due, np.concatenate([np.zeros(0, bool), *(block.history for block in blocks)]))


class Inbox:
    """Events that no tick has counted: the fresh ones, and held ones that were not due at the last tick.

    Held events are not looked at before the first of them is due, so that any number of them costs a tick nothing.
    """

    def __init__(self) -> None:
        self.held = together([])
        self.held_due = NEWEST  # of the first held event
        self.fresh: list[Block] = []
        self.n_fresh = 0

    def __len__(self) -> int:
        return len(self.held.person) + self.n_fresh

    def put(self, block: Block) -> int:
        """Add events; the place of the first among the fresh ones."""
        first = self.n_fresh
        self.fresh.append(block)
        self.n_fresh += len(block.person)
        return first

    def hold(self, block: Block) -> None:
        """Replace the held events; there are no fresh ones after."""
        self.held, self.held_due = block, int(block.due.min(initial=NEWEST))
        self.fresh, self.n_fresh = [], 0

    def all(self) -> Block:
        """Held and fresh events."""
        return together([self.held, *self.fresh])

    def next_due(self) -> int:
        """From when the first waiting event counts; NEWEST if none waits."""
        return min([self.held_due, *(int(block.due.min(initial=NEWEST)) for block in self.fresh)])

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        return self.all()._asdict()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.hold(Block(**state))


class Batch:
    """The events that a tick lets count, taken out of the inbox.

    Attributes:
        person: Of each event that counts, whose it is now.
        history: Which of them are history.
        due: By place in what was looked at, see `rows`.
        oldest_waiting: A bound of the offsets that still wait: none is smaller.
    """

    def __init__(self, inbox: Inbox, t: Instant, heirs: Heirs) -> None:
        self._wakes = inbox.held_due <= t  # held ones are looked at too
        held, block = inbox.held, together([*([inbox.held] if inbox.held_due <= t else []), *inbox.fresh])
        self._shift = len(held.person) if self._wakes else 0  # of fresh places in `block`
        self._base = 0 if self._wakes else len(held.person)  # of those who stay, in the next held block
        block = block._replace(person=heirs.of(block.person))
        self._ready: Bools = block.due <= t
        self._all_ready = bool(self._ready.all())
        self._block, self.due = block, block.due
        counting = block if self._all_ready else block.chosen(self._ready)
        self.person, self.history = counting.person, counting.history
        self._moved = self._hold(inbox, held)
        self.oldest_waiting = int(inbox.held.offset.min(initial=NEWEST))

    def _hold(self, inbox: Inbox, held: Block) -> Ints:
        """Leave in the inbox what does not count yet; by old place, the new one."""
        if self._all_ready:
            inbox.hold(together([]) if self._wakes else held)
            return np.zeros(0, np.int64)
        stay = self._block.chosen(~self._ready)
        inbox.hold(stay if self._wakes else together([held, stay]))
        return np.asarray(np.cumsum(~self._ready) - 1 + self._base)

    def concerns(self, feed: Feed) -> bool:
        """Whether the feed has rows to be looked at."""
        return bool(feed.fresh) or (self._wakes and len(feed.held.at) > 0)

    def rows(self, feed: Feed) -> tuple[Rows, Ints, Bools, list[Event] | None]:
        """A feed's rows, the place of each in `due`, which are history, and the events of a feed that keeps them."""
        index, place, value, events = self._drained(feed)
        block, none = self._block, np.zeros(len(index), np.int64)
        rows = Rows(
            block.person[index],
            block.stamp[index],
            block.offset[index],
            none if place is None else place,
            none if value is None else value,
        )
        return rows, index, block.history[index], events

    def _drained(self, feed: Feed) -> Taken:
        """Take the rows of events that count; the others stay with their new places."""
        fresh = [part._replace(at=part.at + self._shift) for part in feed.fresh] if self._shift else feed.fresh
        taken = joined([*([feed.held] if self._wakes and len(feed.held.at) else []), *fresh])
        kept = [] if self._wakes else [feed.held]
        if not self._all_ready:
            ready = self._ready[taken.at]
            stays = taken.chosen(~ready)
            kept.append(stays._replace(at=self._moved[stays.at]))
            taken = taken.chosen(ready)
        feed.hold(joined([part for part in kept if len(part.at)]))
        return taken


class Feed:
    """The rows that wait, of held and of fresh events; with the dictionary of their values."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = Dictionary()
        self.held = joined([])
        self.fresh: list[Taken] = []

    def take(self, taken: Taken) -> None:
        """Rows of fresh events."""
        if len(taken.at):
            self.fresh.append(taken)

    def hold(self, taken: Taken) -> None:
        """Replace the rows of held events; there are no fresh ones after."""
        self.held, self.fresh = taken, []

    @property
    def waits(self) -> bool:
        """Whether there are any rows."""
        return bool(self.fresh) or len(self.held.at) > 0

    def all(self, n_held: int) -> Taken:
        """Rows of held and fresh events, as if all `n_held` held events and the fresh ones were held."""
        fresh = [part._replace(at=part.at + n_held) for part in self.fresh]
        return joined([part for part in (self.held, *fresh) if len(part.at)])

    def append(self, other: Taken, codes: Ints | None, shift: int) -> None:
        """Take over rows of events that are held from place `shift` on; `codes` translates their dictionary."""
        value = other.value if codes is None or other.value is None else codes[other.value]
        more = other._replace(at=other.at + shift, value=value)
        self.hold(joined([part for part in (self.held, more) if len(part.at)]))

    def slim(self, event: Event) -> Event:
        """What of an event a feed that keeps events reads."""
        reads = self.source.reads
        properties = {name: event.properties[name] for name in reads if name in event.properties}
        context = {name: value for name, value in event.context.items() if f"context/{name}" in reads}
        return msgspec.structs.replace(event, properties=properties, context=context, traits={}, identifiers=[])

    def dump(self, n_held: int) -> dict[str, Any]:
        """Plain data, of an inbox with `n_held` held events."""
        at, place, value, events = self.all(n_held)
        kept = msgspec.msgpack.encode(events)
        return {"words": list(self.words.values), "at": at, "place": place, "value": value, "events": kept}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        for value in state["words"]:
            self.words.code(value)  # the same dictionary: readers hold on to it
        events = msgspec.msgpack.decode(state["events"], type=list[Event] | None)
        self.hold(Taken(state["at"], state["place"], state["value"], events))


def points_of(source: Source) -> Mapping[str, int]:
    """Micro-units by event name."""
    return dict(source.points)


def columns_of(arrivals: Sequence[Arrival]) -> tuple[Block, Ints, list[Event]]:
    """Arrivals as a block, when each was known, and the events."""
    offsets, persons = [each[0] for each in arrivals], [each[1] for each in arrivals]
    events = [each[2] for each in arrivals]
    stamp, known = _ints([event.stamp_at for event in events]), _ints([event.known_at for event in events])
    history: NDArray[np.bool_] = np.array([event.history for event in events], dtype=bool)
    return Block(_ints(persons), stamp, _ints(offsets), np.maximum(stamp, known), history), known, events


def _ints(numbers: Sequence[int]) -> Ints:
    return np.array(numbers, dtype=np.int64)
