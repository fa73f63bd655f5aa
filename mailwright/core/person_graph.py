"""One person's identifiers, and how they came to be one person's."""

from __future__ import annotations

import msgspec

from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant


class GraphIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """One name of a person.

    Attributes:
        key: ``kind:value``; of a personal kind the value is its keyed hash.
        since_at: When the log took the event that brought it; `offset` is that event's.
        via: The name because of which it was linked; empty for the one with which the person began.
        joins: Whether it still joins people: not once its kind's limit has passed it by.
    """

    key: str
    since_at: Instant
    offset: Offset
    via: str
    joins: bool = True

    @property
    def identifier(self) -> Identifier:
        """Kind and value."""
        return Identifier(*self.key.split(":", 1))


class GraphMerge(msgspec.Struct, frozen=True, kw_only=True):
    """Two people turned out to be one.

    Attributes:
        number: By which a split names it.
        into: The number that stayed; `gone` the one that was retired.
        one: With `other`, the two names that were brought together; by hand, those that stood for the two.
        reason: Why, in words.
        source: Of the event, with `message_id`; both empty for one by hand.
        by: Who did it by hand.
        moves: The identifiers that taking it back would give to the other person; empty if it was taken back. None: not
            worked out, for the person has many newer merges.
        undone: Whether it was taken back.
    """

    number: int
    at: Instant
    offset: Offset
    into: Person
    gone: Person
    one: str
    other: str
    reason: str
    source: str
    message_id: str
    by: str
    moves: list[str] | None
    undone: bool


class GraphRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Two names that came together and were left with their people; `at` is the last time of `times`."""

    one: str
    other: str
    reason: str
    at: Instant
    times: int


class PersonGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A living person's identifiers and merges, as of the last record.

    Attributes:
        numbers: All that stand for the person, their own among them, ascending.
        refused: The newest of what was not joined.
        apart: People whom somebody has set apart from this one.
    """

    person: Person
    numbers: list[Person]
    identifiers: list[GraphIdentifier]
    merges: list[GraphMerge]
    refused: list[GraphRefusal]
    apart: list[Person]
