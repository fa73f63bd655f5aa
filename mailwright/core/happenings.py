"""What happened to one person: the lines of a timeline, wherever they are read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.person_graph import PersonGraph

OUR_SOURCE = "mailwright"
"""The source of the events that Mailwright makes itself."""

Place = tuple[int, int, str]
"""Where a line stands in a timeline: stamp, offset, label. Timelines go from the greatest down."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline.

    Attributes:
        kind: An event, a segment that was entered or left, or a merge or split.
        label: The event's name, or the segment's; ``#`` and the number of who is gone, or was parted.
        source: The event's write key source; the transition's cause; who merged or split by hand, or nothing.
        detail: The event's properties as received, of identify and group the traits; personal ones are sealed. Of a
            merge or split ``into``, ``other`` and ``reason``.
    """

    at: Instant
    offset: Offset
    kind: Literal["event", "entered", "left", "merge", "split"]
    label: str
    source: str
    detail: dict[str, Any]

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.at, self.offset, self.label

    @property
    def cursor(self) -> str:
        """Where the next page goes on."""
        return f"{self.at}.{self.offset}.{self.label}"

    @property
    def message_id(self) -> str | None:
        """The mail that an event of our own is about."""
        found = self.detail.get("message_id") if self.source == OUR_SOURCE else None
        return found if isinstance(found, str) else None


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """Whose timeline is read.

    Attributes:
        person: The number under which transitions are written.
        identifiers: All that belong to the person now; an event is the person's if it names one of them first.
        numbers: All numbers that the person has had, for merges and splits.
    """

    person: Person
    identifiers: list[Identifier]
    numbers: list[Person] = []

    @classmethod
    def of(cls, graph: PersonGraph) -> Whose:
        """The living person of a graph."""
        identifiers = [each.identifier for each in graph.identifiers]
        return cls(person=graph.person, identifiers=identifiers, numbers=graph.numbers)


class Unwritten(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine has folded of one person and History does not hold yet.

    Attributes:
        rows: Newest stamp first.
        after: History holds everything up to this offset; every row lies above it.
        complete: False if so much waits for History that only the newest of it was looked through.
    """

    rows: list[Happening]
    after: Offset
    complete: bool = True
