"""What the identity graph remembers beside who has which identifier: merges, what was refused, who is kept apart."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.columns import from_little_endian, little_endian

T = TypeVar("T")

_COLUMNS = ("offset", "at", "into", "gone", "one", "other", "undone", "said")
_CHUNK = 1 << 13
_REFUSALS = 20  # remembered per person, the newest
NOT_UNDONE = -1


class Merged(NamedTuple):
    """One merge: `gone` turned out to be `into` because rows `one` and `other` of the graph were named together.

    `undone` is the offset of the split that took it back, or `NOT_UNDONE`; `said` the place in the book's texts.
    """

    number: int
    offset: Offset
    at: Instant
    into: Person
    gone: Person
    one: int
    other: int
    undone: int
    said: int


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why: the event's type and what tells it from others; for one by hand, who did it and why in their words."""

    what: str
    source: str = ""
    message_id: str = ""
    by: str = ""
    reason: str = ""


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Two names that an event brought together, and that were left with their people; how often, and when last."""

    one: str
    other: str
    reason: str
    at: Instant
    offset: Offset
    times: int


class _State(msgspec.Struct, array_like=True):
    columns: list[bytes]
    said: list[bytes]
    refused: dict[int, list[Refused]]
    apart: list[tuple[int, int]]
    gained: dict[int, list[tuple[int, int]]]


class MergeBook:
    """Everything that was merged, by number of the merge, counting from 1."""

    def __init__(self) -> None:
        self._columns = {name: array("q") for name in _COLUMNS}
        self._said: list[Said] = []  # only ever appended, so a frozen state may share it
        self._refused: dict[int, list[Refused]] = {}
        self.apart: set[tuple[int, int]] = set()
        """Numbers (the lower one first) of people whom a person said to be two."""
        self._gained: dict[int, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._said)

    # --- merges ---

    def add(self, offset: Offset, at: Instant, into: Person, gone: Person, one: int, other: int, said: Said) -> int:
        """Note a merge; its number."""
        row = (offset, at, into, gone, one, other, NOT_UNDONE, len(self._said))
        for name, value in zip(_COLUMNS, row, strict=True):
            self._columns[name].append(value)
        self._said.append(said)
        return len(self._said)

    def get(self, number: int) -> Merged | None:
        """A merge by its number; None if there is none."""
        if not 0 < number <= len(self._said):
            return None
        offset, at, *rest = (self._columns[name][number - 1] for name in _COLUMNS)
        into, gone, one, other, undone, said = rest
        return Merged(number, Offset(offset), Instant(at), Person(into), Person(gone), one, other, undone, said)

    def said(self, merge: Merged) -> Said:
        """Why it was."""
        return self._said[merge.said]

    def within(self, rows: set[int]) -> list[Merged]:
        """Merges between identifiers of these rows of the graph, in order; undone ones too."""
        if not self._said or not rows:
            return []
        wanted = np.fromiter(rows, dtype=np.int64)
        one, other = (np.frombuffer(self._columns[name], dtype=np.int64) for name in ("one", "other"))
        hits = np.flatnonzero(np.isin(one, wanted) | np.isin(other, wanted))
        del one, other  # an array that is looked into cannot grow
        found = (self.get(int(place) + 1) for place in hits.tolist())
        return [merge for merge in found if merge is not None]

    def undo(self, number: int, offset: Offset) -> None:
        """A split took the merge back."""
        self._columns["undone"][number - 1] = offset

    # --- what was refused ---

    def refuse(self, person: Person, one: str, other: str, reason: str, at: Instant, offset: Offset) -> bool:
        """Note that two names were not joined; whether it is the first time."""
        known = self._refused.get(person, [])
        before = [each for each in known if (each.one, each.other, each.reason) == (one, other, reason)]
        times = before[0].times + 1 if before else 1
        kept = [each for each in known if each not in before]
        kept.append(Refused(one, other, reason, at, offset, times))
        self._refused[person] = kept[-_REFUSALS:]
        return not before

    def refused(self, person: Person) -> list[Refused]:
        """What was refused of late, the newest last."""
        return self._refused.get(person, [])

    def refusals_move(self, into: Person, gone: Person) -> None:
        """What was refused to one is the other's."""
        moved = self._refused.pop(gone, None)
        if moved:
            both = [*self._refused.get(into, []), *moved]
            self._refused[into] = sorted(both, key=lambda each: (each.offset, each.one, each.other))[-_REFUSALS:]

    def refusals_part(self, person: Person, part: Person, keys: frozenset[str]) -> None:
        """Those that name the given identifiers are the other part's."""
        known = self._refused.pop(person, [])
        for whose, mine in ((person, False), (part, True)):
            if chosen := [each for each in known if bool({each.one, each.other} & keys) is mine]:
                self._refused[whose] = chosen

    # --- how much a person gained ---

    def gain(self, into: Person, gone: Person, at: Instant, n: int) -> None:
        """A person gained `n` identifiers by a merge of events."""
        before = self._gained.pop(gone, [])
        self._gained[into] = sorted([*self._gained.get(into, []), *before, (at, n)])

    def gained(self, person: Person, since: Instant) -> int:
        """Identifiers gained by merges after an instant."""
        return sum(n for at, n in self._gained.get(person, ()) if at > since)

    def forget_gains(self, *persons: Person) -> None:
        """A person took merges back by hand: the limits begin anew."""
        for person in persons:
            self._gained.pop(person, None)

    # --- checkpoints ---

    def freeze(self) -> Callable[[], bytes]:
        """A copy, encoded when it is called."""
        columns = [self._columns[name][:] for name in _COLUMNS]
        said, n = self._said, len(self._said)
        refused = {person: list(each) for person, each in self._refused.items()}
        apart, gained = sorted(self.apart), {person: list(each) for person, each in self._gained.items()}

        def encode() -> bytes:
            chunks = [msgspec.msgpack.encode(part) for part in _cut(said, n)]
            state = _State([*map(little_endian, columns)], chunks, _ordered(refused), apart, _ordered(gained))
            return msgspec.msgpack.encode(state)

        return encode

    @classmethod
    def load(cls, data: bytes) -> MergeBook:
        """The book that `freeze` wrote.

        Raises:
            msgspec.MsgspecError: If the bytes are none.
        """
        state = msgspec.msgpack.decode(data, type=_State)
        book = cls()
        book._columns = dict(zip(_COLUMNS, map(from_little_endian, state.columns), strict=True))
        book._said = [each for chunk in state.said for each in msgspec.msgpack.decode(chunk, type=list[Said])]
        book._refused, book.apart, book._gained = state.refused, set(state.apart), state.gained
        return book


def _cut(said: list[Said], n: int) -> Iterator[list[Said]]:
    for start in range(0, n, _CHUNK):
        yield said[start : min(start + _CHUNK, n)]


def _ordered(by_person: dict[int, T]) -> dict[int, T]:
    return {person: by_person[person] for person in sorted(by_person)}
