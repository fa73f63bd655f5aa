"""Which events brought a person's identifiers, and how the identifiers hang together, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailwright.core.events import Offset
from mailwright.core.person_graph import GraphIdentifier, GraphMerge, PersonGraph
from mailwright.core.ports import History

_EVENTS = """
    SELECT "offset", source, type, name, message_id FROM events WHERE "offset" IN (SELECT unnest($offsets))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringer:
    """The event that first named an identifier beside another."""

    source: str
    what: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One identifier in the tree of a person's, below what it was joined to.

    Attributes:
        levels: For each level down to its own, whether more comes below the same one there; empty at the root.
        merge: The merge that joined it; None if an event linked it.
    """

    identifier: GraphIdentifier
    levels: tuple[bool, ...]
    merge: GraphMerge | None


def bringers(history: History, offsets: Iterable[Offset]) -> Mapping[Offset, Bringer]:
    """The events at some offsets, as far as History holds them."""
    asked = sorted(set(offsets))
    if not asked or not history.offset("events"):
        return {}
    rows = history.query(_EVENTS, {"offsets": [int(each) for each in asked]}).to_pylist()
    return {
        Offset(row["offset"]): Bringer(
            source=row["source"], what=row["name"] or row["type"], message_id=row["message_id"]
        )
        for row in rows
    }


def branches(graph: PersonGraph) -> list[Branch]:
    """The identifiers as a tree, from the one that stands for the person on; every one once."""
    named = {each.key: each for each in graph.identifiers}
    beside: dict[str, list[tuple[str, GraphMerge | None]]] = {key: [] for key in named}
    edges: list[tuple[str, str, GraphMerge | None]] = [(each.key, each.via, None) for each in graph.identifiers]
    edges += [(each.one, each.other, each) for each in graph.merges if not each.undone]
    for one, other, merge in edges:
        if one in named and other in named:
            beside[one].append((other, merge))
            beside[other].append((one, merge))
    found: list[Branch] = []
    seen: set[str] = set()
    for start in named:  # everything hangs together; what did not would still be shown
        stack: list[tuple[str, GraphMerge | None, tuple[bool, ...]]] = [(start, None, ())]
        while stack:
            key, merge, levels = stack.pop()
            if key in seen:
                continue
            seen.add(key)
            found.append(Branch(named[key], levels, merge))
            below = [each for each in beside[key] if each[0] not in seen]
            for place, (other, joined) in reversed(list(enumerate(below))):
                stack.append((other, joined, (*levels, place < len(below) - 1)))
    return found
