"""Looking people up by a trait's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_NOTHING: frozenset[bytes] = frozenset()


class TraitIndex:
    """Values of indexed traits -> people. A value that one person has, as nearly all have, costs one number."""

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        """An empty index of these traits."""
        self.names = names
        self._people: dict[str, dict[bytes, int | set[int]]] = {name: {} for name in names}

    def keys(self, value: Any) -> frozenset[bytes]:
        """Under what a value is found: text, number or boolean under itself, a sealed one under its hash.

        A list is found under each of its elements; objects and null under nothing.
        """
        if isinstance(value, list):
            return frozenset(key for each in value if (key := _key(each)) is not None)
        key = _key(value)
        return _NOTHING if key is None else frozenset([key])

    def move(self, person: int, before: Mapping[str, frozenset[bytes]], now: Mapping[str, frozenset[bytes]]) -> None:
        """A person stood under `before`, and stands under `now`."""
        for name in self.names:
            old, new = before.get(name, _NOTHING), now.get(name, _NOTHING)
            for key in old - new:
                self._take(self._people[name], key, person)
            for key in new - old:
                _put(self._people[name], key, person)

    def having(self, name: str, value: Any) -> list[int]:
        """People of one value, ascending.

        Raises:
            KeyError: If the trait has no index.
        """
        people = self._people[name]
        key = _key(value)
        found = people.get(key, ()) if key is not None else ()
        return [found] if isinstance(found, int) else sorted(found)

    def _take(self, people: dict[bytes, int | set[int]], key: bytes, person: int) -> None:
        found = people.get(key)
        if isinstance(found, set):
            found.discard(person)
            if len(found) == 1:
                people[key] = next(iter(found))
        elif found == person:
            del people[key]


def _put(people: dict[bytes, int | set[int]], key: bytes, person: int) -> None:
    found = people.get(key)
    if found is None:
        people[key] = person
    elif isinstance(found, set):
        found.add(person)
    elif found != person:
        people[key] = {found, person}


def _key(value: Any) -> bytes | None:
    if isinstance(value, dict):
        told = value.get("hash")
        return b"#" + told.encode() if isinstance(told, str) else None
    if value is None or isinstance(value, list):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value)
