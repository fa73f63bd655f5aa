"""What an ordered leaf keeps of one person's events: as little as tells its value, exactly, whatever comes later.

Each kind of line is a function of the set of its events (see `rules.ordered`): the order in which they come, an old one
that comes late and the union of two people's make no difference. None grows without bound with the number of events:
a list keeps 1,000 operations, a rate its last n keys and the 2,000 keys hit last, sessions their edges, a sequence the
10,000 last events that meet a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any, Self

from mailwright.core.events import Event
from mailwright.core.instants import Instant
from mailwright.rules import ordered
from mailwright.rules import syntax as s
from mailwright.rules.values import Duration, ItemLookup, Moment, elements, key_of, names_of

Node = s.ListOf | s.Rate | s.Session | s.Sequence


class Line(ABC):
    """One person's part of an ordered leaf."""

    __slots__ = ()

    @abstractmethod
    def take(self, offset: int, event: Event) -> None:
        """Take in an event that the leaf names."""

    @abstractmethod
    def join(self, other: Self) -> None:
        """Take in all that another line has; it must not be used any more."""

    @abstractmethod
    def value(self) -> Any:
        """The leaf's value; of a sequence all instants of completion, ascending."""

    @abstractmethod
    def dump(self) -> list[Any]:
        """Plain data; equal for equal sets of events."""

    @abstractmethod
    def load(self, state: list[Any]) -> None:
        """Take over what `dump` gave."""


def maker(node: Node, items: ItemLookup) -> Callable[[], Line]:
    """Makes empty lines of a leaf."""
    match node:
        case s.ListOf():
            return lambda: ListLine(node, items)
        case s.Rate():
            return lambda: RateLine(node, items)
        case s.Session():
            return lambda: SessionLine(node, items)
        case s.Sequence():
            return lambda: SequenceLine(node, items)


_UNKNOWN = object()


class ListLine(Line):
    """Operations from the last `clear` on: nothing before it can matter any more."""

    __slots__ = ("_items", "_node", "_operations", "_value")

    def __init__(self, node: s.ListOf, items: ItemLookup) -> None:
        self._node = node
        self._items = items
        self._operations: list[tuple[int, int, ordered.Operation, list[Any]]] = []  # (stamp, offset, what, values)
        self._value: Any = []

    def take(self, offset: int, event: Event) -> None:
        """See `Line`."""
        what = ordered.operation(self._node, event)
        if what is None:
            return
        values = [] if what == "clear" else elements(event, self._node.path, self._items)
        operation = (event.stamp_at, offset, what, values)
        place = bisect_right(self._operations, _place(operation), key=_place)
        self._operations.insert(place, operation)
        first = place if what == "clear" else 0
        if self._operations[1:2] and self._operations[1][2] == "clear":
            first = max(first, 1)  # what was inserted before the clear from which on operations are kept
        self._cut_before(first)

    def _cut(self) -> None:
        kept = self._operations
        clears = (place for place in reversed(range(len(kept))) if kept[place][2] == "clear")
        self._cut_before(next(clears, 0))

    def _cut_before(self, first: int) -> None:
        del self._operations[: max(first, len(self._operations) - ordered.OPERATIONS_MAX)]
        self._value = _UNKNOWN

    def join(self, other: Self) -> None:
        """See `Line`."""
        self._operations = sorted([*self._operations, *other._operations], key=_place)
        self._cut()

    def value(self) -> Any:
        """See `Line`."""
        if self._value is _UNKNOWN:
            self._value = ordered.applied((what, values) for _, _, what, values in self._operations)
        return list(self._value)

    def dump(self) -> list[Any]:
        """See `Line`."""
        return [list(each) for each in self._operations]

    def load(self, state: list[Any]) -> None:
        """See `Line`."""
        self._operations = [(stamp, offset, what, values) for stamp, offset, what, values in state]
        self._value = _UNKNOWN


class RateLine(Line):
    """The last n keys, and when each key was hit last."""

    __slots__ = ("_hits", "_items", "_node", "_received", "_value")

    def __init__(self, node: s.Rate, items: ItemLookup) -> None:
        self._node = node
        self._items = items
        self._received: list[tuple[int, int, str | None]] = []  # (stamp, offset, key)
        self._hits: dict[str, tuple[int, int]] = {}
        self._value: Any = None

    def take(self, offset: int, event: Event) -> None:
        """See `Line`."""
        key, place = _token(key_of(event, self._node.key, self._items)), (event.stamp_at, offset)
        if self._node.of in names_of(event):
            insort(self._received, (*place, key), key=_place)
            del self._received[: -self._node.n]
        if key is not None and ordered.is_hit(self._node, event, self._items):
            self._hits[key] = max(place, self._hits.get(key, place))
            self._cut(2 * ordered.HITS_MAX)
        self._value = _UNKNOWN

    def _cut(self, limit: int) -> None:
        """Keep the keys hit last, once there are more than `limit`."""
        if len(self._hits) > limit:
            last = sorted(self._hits.items(), key=lambda hit: hit[1], reverse=True)
            self._hits = dict(last[: ordered.HITS_MAX])

    def join(self, other: Self) -> None:
        """See `Line`."""
        self._received = sorted([*self._received, *other._received], key=_place)[-self._node.n :]
        for key, place in other._hits.items():
            self._hits[key] = max(place, self._hits.get(key, place))
        self._value = _UNKNOWN

    def value(self) -> Any:
        """See `Line`."""
        if self._value is _UNKNOWN:
            self._cut(ordered.HITS_MAX)
            self._value = ordered.share([key for _, _, key in self._received], self._hits)
        return self._value

    def dump(self) -> list[Any]:
        """See `Line`."""
        self._cut(ordered.HITS_MAX)
        return [[list(each) for each in self._received], sorted([key, *place] for key, place in self._hits.items())]

    def load(self, state: list[Any]) -> None:
        """See `Line`."""
        received, hits = state
        self._received = [(stamp, offset, key) for stamp, offset, key in received]
        self._hits = {key: (stamp, offset) for key, stamp, offset in hits}
        self._value = _UNKNOWN


class SessionLine(Line):
    """The first and last stamp of every session, and of the facts asked for what each session says.

    One entry per session, not per event: an event lengthens one, begins one, or joins the two beside it.
    """

    __slots__ = ("_items", "_node", "_sessions")

    def __init__(self, node: s.Session, items: ItemLookup) -> None:
        self._node = node
        self._items = items
        self._sessions: list[list[Any]] = []  # [first stamp, last stamp, fact], apart by more than the gap

    def take(self, offset: int, event: Event) -> None:
        """See `Line`."""
        if ordered.is_activity(event):
            self._put([event.stamp_at, event.stamp_at, self._fact(offset, event)])

    def _fact(self, offset: int, event: Event) -> Any:
        match self._node.fact:
            case "pages":
                return int(ordered.is_page(event))
            case "device" | "source" as fact:
                found = ordered.brought(fact, event, self._items)
                return [event.stamp_at, offset, found[0]] if found else None
            case _:
                return None

    def _put(self, session: list[Any]) -> None:
        """Add a session and join it with those that are no gap away."""
        sessions, gap = self._sessions, self._node.gap
        if not sessions or session[0] - sessions[-1][1] > gap:  # nearly always: after all others
            sessions.append(session)
            return
        first = bisect_left(sessions, session[0] - gap, key=_last)
        past = first
        while past < len(sessions) and sessions[past][0] - session[1] <= gap:
            session = [
                min(sessions[past][0], session[0]),
                max(sessions[past][1], session[1]),
                self._joined(sessions[past][2], session[2]),
            ]
            past += 1
        sessions[first:past] = [session]

    def _joined(self, one: Any, other: Any) -> Any:
        if self._node.fact == "pages":
            return one + other
        told = [each for each in (one, other) if each is not None]
        return min(told, key=_place) if told else None

    def join(self, other: Self) -> None:
        """See `Line`."""
        for session in other._sessions:
            self._put(session)

    def value(self) -> Any:
        """See `Line`."""
        if self._node.fact == "count":
            return len(self._sessions)
        if not self._sessions:
            return None
        first, last, fact = self._sessions[-1]
        match self._node.fact:
            case "length":
                return Duration(last - first)
            case "start":
                return Moment(first)
            case "pages":
                return fact
            case _:
                return None if fact is None else fact[2]

    def dump(self) -> list[Any]:
        """See `Line`."""
        return [list(each) for each in self._sessions]

    def load(self, state: list[Any]) -> None:
        """See `Line`."""
        self._sessions = [list(each) for each in state]


class SequenceLine(Line):
    """The last events that meet a step, by their values of `same`; only what an event concerns is worked out anew."""

    __slots__ = ("_done", "_groups", "_items", "_n", "_node", "_stale", "_value")

    def __init__(self, node: s.Sequence, items: ItemLookup) -> None:
        self._node = node
        self._items = items
        self._groups: dict[str, list[tuple[int, int, int]]] = {}  # key -> (stamp, offset, steps met)
        self._n = 0
        self._stale: set[str] = set()
        self._done: dict[str, list[Instant]] = {}  # key -> completions, where there are any
        self._value: list[Instant] = []

    def take(self, offset: int, event: Event) -> None:
        """See `Line`."""
        found = ordered.part(self._node, event, self._items)
        if found is None:
            return
        met, keys = found
        key = "\x1f".join(str(_token(each)) for each in keys)
        insort(self._groups.setdefault(key, []), (event.stamp_at, offset, met), key=_place)
        self._n += 1
        self._stale.add(key)
        if self._n > 2 * ordered.SEQUENCE_MAX:
            self._cut()

    def _cut(self) -> None:
        """Keep the last events."""
        extra = self._n - ordered.SEQUENCE_MAX
        if extra <= 0:
            return
        if len(self._groups) == 1:
            ((key, group),) = self._groups.items()
            del group[:extra]
            self._stale.add(key)
            self._n = ordered.SEQUENCE_MAX
            return
        edge = sorted(_place(each) for group in self._groups.values() for each in group)[extra]
        for key in [key for key, group in self._groups.items() if _place(group[0]) < edge]:
            group = self._groups[key]
            del group[: bisect_left(group, edge, key=_place)]
            self._stale.add(key)
            if not group:
                del self._groups[key]
        self._n = ordered.SEQUENCE_MAX

    def join(self, other: Self) -> None:
        """See `Line`."""
        for key, group in other._groups.items():
            self._groups[key] = sorted([*self._groups.get(key, ()), *group], key=_place)
            self._stale.add(key)
        self._n += other._n

    def value(self) -> Any:
        """See `Line`."""
        self._cut()
        if self._stale:
            for key in self._stale:
                group = [(Instant(stamp), met) for stamp, _, met in self._groups.get(key, ())]
                done = ordered.completed(self._node, group)
                if done:
                    self._done[key] = done
                else:
                    self._done.pop(key, None)
            self._stale = set()
            self._value = sorted(at for done in self._done.values() for at in done)
        return self._value

    def dump(self) -> list[Any]:
        """See `Line`."""
        self._cut()
        return [[key, [list(each) for each in self._groups[key]]] for key in sorted(self._groups)]

    def load(self, state: list[Any]) -> None:
        """See `Line`."""
        self._groups = {key: [(stamp, offset, met) for stamp, offset, met in group] for key, group in state}
        self._n = sum(map(len, self._groups.values()))
        self._stale = set(self._groups)
        self._done = {}


def _place(each: Any) -> tuple[int, int]:
    """(stamp, offset), by which events are first and last."""
    return each[0], each[1]


def _last(session: list[Any]) -> int:
    stamp: int = session[1]
    return stamp


def _token(key: Hashable | None) -> str | None:
    """A text for a key: two are equal when the language calls the values equal. None for None."""
    return None if key is None else _written(key)


def _written(key: Any) -> str:
    match key:
        case ("text", str(text)):
            return "'" + text
        case (str(kind), Decimal() as number):
            return f"{kind} {number.normalize()}"
        case tuple():
            return "(" + ",".join(map(_written, key)) + ")"
        case frozenset():
            return "{" + ",".join(sorted(map(_written, key))) + "}"
        case _:
            return repr(key)
