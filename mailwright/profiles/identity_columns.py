"""The identity graph's columns: what can be asked of it, and its bytes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import msgspec
import numpy as np

from mailwright.core.errors import Corrupt
from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.columns import from_little_endian, little_endian
from mailwright.profiles.merge_book import MergeBook, Merged

NONE = -1
_FORMAT = 3
_CHUNK = 1 << 14  # keys encoded at a time: a thread that writes a checkpoint lets others run between two chunks


class _State(msgspec.Struct, array_like=True):
    """The graph as stored. Integer columns are little-endian int64 bytes; keys are lists of text, cut into chunks."""

    format: int
    keys: list[bytes]
    columns: list[bytes]
    retired: list[int]
    book: bytes


_STORED = ("owner", "since", "after", "into", "accounts", "head", "tail", "via", "born", "born_at", "first_row")


def key_of(identifier: Identifier) -> str:
    """``kind:value``, the one text form of an identifier; a kind has no colon."""
    return f"{identifier.kind}:{identifier.value}"


def is_account(key: str) -> bool:
    """Whether ``kind:value`` is a user_id."""
    return key.startswith("user_id:")


class GraphColumns:
    """Identifiers, the people they belong to, and which number each merged person now has.

    Held as columns: one row per identifier and one per number ever given. The rows of one person are a chain through
    `after`, from `head` to `tail`. A merged number keeps its `head`, the row of the identifier that stands for it, but
    has no `tail`, for it has no rows. `via` makes a tree of a person's rows, together with the merges of the book.
    """

    def __init__(self) -> None:
        # Per identifier, in order of first appearance. Keys are only ever appended, so a frozen state may share them.
        self._rows: dict[str, int] = {}
        self._keys: list[str] = []
        self._owner = array("q")
        self._since = array("q")
        self._after = array("q")
        self._via = array("q")  # the row because of which it was linked; NONE: a person began with it
        self._born = array("q")
        self._born_at = array("q")
        self._retired: set[int] = set()  # rows past their kind's limit: they join nobody any more
        # Per person.
        self._into = array("q")
        self._accounts = array("q")
        self._head = array("q")
        self._tail = array("q")
        self._first_row = array("q")  # of the identifier that the number was given for; never changes
        self._firsts: list[str] = []
        self._n_gone = 0
        self._absorbed: dict[int, set[int]] = {}  # living person -> numbers that stand for them
        self.book = MergeBook()

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

    def rows_of(self, person: Person) -> list[int]:
        """Rows of a living person's identifiers; none for a merged number."""
        self._check(person)
        return list(self._rows_of(person))

    def row(self, identifier: str) -> int | None:
        """The row of an identifier (``kind:value``); None if it was never seen."""
        return self._rows.get(identifier)

    def key(self, row: int) -> str:
        """``kind:value`` of a row."""
        return self._keys[row]

    def owner(self, row: int) -> Person:
        """Whose a row is."""
        return Person(self._owner[row])

    def via(self, row: int) -> int | None:
        """The row because of which this one was linked; None: a person began with it."""
        return None if self._via[row] == NONE else self._via[row]

    def born(self, row: int) -> tuple[Offset, Instant]:
        """Where and when the identifier was first linked to anybody."""
        return Offset(self._born[row]), Instant(self._born_at[row])

    def is_retired(self, row: int) -> bool:
        """Whether it joins nobody any more: newer ones of its kind have taken its place."""
        return row in self._retired

    def reason(self, merge: Merged) -> str:
        """Why two people are one, in words. Values of personal kinds are keyed hashes, so nothing private is told."""
        said = self.book.said(merge)
        if said.by:
            return said.reason
        one, other = self._keys[merge.one], self._keys[merge.other]
        return f"{said.what} {said.message_id} of {said.source} names {one} and {other}"

    def head(self, person: Person) -> int:
        """The row of the identifier that a number was given for, or that now stands for it."""
        return self._head[person]

    def numbers(self, person: Person) -> list[Person]:
        """All numbers that stand for a living person, ascending, the person's own among them."""
        return [Person(number) for number in sorted({person, *self._absorbed.get(person, ())})]

    def digest(self) -> list[Any]:
        """What a state hash sees: who is who now, not how it came to that."""
        living = self.living()
        return [
            [person, sorted(map(key_of, self.identifiers(person))), self.first_identifier(person)] for person in living
        ]

    def _rows_of(self, person: Person) -> Iterator[int]:
        row = NONE if self._tail[person] == NONE else self._head[person]
        while row != NONE:
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
        columns: dict[str, array[int]] = {name: getattr(self, f"_{name}")[:] for name in _STORED}
        retired, book = sorted(self._retired), self.book.freeze()

        def encode() -> bytes:
            cuts = range(0, n, _CHUNK)
            chunks = [msgspec.msgpack.encode(keys[start : min(start + _CHUNK, n)]) for start in cuts]
            told = (columns | {"into": _ends(columns["into"])}).values()
            return msgspec.msgpack.encode(_State(_FORMAT, chunks, [*map(little_endian, told)], retired, book()))

        return encode

    def dump(self) -> bytes:
        """The graph as bytes, see `freeze`."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """The graph that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            keys = [key for chunk in state.keys for key in msgspec.msgpack.decode(chunk, type=list[str])]
            book = MergeBook.load(state.book)
        except msgspec.MsgspecError as error:
            raise Corrupt("identity.state", f"the identity graph cannot be decoded: {error}") from error
        if state.format != _FORMAT:
            raise Corrupt("identity.state", f"the identity graph has format {state.format}, known is {_FORMAT}")
        graph = cls()
        graph._keys = keys
        graph._rows = {key: row for row, key in enumerate(keys)}
        for name, raw in zip(_STORED, state.columns, strict=True):
            setattr(graph, f"_{name}", from_little_endian(raw))
        graph._retired, graph.book = set(state.retired), book
        graph._firsts = [keys[row] for row in graph._first_row]
        for number, into in enumerate(graph._into):
            if into != number:
                graph._absorbed.setdefault(into, set()).add(number)
        graph._n_gone = sum(into != n for n, into in enumerate(graph._into))
        return graph


def _ends(into: array[int]) -> array[int]:
    """`into` with every path followed to its end: what was asked before must not show in the bytes."""
    step = np.frombuffer(into, dtype=np.int64) if into else np.empty(0, dtype=np.int64)
    while not np.array_equal(further := step[step], step):
        step = further
    ends = array("q")
    ends.frombytes(step.tobytes())
    return ends
