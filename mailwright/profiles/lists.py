"""Lists of people by identifier, as `ListChanged` records tell them: state that follows from the log alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import ListChanged
from mailwright.core.facts import ListInfo
from mailwright.core.instants import Instant


class Listing(NamedTuple):
    """What a record really changed: identifiers (``kind:value``) that were not on the list, and those that were."""

    added: list[str]
    removed: list[str]


class ListBook:
    """All lists. An identifier stays on a list before its person appears and after it joins another."""

    def __init__(self) -> None:
        self._lists: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}  # identifier -> lists
        self._info: dict[str, tuple[Instant, str]] = {}

    def apply(self, change: ListChanged, at: Instant) -> Listing:
        """Take in a record; what is both added and removed stays on the list."""
        there = self._lists.setdefault(change.name, set())
        self._info[change.name] = (at, change.source)
        wanted = dict.fromkeys(change.added)
        leaving = list(there) if change.replaced else change.removed
        removed = sorted({each for each in leaving if each in there and each not in wanted})
        added = [each for each in wanted if each not in there]
        there.difference_update(removed)
        there.update(added)
        for each in removed:
            self._names[each].discard(change.name)
            if not self._names[each]:
                del self._names[each]
        for each in added:
            self._names.setdefault(each, set()).add(change.name)
        return Listing(added, removed)

    def naming(self, identifier: str) -> Collection[str]:
        """The lists that an identifier is on."""
        return self._names.get(identifier, ())

    def has(self, name: str, identifiers: Collection[str]) -> bool:
        """Whether any of a person's identifiers is on the list."""
        return not self._lists.get(name, set()).isdisjoint(identifiers)

    def identifiers(self, name: str) -> Collection[str]:
        """All identifiers on a list; none on one that was never told of."""
        return self._lists.get(name, set())

    def info(self) -> dict[str, ListInfo]:
        """Every list, by name."""
        return {
            name: ListInfo(size=len(self._lists[name]), at=at, source=source)
            for name, (at, source) in sorted(self._info.items())
        }

    # --- checkpoints ---

    def freeze(self) -> Callable[[], bytes]:
        """A copy, encoded when it is called; equal books give equal bytes."""
        lists = {name: set(there) for name, there in self._lists.items()}
        info = dict(self._info)
        return lambda: msgspec.msgpack.encode([[name, *info[name], sorted(lists[name])] for name in sorted(lists)])

    @classmethod
    def load(cls, data: bytes) -> ListBook:
        """The book that `freeze` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            rows = msgspec.msgpack.decode(data, type=list[tuple[str, int, str, list[str]]])
        except msgspec.MsgspecError as error:
            raise Corrupt("lists.dump", f"stored lists cannot be decoded: {error}") from error
        book = cls()
        for name, at, source, there in rows:
            book.apply(ListChanged(name=name, added=there, source=source), Instant(at))
        return book
