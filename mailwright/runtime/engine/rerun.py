"""The past of a few identifiers, lived once more by the people whom they belong to now.

A split wants each of two people to be what they would be had they never been taken for one. Their events are few, so
they are folded anew from the first on: for leaves all at once, for memberships tick by tick, with the definitions and
lists of the time. A tick at which nothing of theirs came or fell due is passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.profiles.identity import IdentityGraph
from mailwright.profiles.merge_book import Merged
from mailwright.profiles.parting import Tree
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.runtime.engine.past_ticks import PastTicks, TickThen

EVALUATIONS_MAX = 20_000
"""Ticks that are lived through at most, so that one split never holds the engine up for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirPast:
    """What History holds about some identifiers before an offset.

    Attributes:
        events: In order of offset, each with at least its first identifier.
        ticks: Every tick.
        definitions: Offset from which on each version was in force, and its files, in order.
        lists: (offset, list, identifier, whether it came on it), in order, of these identifiers.
    """

    events: Sequence[tuple[Offset, Event]]
    ticks: PastTicks
    definitions: Sequence[tuple[Offset, Mapping[str, str]]]
    lists: Sequence[tuple[Offset, str, str, bool]]


class PastOf(Protocol):
    """Reads it; History is brought up to the offset first."""

    def __call__(self, identifiers: Sequence[str], before: Offset) -> TheirPast:
        """The past of some identifiers (``kind:value``), all with offsets below `before`."""
        ...


class Root(NamedTuple):
    """A number that stood for a person once, in order of birth.

    Attributes:
        number: The engine's.
        born: Offset at which it was given.
        first: ``kind:value`` of its first identifier.
        identifiers: Those that were linked to it, with the offset of each link.
    """

    number: int
    born: Offset
    first: str
    identifiers: Mapping[str, Offset]


class Joined(NamedTuple):
    """A merge that still holds: places of roots."""

    offset: Offset
    into: int
    gone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """Who is to live once more: roots in order of birth, and the merges among them, in order."""

    roots: Sequence[Root]
    joined: Sequence[Joined]
    owner: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Find each identifier's root."""
        owner = {key: place for place, root in enumerate(self.roots) for key in root.identifiers}
        object.__setattr__(self, "owner", owner)

    @property
    def numbers(self) -> list[int]:
        """The engine's number by place."""
        return [root.number for root in self.roots]

    def arrivals(self, past: TheirPast, *, after: Offset = Offset(-1), before: Offset) -> list[Arrival]:
        """Events with after < offset < before, by root."""
        owner = self.owner
        return [
            Arrival(offset, Person(owner[key]), event)
            for offset, event in past.events
            if after < offset < before and (key := _first(event)) in owner
        ]


def _first(event: Event) -> str:
    return f"{event.identifiers[0].kind}:{event.identifiers[0].value}"


def relived(fold: Fold, lives: Lives, past: TheirPast, *, after: Offset = Offset(-1), before: Offset) -> Fold:
    """Let an empty fold take in the events with after < offset < before, and the merges among them."""
    joined = list(lives.joined)
    _play(fold, lives.arrivals(past, after=after, before=before), joined)
    for merge in joined:
        fold.merge(Person(merge.into), Person(merge.gone))
    return fold


def _play(fold: Fold, arrivals: Sequence[Arrival], joined: list[Joined]) -> None:
    """Events, and those merges that come before the last of them, which are taken off the list."""
    start = 0
    while joined and arrivals and joined[0].offset <= arrivals[-1].offset:
        merge = joined.pop(0)
        stop = next(place for place, each in enumerate(arrivals) if each.offset >= merge.offset)
        fold.ingest(arrivals[start:stop])
        fold.merge(Person(merge.into), Person(merge.gone))
        start = stop
    fold.ingest(arrivals[start:])


_Moment = tuple[Offset, int, Callable[[], None]]
"""Something that happened: at which offset, its rank among others there, and what it does."""


class Rerun:
    """Memberships of a few people, from their first tick to the last one before an offset."""

    def __init__(
        self, lives: Lives, past: TheirPast, rules_of: Callable[[Mapping[str, str]], Rules], catalog: Catalog
    ) -> None:
        self._lives = lives
        self._past = past
        self._rules_of = rules_of
        self._catalog = catalog
        self._born = [root.born for root in lives.roots]
        self._firsts = [root.first for root in lives.roots]
        self._group = list(range(len(lives.roots)))  # by root, the one that stands for it so far
        self._on: dict[str, set[str]] = {}
        self._told: dict[str, set[int]] = {}
        self.fold: Fold | None = None

    def run(self, before: Offset) -> Fold | None:
        """Live through it; None if no tick saw any of them, or nothing was in force."""
        moments = self._moments(before)
        ticks, left = self._past.ticks.until(before), EVALUATIONS_MAX
        tick: TickThen | None = None
        while (tick := self._next(tick, moments, ticks)) is not None:
            left -= 1
            if left < 0:
                tick = ticks.last() or tick
            self._come_to(tick.offset, moments)
            n_born = bisect_left(self._born, tick.offset)
            if self.fold is not None:
                self._enlist(tick.offset)
                self.fold.tick(tick.at, self._firsts[:n_born])
        return self.fold

    def _moments(self, before: Offset) -> deque[_Moment]:
        """Everything that happened, in order; a definition that none of them saw is left out."""
        arrivals = self._lives.arrivals(self._past, before=before)
        births = min([*self._born, before])
        found: list[_Moment] = []
        old = [place for place, (offset, _) in enumerate(self._past.definitions) if offset <= births]
        for offset, files in self._past.definitions[max(old, default=0) :]:
            if offset < before:
                found.append((offset, 0, lambda offset=offset, files=files: self._define(offset, files)))  # type: ignore[misc]
        for merge in self._lives.joined:
            found.append((merge.offset, 1, lambda merge=merge: self._join(merge)))  # type: ignore[misc]
        for arrival in arrivals:
            found.append((arrival.offset, 2, lambda arrival=arrival: self._take(arrival)))  # type: ignore[misc]
        for offset, name, identifier, added in self._past.lists:
            if offset < before:
                found.append((offset, 3, lambda n=name, i=identifier, a=added: self._list(n, i, a)))  # type: ignore[misc]
        return deque(sorted(found, key=lambda each: each[:2]))

    def _next(self, tick: TickThen | None, moments: deque[_Moment], ticks: PastTicks) -> TickThen | None:
        """The next tick that any of them lives through; None: there is none."""
        found = [ticks.after(moments[0][0])] if moments else []
        if self.fold is not None and tick is not None and (due := self.fold.next_due()) is not None:
            found.append(ticks.reaching(due))
        first = min((each for each in found if each is not None), default=None)
        if first is None or tick is None or first.offset > tick.offset:
            return first
        return ticks.after(tick.offset)

    def _come_to(self, offset: Offset, moments: deque[_Moment]) -> None:
        while moments and moments[0][0] < offset:
            moments.popleft()[2]()

    def _take(self, arrival: Arrival) -> None:
        if self.fold is not None:
            self.fold.ingest([arrival])

    def _join(self, merge: Joined) -> None:
        into, gone = self._group[merge.into], self._group[merge.gone]
        self._group = [into if each == gone else each for each in self._group]
        if self.fold is not None:
            self.fold.merge(Person(merge.into), Person(merge.gone))

    def _define(self, offset: Offset, files: Mapping[str, str]) -> None:
        """Another version is in force; the leaves that it adds get their past."""
        rules = self._rules_of(files)
        before = self._lives.arrivals(self._past, before=offset)
        replaced = self.fold
        self.fold = Fold(rules, self._catalog, replacing=replaced if before else None)
        self._told = {} if not before else self._told
        if before and (replaced is None or self.fold.missing_leaves()):
            shadow = Fold(rules, self._catalog)
            _play(shadow, before, [merge for merge in self._lives.joined if merge.offset < offset])
            self.fold.combine(shadow)

    def _list(self, name: str, identifier: str, added: bool) -> None:
        listed = self._on.setdefault(name, set())
        (listed.add if added else listed.discard)(identifier)

    def _enlist(self, offset: Offset) -> None:
        """Tell the fold who is on which list by now."""
        assert self.fold is not None, "nobody is told otherwise"  # noqa: S101
        for name, identifiers in self._on.items():
            there = {
                self._group[self._lives.owner[each]]
                for each in identifiers
                if each in self._lives.owner and self._lives.roots[self._lives.owner[each]].identifiers[each] < offset
            }
            before = self._told.get(name, set())
            if there != before:
                self.fold.enlist(name, sorted(before - there), inside=False)
                self.fold.enlist(name, sorted(there - before), inside=True)
                self._told[name] = there


def lives_of(graph: IdentityGraph, persons: Sequence[Person]) -> Lives:
    """Who some living people are made of."""
    roots: list[Root] = []
    joined: list[Merged] = []
    place: dict[str, int] = {}
    for person in persons:
        tree = Tree(graph, person)
        joined += tree.merges
        mine: dict[int, dict[str, Offset]] = {}
        for row in sorted(tree.rows):
            mine.setdefault(tree.root(row), {})[graph.key(row)] = graph.born(row)[0]
        for head, identifiers in mine.items():
            first = graph.firsts[tree.heads[head]]
            roots.append(Root(tree.heads[head], graph.born(head)[0], first, identifiers))
    roots.sort(key=lambda root: (root.born, root.number))
    for number, root in enumerate(roots):
        place.update(dict.fromkeys(root.identifiers, number))
    merges: list[Joined] = []
    group = list(range(len(roots)))
    for merge in sorted(joined, key=lambda each: each.number):
        one, other = (group[place[graph.key(row)]] for row in (merge.one, merge.other))
        lower = roots[one].number < roots[other].number
        into = roots[one].number == merge.into or (roots[other].number != merge.into and lower)
        stays, goes = (one, other) if into else (other, one)
        merges.append(Joined(merge.offset, stays, goes))
        group = [stays if each == goes else each for each in group]
    return Lives(roots=roots, joined=merges)


def whose_numbers(graph: IdentityGraph, persons: Sequence[Person]) -> dict[int, int]:
    """Every number that stands for one of some living people -> whom."""
    return {int(number): int(person) for person in persons for number in graph.numbers(person)}


def no_past(identifiers: Sequence[str], before: Offset) -> TheirPast:
    """Where nobody can read History.

    Raises:
        Corrupt: Always.
    """
    raise Corrupt("engine.no_past", f"the past of {len(identifiers)} identifiers before {before} cannot be read here")
