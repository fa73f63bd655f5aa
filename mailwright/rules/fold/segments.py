"""Membership of every segment, kept by looking again only where something it reads may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.apart import Stay, Stays
from mailwright.rules.fold.asked import Asked, WindowKey
from mailwright.rules.fold.causes import CAUSES, INSIDE, OUTSIDE, Carried, Causes, Change
from mailwright.rules.fold.cells import is_forever
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.deadlines import Deadlines
from mailwright.rules.fold.frame import Frame, Reader, World
from mailwright.rules.fold.rows import Bools, Ints, distinct
from mailwright.rules.fold.stores import Touched

_NOBODY = np.zeros(0, np.int64)


class Happened(NamedTuple):
    """What a tick's rows and the clock did.

    Attributes:
        anything: The people of any event.
        touched: The people of the rows of each feed.
        left: By counted window, the people for whom a row left it.
        listed: By list, the people whom a change of it concerns, ascending.
        elsewhere: People for whom what every segment may read has changed, such as their time zone.
    """

    anything: Touched
    touched: Mapping[str, Touched]
    left: Mapping[WindowKey, Ints]
    listed: Mapping[str, Ints]
    elsewhere: Ints


class Reads(NamedTuple):
    """What one segment reads: its own feeds, windows, segments and lists; and what stands behind all of these."""

    feeds: tuple[str, ...]
    windows: tuple[WindowKey, ...]
    segments: tuple[str, ...]
    stores_behind: frozenset[str]
    feeds_behind: frozenset[str]
    lists: tuple[str, ...]
    lists_behind: frozenset[str]


class Segment:
    """One segment's members."""

    def __init__(self, name: str, reader: Reader, reads: Reads) -> None:
        self.name = name
        self.reader = reader
        self.reads = reads
        self.cells = Columns(inside=np.bool_(False), since=np.int64(0))
        self.deadlines = Deadlines()
        self.size = 0

    def settle(self, persons: Ints, inside: Bools, t: Instant) -> tuple[Ints, Bools]:
        """Write memberships; who changed, and whether they are inside now."""
        changed = inside != self.cells["inside"][persons]
        who, now = persons[changed], inside[changed]
        self.cells["inside"][who] = now
        self.cells["since"][who] = t
        self.size += 2 * int(np.count_nonzero(now)) - len(now)
        return who, now

    def merge(self, into: Person, gone: Person) -> int:
        """Two members have been in since the first of them; the bits of what `gone` was."""
        inside, since = self.cells["inside"], self.cells["since"]
        if inside[into] and inside[gone]:
            since[into] = min(since[into], since[gone])
        self.deadlines.merge(into, gone)
        return INSIDE if inside[gone] else OUTSIDE

    def put(self, person: int, stay: Stay) -> bool:
        """Write one membership as it should have been; whether the person was in until now."""
        inside, since = self.cells["inside"], self.cells["since"]
        was = bool(inside[person])
        inside[person], since[person] = stay
        self.size += int(stay.inside) - int(was)
        self.deadlines.merge(Person(person), Person(person))
        return was

    def announced(self, who: Ints, now: Bools, owed: Mapping[int, bool]) -> tuple[Ints, Bools]:
        """Changes, of some people from what was announced of them instead of from what they were."""
        inside = self.cells["inside"]
        others = ~np.isin(who, np.fromiter(owed, dtype=np.int64))
        moved = [person for person, was in sorted(owed.items()) if bool(inside[person]) != was]
        more = np.array(moved, dtype=np.int64)
        return np.append(who[others], more), np.append(now[others], inside[more])

    def dump(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.cells.dump(), **self.deadlines.dump()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.cells.load({name: state[name] for name in ("inside", "since")})
        self.deadlines.load(state)
        self.size = int(np.count_nonzero(self.cells["inside"]))


class Segments:
    """All segments, in order of evaluation, and whom to look at on the next tick whatever happens."""

    def __init__(self, order: Sequence[str], readers: Mapping[str, Reader], asked: Mapping[str, Asked]) -> None:
        """Start empty.

        Args:
            order: Names, each after those it asks about.
            readers: By name.
            asked: What each reads, by name.
        """
        reads: dict[str, Reads] = {}
        for name in order:
            reads[name] = _reads(asked[name], reads)
        self.by_name = {name: Segment(name, readers[name], reads[name]) for name in order}
        self.n_evaluated = 0  # people that a tick has looked at
        self.first_time: set[str] = set()
        self._merged: dict[int, Carried] = {}
        self._everybody = False
        self._pending: list[int] = []
        self._owed: dict[str, dict[int, bool]] = {}
        """Segment -> person -> whether they were announced to be in, where a split has made it otherwise since."""

    def take_over(self, old: Segments, changed: Iterable[str], n: int) -> None:
        """Go on from the members of another definition's segments; those of `changed` ones are owed to it."""
        for name, segment in self.by_name.items():
            if name in old.by_name:
                segment.cells, segment.size = old.by_name[name].cells, old.by_name[name].size
        self.n_evaluated, self._merged, self.first_time = old.n_evaluated, old._merged, old.first_time
        self._pending, self._owed = old._pending, old._owed
        self.grow(n)
        self.look_at_everybody(changed)

    def look_at_everybody(self, owed: Iterable[str]) -> None:
        """Evaluate all people on the next tick; changes of `owed` segments have the cause ``definition``."""
        self.first_time.update(owed)
        self._everybody = True

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        for segment in self.by_name.values():
            segment.cells.grow(n)

    def merge(self, into: Person, gone: Person) -> None:
        """`gone` turns out to be `into`."""
        carried, before = self._merged.setdefault(into, {}), self._merged.pop(gone, {})
        for name, segment in self.by_name.items():
            carried[name] = carried.get(name, 0) | before.get(name, 0) | segment.merge(into, gone)
        self._pending += [into, gone]

    def part(self, persons: Sequence[int], stays: Stays) -> None:
        """Two people who were taken for one are in what each would be in; the next tick announces what is new."""
        for name, segment in self.by_name.items():
            owed = self._owed.setdefault(name, {})
            mine = stays.get(name, {})
            for person in persons:
                stay = mine.get(person, Stay(inside=False, since=0))
                was = segment.put(person, stay)
                if was != stay.inside or person in owed:
                    owed.setdefault(person, was)
        for person in persons:
            self._merged.pop(person, None)
        self._pending += persons

    def pending(self, n: int) -> Ints:
        """People to look at for every segment, ascending: new ones, merged ones, or all."""
        if self._everybody:
            return np.arange(n)
        return distinct(np.append(np.array(self._pending, dtype=np.int64), np.arange(self.n_evaluated, n)))

    def evaluate(self, t: Instant, world: World, alive: Bools, happened: Happened) -> list[Change]:
        """Look at everybody for whom something may have changed.

        Args:
            t: The instant of the tick.
            world: What readers share.
            alive: By person, false for who was merged into another.
            happened: What the tick's rows did.

        Returns:
            Changes by person, then by segment in order of evaluation.
        """
        n = len(alive)
        looking = _Looking(t, world, n, self.pending(n), happened)
        causes = Causes(
            happened.anything, happened.touched, self._merged, self.first_time, self.n_evaluated, happened.listed
        )
        owed, self._owed = self._owed, {}
        changes: list[tuple[Ints, Bools, Any]] = []
        for segment in self.by_name.values():
            frame, reads = looking.frame(segment), segment.reads
            who, now = self._evaluate(segment, frame, alive) if len(frame) else (_NOBODY, np.zeros(0, dtype=bool))
            looking.changed[segment.name] = who
            parted = owed.get(segment.name, {})
            if parted:
                who, now = segment.announced(who, now, parted)
            why = (
                causes.of(segment.name, reads.feeds_behind, reads.lists_behind, who, now, alive[who], parted)
                if len(who)
                else _NOBODY
            )
            changes.append((who, now, why))
        self.n_evaluated, self.first_time, self._merged = n, set(), {}
        self._everybody, self._pending = False, []
        return _in_order(changes, list(self.by_name))

    def _evaluate(self, segment: Segment, frame: Frame, alive: Bools) -> tuple[Ints, Bools]:
        truth = segment.reader(frame).truth()
        persons, inside, until = frame.persons, truth.mask, truth.until
        living = alive[persons]
        if not living.all():
            inside = inside & living
            until = np.where(living, until, np.iinfo(np.int64).max)
        if not is_forever(until) or segment.deadlines.kept:
            segment.deadlines.settle(persons, until, frame.t, len(alive))
        return segment.settle(persons, inside, frame.t)

    def next_due(self) -> list[int]:
        """The first deadline of each segment that has one."""
        dues = (segment.deadlines.next_due() for segment in self.by_name.values())
        return [due for due in dues if due is not None]

    @property
    def volatile(self) -> bool:
        """Whether something may change at any moment: what has no deadline, or was not looked at yet."""
        waits = self._everybody or bool(self._pending)
        return waits or any(segment.deadlines.volatile for segment in self.by_name.values())

    def dump(self) -> dict[str, Any]:
        """Plain data of all segments together."""
        return {
            "n_evaluated": self.n_evaluated,
            "first_time": sorted(self.first_time),
            "merged": list(self._merged.items()),
            "everybody": self._everybody,
            "pending": list(self._pending),
            "owed": [[name, list(owed.items())] for name, owed in self._owed.items()],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.n_evaluated, self.first_time = state["n_evaluated"], set(state["first_time"])
        self._merged, self._everybody, self._pending = dict(state["merged"]), state["everybody"], state["pending"]
        self._owed = {name: dict(owed) for name, owed in state["owed"]}


def _reads(asked: Asked, before: Mapping[str, Reads]) -> Reads:
    stores = frozenset(asked.stores).union(*(before[name].stores_behind for name in asked.segments))
    own, windows, segments = sorted(_feeds(asked.stores)), sorted(asked.windows), sorted(asked.segments)
    lists = frozenset(asked.lists).union(*(before[name].lists_behind for name in asked.segments))
    own_lists = tuple(sorted(asked.lists))
    return Reads(tuple(own), tuple(windows), tuple(segments), stores, _feeds(stores), own_lists, lists)


def _feeds(stores: Iterable[str]) -> frozenset[str]:
    return frozenset(store.rpartition("/")[0] for store in stores)


class _Looking:
    """Whom to look at for each segment of one tick; segments that read the same look through one frame."""

    def __init__(self, t: Instant, world: World, n: int, pending: Ints, happened: Happened) -> None:
        self._t = t
        self._world = world
        self._pending = pending
        self._all = len(pending) == n
        self._happened = happened
        self._frames: dict[tuple[tuple[str, ...], tuple[WindowKey, ...], tuple[str, ...]], Frame] = {}
        self.changed: dict[str, Ints] = {}

    def frame(self, segment: Segment) -> Frame:
        """The people for whom the segment may have changed; it must be asked for those that are due in any case."""
        due = [each for each in segment.deadlines.due(self._t) if len(each)]
        due += [self.changed[name] for name in segment.reads.segments if len(self.changed[name])]
        if due and not self._all:
            return Frame(self._persons(segment, due), self._t, self._world)
        reads = segment.reads
        key = ((), (), ()) if self._all else (reads.feeds, reads.windows, reads.lists)
        if key not in self._frames:
            self._frames[key] = Frame(self._persons(segment, []), self._t, self._world)
        return self._frames[key]

    def _persons(self, segment: Segment, due: list[Ints]) -> Ints:
        if self._all:
            return self._pending
        touched, left = self._happened.touched, self._happened.left
        parts = [touched[feed].everybody for feed in segment.reads.feeds if feed in touched]
        parts += [left[window] for window in segment.reads.windows if window in left]
        listed = self._happened.listed
        parts += [listed[name] for name in segment.reads.lists if name in listed]
        parts += [part for part in (self._pending, self._happened.elsewhere) if len(part)]
        return distinct(np.concatenate([_NOBODY, *parts, *due]))


def _in_order(changes: Sequence[tuple[Ints, Bools, Any]], names: Sequence[str]) -> list[Change]:
    if not any(len(who) for who, _, _ in changes):
        return []
    person = np.concatenate([who for who, _, _ in changes])
    rank = np.repeat(np.arange(len(names)), [len(who) for who, _, _ in changes])
    order = np.lexsort((rank, person))
    entered = np.concatenate([now for _, now, _ in changes])[order].tolist()
    cause = np.concatenate([why for _, _, why in changes])[order].tolist()
    who = person[order].tolist()
    which = [names[place] for place in rank[order].tolist()]
    why = [CAUSES[place] for place in cause]
    return list(map(Change, who, which, entered, why))
