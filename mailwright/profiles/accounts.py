"""Accounts (companies, households, teams) as ``group`` calls tell of them: traits, members, when they were seen."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.profiles.columns import from_little_endian, little_endian
from mailwright.profiles.writes import TraitBook

_FORMAT = 1


class Membership(NamedTuple):
    """A person of an account: stamps of the first and the last call that said so."""

    person: Person
    first_at: Instant
    last_at: Instant


class _State(msgspec.Struct, array_like=True):
    """The book as written: columns as little-endian int64; person -> account -> first and last stamp."""

    format: int
    ids: list[str]
    first_seen: bytes
    last_seen: bytes
    newest: list[bytes]
    older: list[bytes]
    spans: dict[int, dict[int, tuple[int, int]]]


class AccountBook:
    """Accounts by number, in order of first appearance. The order in which calls arrive makes no other difference.

    A call may be applied twice: to make people anew, `forget` them and apply their events again. What they told of an
    account stays.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []
        self._first_seen = array("q")
        self._last_seen = array("q")
        self._traits = TraitBook()
        # Person -> account -> first and last stamp; a person's are replaced, never changed in place.
        self._spans: dict[int, dict[int, tuple[int, int]]] = {}
        self._members: list[set[int]] = []  # the same by account, for reading

    def __len__(self) -> int:
        """How many accounts there are."""
        return len(self._ids)

    def apply_all(self, applied: Iterable[tuple[Person, Event, Offset]]) -> None:
        """Take the group calls among these events."""
        for person, event, offset in applied:
            if event.type == "group" and isinstance(group := event.context.get("groupId"), str) and group:
                self._take(person, group, event, offset)

    def _take(self, person: Person, group: str, event: Event, offset: Offset) -> None:
        number, stamp = self._number(group, event.stamp_at), event.stamp_at
        self._first_seen[number] = min(self._first_seen[number], stamp)
        self._last_seen[number] = max(self._last_seen[number], stamp)
        if event.traits:
            self._traits.told(number, stamp, offset, event.traits, event.source)
        self._join(number, person, (stamp, stamp))

    def _number(self, group: str, stamp: Instant) -> int:
        number = self._numbers.get(group)
        if number is None:
            number = self._numbers[group] = len(self._ids)
            self._ids.append(group)
            self._first_seen.append(stamp)
            self._last_seen.append(stamp)
            self._members.append(set())
        return number

    def _join(self, number: int, person: int, span: tuple[int, int]) -> None:
        mine = self._spans.get(person, {})
        known = mine.get(number)
        if known is not None:
            span = min(known[0], span[0]), max(known[1], span[1])
        if known != span:
            self._spans[person] = {**mine, number: span}
            self._members[number].add(person)

    def merge(self, into: Person, gone: Person) -> None:
        """The accounts of `gone` are those of `into`."""
        for number, span in self._spans.get(gone, {}).items():
            self._join(number, into, span)
        self.forget([gone])

    def forget(self, persons: Iterable[int]) -> None:
        """These people are members of nothing any more."""
        for person in persons:
            for number in self._spans.pop(person, {}):
                self._members[number].discard(person)

    # --- reading ---

    def of(self, person: Person) -> list[str]:
        """Ids of a person's accounts, sorted."""
        return sorted(self._ids[number] for number in self._spans.get(person, {}))

    def number(self, group: str) -> int | None:
        """The number of an account."""
        return self._numbers.get(group)

    def id(self, number: int) -> str:
        """Its id, as calls name it."""
        return self._ids[number]

    def seen(self, number: int) -> tuple[Instant, Instant]:
        """Stamps of the first and of the last call about it."""
        return Instant(self._first_seen[number]), Instant(self._last_seen[number])

    def members(self, number: int) -> list[Membership]:
        """Its members, ascending."""
        spans = [(each, *self._spans[each][number]) for each in sorted(self._members[number])]
        return [Membership(Person(each), Instant(first), Instant(last)) for each, first, last in spans]

    def traits(self, number: int) -> dict[str, Known]:
        """Its traits; removed ones left out."""
        return {
            name: Known(value=value, at=Instant(stamp), source=source)
            for name, (stamp, _, value, source) in self._traits.newest(number).items()
            if value is not None
        }

    def history(self, number: int) -> dict[str, list[Known]]:
        """Trait -> its kept writes, newest first; a removal has the value None."""
        return {
            name: [
                Known(value=value, at=Instant(stamp), source=source)
                for stamp, _, value, source in self._traits.writes(number, name)
            ]
            for name in self._traits.newest(number)
        }

    def digest(self) -> list[Any]:
        """All that is known, the same whatever the order in which it came."""
        numbers = sorted(range(len(self)), key=self._ids.__getitem__)
        return [(self._ids[n], self.seen(n), self.members(n), self.history(n)) for n in numbers]

    # --- checkpoints ---

    def freeze(self) -> Callable[[], bytes]:
        """The book as it is now, to be encoded later, in any thread, while it goes on."""
        ids, first, last = self._ids[:], self._first_seen[:], self._last_seen[:]
        spans, traits = self._spans.copy(), self._traits.frozen()

        def encode() -> bytes:
            columns = little_endian(first), little_endian(last)
            return msgspec.msgpack.encode(_State(_FORMAT, ids, *columns, *traits.chunks(), spans))

        return encode

    def dump(self) -> bytes:
        """The book as bytes, see `freeze`."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> AccountBook:
        """The book that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        book = cls()
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            book._traits = TraitBook.of(state.newest, state.older)
        except msgspec.MsgspecError as error:
            raise Corrupt("accounts.state", f"the accounts cannot be decoded: {error}") from error
        if state.format != _FORMAT:
            raise Corrupt("accounts.state", f"the accounts have format {state.format}, known is {_FORMAT}")
        book._ids, book._spans = state.ids, state.spans
        book._numbers = {group: number for number, group in enumerate(state.ids)}
        book._first_seen = from_little_endian(state.first_seen)
        book._last_seen = from_little_endian(state.last_seen)
        book._members = [set() for _ in state.ids]
        for person, numbers in state.spans.items():
            for number in numbers:
                book._members[number].add(person)
        return book


def rolled_up(function: str, values: Sequence[Any]) -> Any:
    """A figure over members' values of an attribute; missing ones do not count, and of none there is no figure.

    ``sum`` and ``average`` are of numbers, exactly rounded once, so that the order of members makes no difference;
    ``min`` and ``max`` of numbers, or of texts where there are no numbers.
    """
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    match function:
        case "sum":
            return _total(numbers) if numbers else None
        case "average":
            return _total(numbers) / len(numbers) if numbers else None
        case _:
            found: list[Any] = numbers or [value for value in values if isinstance(value, str)]
            return (min if function == "min" else max)(found) if found else None


def _total(numbers: Sequence[int | float]) -> int | float:
    return sum(numbers) if all(isinstance(one, int) for one in numbers) else math.fsum(numbers)
