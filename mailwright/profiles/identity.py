"""Who is who: identifiers belong to people, and people who prove to be one are merged.

The rules, in the order in which an event's identifiers are read (most telling first: user_id, email, phone,
anonymous_id, declared others; the door puts them so):

- The event goes to the person of its **first** identifier, for that is the one History joins by.
- An identifier that nobody has is linked to that person; a second ``user_id`` is not.
- One that another person has merges the two, unless both have a ``user_id``: then it keeps its person. A shared
  address or browser joins no two accounts, and the newest link takes nothing from the older one.
- ``alias`` merges what it names, accounts too: somebody said so on purpose.
- The person with a ``user_id`` survives a merge, else the lower number. A number is never given twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.profiles.columns import from_little_endian, little_endian

ACCOUNT = "user_id"

PREVIOUS = "previous_id"
"""Kind of the second identifier of an alias: a name of before, whether it was a user_id or an anonymous_id."""

_FORMAT = 2
_NONE = -1
_CHUNK = 1 << 14  # keys encoded at a time: a thread that writes a checkpoint lets others run between two chunks
_PREVIOUS_KINDS = (ACCOUNT, "anonymous_id")


class Merge(NamedTuple):
    """`gone` turned out to be `into`: everything kept of it is combined into `into` and the number is retired."""

    into: Person
    gone: Person
    reason: str


class Resolution(NamedTuple):
    """Whose event it is, and the merges that the event caused, in order; `person` is the one after them."""

    person: Person
    merges: Sequence[Merge]


class Belonging(NamedTuple):
    """An identifier (``kind:value``) belongs to a person for offsets from_offset <= o < to_offset; None: still."""

    identifier: str
    person: Person
    from_offset: Offset
    to_offset: Offset | None


class _State(msgspec.Struct, array_like=True):
    """The graph as stored. Integer columns are little-endian int64 bytes; keys are lists of text, cut into chunks."""

    format: int
    keys: list[bytes]
    owner: bytes
    since: bytes
    after: bytes
    into: bytes
    accounts: bytes
    head: bytes
    tail: bytes


def key_of(identifier: Identifier) -> str:
    """``kind:value``, the one text form of an identifier; a kind has no colon."""
    return f"{identifier.kind}:{identifier.value}"


class IdentityGraph:
    """Identifiers, the people they belong to, and which number each merged person now has.

    Held as columns: one row per identifier and one per number ever given. The rows of one person are a chain through
    `after`, from `head` to `tail`, in the order in which they were linked. A merged number keeps its `head`, the row of
    the identifier that it was given for, but has no `tail`, for it has no rows.
    """

    def __init__(self) -> None:
        # Per identifier, in order of first appearance. Keys are only ever appended, so a frozen state may share them.
        self._rows: dict[str, int] = {}
        self._keys: list[str] = []
        self._owner = array("q")
        self._since = array("q")
        self._after = array("q")
        # Per person.
        self._into = array("q")
        self._accounts = array("q")
        self._head = array("q")
        self._tail = array("q")
        self._firsts: list[str] = []
        self._n_gone = 0
        self._changes: list[Belonging] = []

    # --- folding ---

    def known(self, event: Event) -> Person | None:
        """Whose event it is, if it teaches nothing: all its identifiers are known and belong to one person.

        So it is with nearly every event; `resolve` would say the same and change nothing.
        """
        rows, owner = self._rows, self._owner
        person = None
        for identifier in event.identifiers:
            row = rows.get(f"{identifier.kind}:{identifier.value}")
            if row is None:
                return None
            if person is None:
                person = owner[row]
            elif owner[row] != person:
                return None
        return None if person is None else Person(person)

    def resolve(self, event: Event, offset: Offset) -> Resolution:
        """Take an event's identifiers in and say whose it is.

        Raises:
            Corrupt: If the event names nobody; the door lets none of that kind in.
        """
        person = self.known(event)
        if person is not None:
            return Resolution(person, ())
        identifiers = event.identifiers
        if not identifiers:
            raise Corrupt("identity.nobody", f"event {event.message_id!r} at offset {offset} has no identifier")
        if event.type == "alias" and len(identifiers) > 1 and identifiers[-1].kind == PREVIOUS:
            return self._alias(event, offset)
        return self._linked([key_of(identifier) for identifier in identifiers], event, offset)

    def _linked(self, keys: list[str], event: Event, offset: Offset) -> Resolution:
        person = self._first(keys, offset)
        merges: list[Merge] = []
        for key in keys[1:]:
            row = self._rows.get(key)
            if row is None:
                if not (_is_account(key) and self._accounts[person]):
                    self._link(key, person, offset)
            elif (other := Person(self._owner[row])) != person and self._may_join(person, other):
                merges.append(self._join(person, other, offset, _reason(event, keys[0], key)))
                person = merges[-1].into
        return Resolution(person, merges)

    def _first(self, keys: list[str], offset: Offset) -> Person:
        """The person of the first identifier; an unknown one is linked to the first other's that can take it."""
        row = self._rows.get(keys[0])
        if row is not None:
            return Person(self._owner[row])
        account = _is_account(keys[0])
        for key in keys[1:]:
            row = self._rows.get(key)
            if row is not None and not (account and self._accounts[self._owner[row]]):
                person = Person(self._owner[row])
                break
        else:
            person = self._new()
        self._link(keys[0], person, offset)
        return person

    def _may_join(self, person: Person, other: Person) -> bool:
        return not (self._accounts[person] and self._accounts[other])

    def _alias(self, event: Event, offset: Offset) -> Resolution:
        """``userId`` takes over everything of ``previousId``, under both kinds that the old name may have."""
        *named, previous = event.identifiers
        resolution = self._linked([key_of(identifier) for identifier in named], event, offset)
        person, merges = resolution.person, list(resolution.merges)
        for kind in _PREVIOUS_KINDS:
            key = f"{kind}:{previous.value}"
            row = self._rows.get(key)
            if row is None:
                self._link(key, person, offset)
            elif self._owner[row] != person:
                other = Person(self._owner[row])
                merges.append(self._merge(person, other, offset, _reason(event, key_of(named[0]), key)))
        return Resolution(person, merges)

    def _new(self) -> Person:
        self._into.append(len(self._into))
        self._accounts.append(0)
        self._tail.append(_NONE)
        return Person(len(self._into) - 1)

    def _link(self, key: str, person: Person, offset: Offset) -> None:
        row = len(self._keys)
        self._rows[key] = row
        self._keys.append(key)
        self._owner.append(person)
        self._since.append(offset)
        self._after.append(_NONE)
        if person == len(self._head):  # a new one is linked at once, so both columns are in order of number
            self._head.append(row)
            self._firsts.append(key)
        else:
            self._after[self._tail[person]] = row
        self._tail[person] = row
        self._accounts[person] += _is_account(key)
        self._changes.append(Belonging(key, person, offset, None))

    def _join(self, one: Person, other: Person, offset: Offset, reason: str) -> Merge:
        if self._accounts[one] != self._accounts[other]:
            into, gone = (one, other) if self._accounts[one] else (other, one)
        else:
            into, gone = min(one, other), max(one, other)
        return self._merge(into, gone, offset, reason)

    def _merge(self, into: Person, gone: Person, offset: Offset, reason: str) -> Merge:
        for row in list(self._rows_of(gone)):
            self._changes.append(Belonging(self._keys[row], gone, Offset(self._since[row]), offset))
            self._changes.append(Belonging(self._keys[row], into, offset, None))
            self._owner[row], self._since[row] = into, offset
        self._after[self._tail[into]], self._tail[into] = self._head[gone], self._tail[gone]
        self._tail[gone] = _NONE
        self._accounts[into] += self._accounts[gone]
        self._into[gone] = into
        self._n_gone += 1
        return Merge(into, gone, reason)

    # --- reading ---

    @property
    def n_persons(self) -> int:
        """Numbers given so far, those of merged people included."""
        return len(self._into)

    @property
    def n_living(self) -> int:
        """People now: numbers given less those merged into another."""
        return len(self._into) - self._n_gone

    @property
    def firsts(self) -> Sequence[str]:
        """By number given, ``kind:value`` of the person's first identifier; a merged number keeps its own.

        The very list of the graph, which grows: nothing in it ever changes.
        """
        return self._firsts

    def number_of(self, identifier: Identifier) -> Person | None:
        """The living person an identifier belongs to, or None if it was never seen."""
        row = self._rows.get(key_of(identifier))
        return None if row is None else Person(self._owner[row])

    def current(self, person: Person) -> Person:
        """The living person that a number stands for now.

        Raises:
            IndexError: If the number was never given.
        """
        self._check(person)
        while self._into[person] != person:
            self._into[person] = self._into[self._into[person]]  # halve the path for the next one who asks
            person = Person(self._into[person])
        return person

    def identifiers(self, person: Person) -> list[Identifier]:
        """A living person's identifiers, those linked first first; a merge appends. Empty for a merged number."""
        self._check(person)
        return [Identifier(*self._keys[row].split(":", 1)) for row in self._rows_of(person)]

    def first_identifier(self, person: Person) -> str:
        """``kind:value`` of the first identifier of the living person behind `person`."""
        return self._firsts[self.current(person)]

    def living(self) -> list[Person]:
        """All people that were not merged into another, ascending."""
        into = np.frombuffer(self._into, dtype=np.int64)
        return [Person(n) for n in np.flatnonzero(into == np.arange(len(into))).tolist()]

    def belonging_changes(self) -> list[Belonging]:
        """Rows since the last call, in order; a row that closes repeats its identifier, person and from_offset."""
        changes, self._changes = self._changes, []
        return changes

    def _rows_of(self, person: Person) -> Iterator[int]:
        row = _NONE if self._tail[person] == _NONE else self._head[person]
        while row != _NONE:
            yield row
            row = self._after[row]

    def _check(self, person: Person) -> None:
        if not 0 <= person < len(self._into):
            raise IndexError(f"person {person} was never given; there are {len(self._into)}")

    # --- checkpoints ---

    def freeze(self) -> Callable[[], bytes]:
        """The graph as it is now, to be encoded later, in any thread, while the graph goes on.

        The bytes are the same for the same events; undrained belonging rows are not in them.
        """
        keys, n = self._keys, len(self._keys)
        owner, since, after, into = self._owner[:], self._since[:], self._after[:], self._into[:]
        accounts, head, tail = self._accounts[:], self._head[:], self._tail[:]

        def encode() -> bytes:
            cuts = range(0, n, _CHUNK)
            chunks = [msgspec.msgpack.encode(keys[start : min(start + _CHUNK, n)]) for start in cuts]
            columns = (owner, since, after, _ends(into), accounts, head, tail)
            return msgspec.msgpack.encode(_State(_FORMAT, chunks, *map(little_endian, columns)))

        return encode

    def dump(self) -> bytes:
        """The graph as bytes, see `freeze`."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> IdentityGraph:
        """The graph that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            keys = [key for chunk in state.keys for key in msgspec.msgpack.decode(chunk, type=list[str])]
        except msgspec.MsgspecError as error:
            raise Corrupt("identity.state", f"the identity graph cannot be decoded: {error}") from error
        if state.format != _FORMAT:
            raise Corrupt("identity.state", f"the identity graph has format {state.format}, known is {_FORMAT}")
        graph = cls()
        graph._keys = keys
        graph._rows = {key: row for row, key in enumerate(keys)}
        graph._owner, graph._since, graph._after = map(from_little_endian, (state.owner, state.since, state.after))
        graph._into, graph._accounts = from_little_endian(state.into), from_little_endian(state.accounts)
        graph._head, graph._tail = from_little_endian(state.head), from_little_endian(state.tail)
        graph._firsts = [keys[row] for row in graph._head]
        graph._n_gone = sum(into != n for n, into in enumerate(graph._into))
        return graph


def _is_account(key: str) -> bool:
    return key.startswith("user_id:")


def _reason(event: Event, one: str, other: str) -> str:
    """Why two people are one, in words. Values of personal kinds are keyed hashes, so nothing private is told."""
    return f"{event.type} {event.message_id} of {event.source} names {one} and {other}"


def _ends(into: array[int]) -> array[int]:
    """`into` with every path followed to its end: what was asked before must not show in the bytes."""
    step = np.frombuffer(into, dtype=np.int64) if into else np.empty(0, dtype=np.int64)
    while not np.array_equal(further := step[step], step):
        step = further
    ends = array("q")
    ends.frombytes(step.tobytes())
    return ends
