"""Catalog items as versioned facts: which version was in force when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Item
from mailwright.core.instants import Instant

_CHUNK = 4096  # items encoded at a time: a thread that writes a checkpoint lets others run between two chunks


class Catalog:
    """Every version of every item, by (catalog, item id), in order of stamp.

    A version is in force from its stamp until the next one's; of two with the same stamp the one put last is kept.
    """

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[Item]] = {}

    def put(self, item: Item) -> None:
        """Add a version; versions may come in any order of stamp."""
        versions = self._versions.setdefault((item.catalog, item.item_id), [])
        place = bisect_right(versions, item.stamp_at, key=_stamp)
        if place and versions[place - 1].stamp_at == item.stamp_at:
            versions[place - 1] = item
        else:
            versions.insert(place, item)

    def facts(self, catalog: str, item_id: str, at: Instant) -> dict[str, Any] | None:
        """The facts in force at `at`; None if the item had no version by then."""
        versions = self._versions.get((catalog, item_id))
        if not versions:
            return None
        if versions[-1].stamp_at <= at:  # nearly always: most versions are older than what happens now
            return versions[-1].facts
        place = bisect_right(versions, at, key=_stamp)
        return versions[place - 1].facts if place else None

    def current(self, catalog: str, item_ids: Iterable[str], at: Instant | None = None) -> dict[str, Item]:
        """The versions in force at `at` (None: the newest of each) by item id; unknown items are left out."""
        found = {}
        for item_id in item_ids:
            versions = self._versions.get((catalog, item_id), [])
            place = len(versions) if at is None else bisect_right(versions, at, key=_stamp)
            if place:
                found[item_id] = versions[place - 1]
        return found

    def count(self) -> int:
        """Number of distinct items, versions not counted."""
        return len(self._versions)

    def ids(self, catalog: str) -> list[str]:
        """Ids of a catalog's items, sorted."""
        return sorted(item_id for name, item_id in self._versions if name == catalog)

    def freeze(self) -> Callable[[], bytes]:
        """The catalog as it is now, to be encoded later, in any thread, while the catalog goes on."""
        kept = {name: list(versions) for name, versions in self._versions.items()}

        def encode() -> bytes:
            ordered = [item for name in sorted(kept) for item in kept[name]]
            chunks = [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]
            return msgspec.msgpack.encode([msgspec.msgpack.encode(chunk) for chunk in chunks])

        return encode

    def dump(self) -> bytes:
        """All versions as bytes; equal catalogs give equal bytes, in whatever order they were put."""
        return self.freeze()()

    @classmethod
    def load(cls, data: bytes) -> Catalog:
        """The catalog that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            chunks = msgspec.msgpack.decode(data, type=list[bytes])
            items = [item for chunk in chunks for item in msgspec.msgpack.decode(chunk, type=list[Item])]
        except msgspec.MsgspecError as error:
            raise Corrupt("catalog.dump", f"a stored catalog cannot be decoded: {error}") from error
        catalog = cls()
        for item in items:
            catalog.put(item)
        return catalog


def _stamp(item: Item) -> Instant:
    return item.stamp_at
