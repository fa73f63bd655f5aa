"""A message on its way: what is asked for, what states it passes, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mailwright.core.events import Person
from mailwright.core.instants import Instant


class MessageState(StrEnum):
    """States of a message; each arrow between them is one durable commit.

    queued -> claimed -> handing -> dot -> sent | failed | unknown, or from claimed: suppressed | expired | cancelled.
    A lease that runs out before `dot` is provably not delivered and goes back to queued; after it, unknown.
    """

    QUEUED = "queued"
    CLAIMED = "claimed"
    HANDING = "handing"
    DOT = "dot"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


FINAL_STATES = frozenset(
    {
        MessageState.SENT,
        MessageState.FAILED,
        MessageState.SUPPRESSED,
        MessageState.EXPIRED,
        MessageState.CANCELLED,
        MessageState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """The engine's wish that a person gets a message; becomes one row, state queued, unique by `send_key`.

    Attributes:
        send_key: Hex digest over (campaign or journey run, step, occurrence, person, channel), see `send_key`.
        origin: ``campaign:weekly_offers`` or ``journey:win_back``.
        step: Name of the journey step; ``mail`` for a campaign.
        occurrence: ISO instant of the campaign's occurrence or the run's start.
        person: The engine's number.
        purpose: The consent purpose that must be granted (``marketing``); empty for transactional mail.
        queued_at: The tick's instant.
        send_by_at: Not handed over after this instant: expired.
    """

    send_key: str
    origin: str
    step: str
    occurrence: str
    person: Person
    purpose: str
    queued_at: Instant
    send_by_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a channel is handed: one recipient, the exact bytes."""

    send_key: str
    mail_from: str
    rcpt_to: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiving side took responsibility (a 2xx reply to the final dot)."""

    reply: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A definite temporary refusal; may be handed over again, not before `until_at`."""

    reply: str
    until_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A definite permanent refusal."""

    reply: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection broke after the final dot: the receiver may or may not have it. Never sent again by itself."""

    reason: str


Outcome = Sent | Deferred | Failed | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A row of the outbox as read back. Fields not reached yet are None.

    Attributes:
        id: Short public id (used in links and pages), unique.
        fence: Raised by every claim; a write with an older fence is refused.
        reason: Why it was not sent (``no_consent``, ``expired``), or the server's reply.
        variant: Experiment arm; `p_variant` its probability.
        decision: The decision record (see `mailwright.decisions.record`), JSON-shaped.
    """

    id: str
    send_key: str
    origin: str
    step: str
    occurrence: str
    person: Person
    purpose: str
    state: MessageState
    fence: int
    attempts: int
    queued_at: Instant
    send_by_at: Instant
    not_before_at: Instant
    finished_at: Instant | None = None
    reason: str | None = None
    subject: str | None = None
    experiment: str | None = None
    variant: str | None = None
    p_variant: float | None = None
    template_version: str | None = None
    decision: dict[str, Any] | None = None
