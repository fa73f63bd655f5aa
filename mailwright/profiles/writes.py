"""Traits by number, of people or of accounts: the newest write of each, and those before it.

Of a trait's writes by (stamp, offset) the newest 19 are kept, and the oldest that is no removal. That is a function of
the set of writes alone: it makes no difference in which order they arrive, nor whether they arrived at two people who
were merged later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

MOST_KEPT = 20
"""Writes of a trait of a person that are kept, the newest among them."""

_CHUNK = 1 << 12  # numbers encoded at a time: a thread that writes a checkpoint lets others run between two chunks

Write = tuple[int, int, Any, str]
"""(stamp, offset, value, source): stamp and offset first, so that the order of writes is that of the tuples' first two.

A removed trait stays with the value None, or a late older write would bring it back.
"""

_NEWEST = -1  # in place of the number of a value: the value of the newest write
_Past = tuple[
    list[Any], list[str], list[int]
]  # values, sources, and four numbers a write: stamp, offset, value, source
_past = msgspec.msgpack.Decoder(_Past)
_newest = msgspec.msgpack.Decoder(dict[int, dict[str, Write]])
_older = msgspec.msgpack.Decoder(dict[int, dict[str, bytes]])
_as_bytes = msgspec.msgpack.Encoder(order="deterministic").encode


def value_key(value: Any) -> bytes:
    """What tells two values apart; of sealed ones the hash, since two boxes of one text differ."""
    if type(value) is dict and "sealed" in value and "hash" in value:
        return _as_bytes(("sealed", value["hash"]))
    return _as_bytes(value)


class TraitBook:
    """Traits of numbers. What is kept of a number is replaced, never changed in place: a frozen copy may share it.

    The newest writes are tuples, for they are read; those before them are packed, for most people have none and nobody
    asks for them often.
    """

    def __init__(self) -> None:
        self._newest: dict[int, dict[str, Write]] = {}
        self._older: dict[int, dict[str, bytes]] = {}

    def newest(self, number: int) -> Mapping[str, Write]:
        """The newest write of each trait, removals too."""
        return self._newest.get(number, {})

    def writes(self, number: int, name: str) -> list[Write]:
        """All kept writes of a trait, newest first."""
        newest = self._newest.get(number, {}).get(name)
        if newest is None:
            return []
        packed = self._older.get(number, {}).get(name)
        return [newest, *(_unpacked(packed, newest[2]) if packed else ())]

    def told(self, number: int, stamp: int, offset: int, traits: Mapping[str, Any], source: str) -> None:
        """Take the traits of one event."""
        source = sys.intern(source)
        self.write(number, {sys.intern(name): (stamp, offset, value, source) for name, value in traits.items()})

    def write(self, number: int, writes: Mapping[str, Write]) -> None:
        """Take writes, one a trait; one that is known already changes nothing."""
        known = self._newest.get(number)
        if known is None:
            self._newest[number] = dict(writes)
            return
        traits = dict(known)
        older: dict[str, bytes] | None = None
        for name, write in writes.items():
            old = traits.get(name)
            if old is None:
                traits[name] = write
                continue
            if write[:2] == old[:2]:
                continue
            if older is None:
                older = dict(self._older.get(number, ()))
            packed = older.get(name)
            if write[:2] > old[:2]:
                traits[name] = write
                older[name] = _followed(packed, old, write) or _repacked(packed, old, [old], write)
            else:
                older[name] = _repacked(packed, old, [write], old)
        self._newest[number] = traits
        if older is not None:
            self._older[number] = older

    def merge(self, into: int, gone: int) -> None:
        """All writes of `gone` become those of `into`; `gone` has none any more."""
        moved = self._newest.pop(gone, None)
        older = self._older.pop(gone, {})
        if not moved:
            return
        known = self._newest.get(into, {})
        traits = dict(known)
        mine = dict(self._older.get(into, ()))
        for name, write in moved.items():
            theirs = _unpacked(older[name], write[2]) if name in older else []
            old = traits.get(name)
            traits[name] = write if old is None else max(write, old, key=_order)
            if old is not None and write[:2] != old[:2]:
                theirs.append(min(write, old, key=_order))
            if theirs:
                mine[name] = _repacked(mine.get(name), old or write, theirs, traits[name])
        self._newest[into] = traits
        if mine:
            self._older[into] = mine

    def forget(self, number: int) -> None:
        """Nothing was told of this number."""
        self._newest.pop(number, None)
        self._older.pop(number, None)

    def adopt(self, other: TraitBook, place: int, number: int) -> None:
        """Take over what another book keeps of `place`, as that of `number`."""
        if place in other._newest:
            self._newest[number] = other._newest[place]
        if place in other._older:
            self._older[number] = other._older[place]

    def numbers(self) -> Iterator[int]:
        """Every number that was told of."""
        return iter(self._newest)

    def frozen(self) -> TraitBook:
        """As it is now, while this one goes on."""
        copy = TraitBook()
        copy._newest, copy._older = self._newest.copy(), self._older.copy()
        return copy

    def chunks(self) -> tuple[list[bytes], list[bytes]]:
        """As bytes, some numbers at a time: newest writes, and older ones."""
        return list(_chunks(self._newest)), list(_chunks(self._older))

    @classmethod
    def of(cls, newest: Sequence[bytes], older: Sequence[bytes]) -> TraitBook:
        """The book of those bytes.

        Raises:
            msgspec.MsgspecError: If they are none.
        """
        book = cls()
        for chunk in newest:
            for number, traits in _newest.decode(chunk).items():
                book._newest[number] = {
                    sys.intern(name): (stamp, offset, value, sys.intern(source))
                    for name, (stamp, offset, value, source) in traits.items()
                }
        for chunk in older:
            for number, packed in _older.decode(chunk).items():
                book._older[number] = {sys.intern(name): bytes_ for name, bytes_ in packed.items()}
        return book


def effective(writes: Sequence[Write], merge: str) -> Write | None:
    """The write that counts among a trait's kept ones, newest first; None: the trait is missing.

    ``newest``: the newest. ``oldest``: the oldest that is no removal. ``union``: the lists written since the last
    removal, their elements in order of first appearance, under the newest write's time and source. Whatever the way,
    a trait whose newest write removed it is missing.
    """
    if not writes or writes[0][2] is None:
        return None
    if merge == "oldest":
        return next(write for write in reversed(writes) if write[2] is not None)
    if merge == "union":
        return _united(writes)
    return writes[0]


def _united(writes: Sequence[Write]) -> Write:
    since = next((place for place, write in enumerate(writes) if write[2] is None), len(writes))
    found: dict[bytes, Any] = {}
    for _, _, value, _ in reversed(writes[:since]):
        for each in value if isinstance(value, list) else [value]:
            found.setdefault(_as_bytes(each), each)
    stamp, offset, _, source = writes[0]
    return stamp, offset, list(found.values()), source


def _order(write: Write) -> tuple[int, int]:
    return write[:2]


def _kept(writes: Iterable[Write], newest: Write) -> list[Write]:
    """Of older writes those that are kept, newest first."""
    ordered = sorted(
        {write[:2]: write for write in writes if write[:2] != newest[:2]}.values(), key=_order, reverse=True
    )
    kept = ordered[: MOST_KEPT - 2]
    rest = [write for write in ordered[MOST_KEPT - 2 :] if write[2] is not None]
    return [*kept, *rest[-1:]]


def _followed(packed: bytes | None, old: Write, newest: Write) -> bytes | None:
    """`_repacked` for what is usual: the newest write is followed by another one of the same value; None if it is not.

    Nothing but a row is added then: whatever had the newest value has it still.
    """
    if packed is None or old[2] is None or not _same(old[2], newest[2]):
        return None
    values, sources, rows = _past.decode(packed)
    if old[3] in sources:
        source = sources.index(old[3])
    else:
        source = len(sources)
        sources.append(old[3])
    rows = [old[0], old[1], _NEWEST, source, *rows]
    if len(rows) > 4 * (MOST_KEPT - 1):
        # The last row is the oldest that is no removal, or there is none: the row before it is the one too many.
        if rows[-2] != _NEWEST or rows[-6] != _NEWEST:
            return None
        del rows[-8:-4]
    return msgspec.msgpack.encode((values, sources, rows))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are surely the same, by a cheap look."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is dict:
        return "sealed" in one and "hash" in one and one["hash"] == other.get("hash") and "sealed" in other
    return kind is not list and bool(one == other)


def _repacked(packed: bytes | None, before: Write, more: Iterable[Write], newest: Write) -> bytes:
    """Older writes with `more` among them; `before` was the newest till now, `newest` is the newest then."""
    known = _unpacked(packed, before[2]) if packed else []
    return _packed(_kept([*known, *more], newest), newest[2])


def _packed(writes: Sequence[Write], newest: Any) -> bytes:
    """Older writes, newest first; equal values once, that of the newest not at all."""
    numbers = {value_key(newest): _NEWEST}
    values: list[Any] = []
    sources: dict[str, int] = {}
    rows: list[int] = []
    for stamp, offset, value, source in writes:
        key = value_key(value)
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(values)
            values.append(value)
        rows += (stamp, offset, number, sources.setdefault(source, len(sources)))
    return msgspec.msgpack.encode((values, list(sources), rows))


def _unpacked(packed: bytes, newest: Any) -> list[Write]:
    values, sources, rows = _past.decode(packed)
    cells = iter(rows)
    return [
        (stamp, offset, newest if value == _NEWEST else values[value], sys.intern(sources[source]))
        for stamp, offset, value, source in zip(cells, cells, cells, cells, strict=True)
    ]


def _chunks(book: Mapping[int, Any]) -> Iterator[bytes]:
    left = iter(book.items())
    while chunk := dict(islice(left, _CHUNK)):
        yield msgspec.msgpack.encode(chunk)
