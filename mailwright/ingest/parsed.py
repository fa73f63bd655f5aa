"""What a request brought: the events of its good items, and what is told of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailwright.core.events import Event
from mailwright.ingest.limits import Refusal
from mailwright.ingest.plan import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a request brought.

    Attributes:
        events: The good items, in order.
        refused: The bad items, each with its first fault.
        warned: Fields of good items that were left out or could not be used.
        held: Items that the tracking plan puts into quarantine; only if the caller said that it keeps them.
        n_held_before: How many of these lay there already: they were sent again.
        violations: All that was not as the tracking plan says, whatever became of it.
    """

    events: Sequence[Event]
    refused: Sequence[Refusal]
    warned: Sequence[Refusal]
    held: Sequence[Held] = ()
    n_held_before: int = 0
    violations: Sequence[Violated] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violated:
    """One place where an item was not as the tracking plan says. Holds no value that was sent.

    Attributes:
        index: Of the item in its request.
        event: Name of the track event, else the kind of the call.
        field: Dotted place, without numbers of list elements.
        kind: As `mailwright.ingest.plan.Violation.kind`.
        reason: In words, without the value.
        policy: What became of it.
        example: The shape of the value as JSON, letters being ``a`` and digits ``9``; empty if it is missing.
    """

    index: int
    event: str
    field: str
    kind: str
    reason: str
    policy: Policy
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An item in quarantine, in clear text: to be sealed as a whole before it is kept.

    Attributes:
        body: The call as JSON, with its request's context, sentAt and type, so that it can be read again by itself.
        message_id: Its own or the one that it was given; also in `body`.
        warned: Why it is held, as `Refusal`s of this item.
    """

    index: int
    event: str
    message_id: str
    body: bytes
    warned: Sequence[Refusal]
