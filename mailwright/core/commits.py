"""What one tick of the engine writes to Records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.messages import SendRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyRun:
    """One person inside one journey. `step` is the step that runs next, at `due_at` (None: waits for a transition).

    `ended` is None while it runs, else the reason (``completed``, ``exited: <segment>``).
    """

    run_id: str
    journey: str
    version: int
    person: Person
    started_at: Instant
    step: str
    due_at: Instant | None
    ended: str | None = None
    ended_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A person entered or left a segment at a tick; `cause` as of `mailwright.rules.fold.Change`."""

    offset: Offset
    at: Instant
    person: Person
    segment: str
    entered: bool
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCommit:
    """All that one tick writes to Records.

    Attributes:
        offset: The tick's offset; becomes `applied`.
        requests: Send requests; one whose send_key exists is ignored.
        runs: Journey runs to insert or replace by run_id.
        transitions: Only those that have a subscriber.
        occurrences: (campaign, occurrence) pairs that were started in this tick.
        cancelled: send_keys whose messages are cancelled if not yet claimed, with the reason.
    """

    offset: Offset
    at: Instant
    requests: Sequence[SendRequest] = ()
    runs: Sequence[JourneyRun] = ()
    transitions: Sequence[Transition] = ()
    occurrences: Sequence[tuple[str, str]] = ()
    cancelled: Sequence[tuple[str, str]] = ()
