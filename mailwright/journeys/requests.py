"""Send requests and the keys that make each of them unique."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from mailwright.core.events import Person
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import SendRequest
from mailwright.journeys.definitions import CampaignDefinition

CAMPAIGN_STEP = "mail"
"""The only step of a campaign."""


def send_key(*, origin: str, step: str, occurrence: str, person: Person, channel: str = "email") -> str:
    """The hex digest (64 digits) under which a message exists at most once.

    Args:
        origin: ``campaign:NAME`` or ``journey:NAME``.
        step: Name of the step.
        occurrence: ISO instant of the campaign's occurrence or the journey run's start.
        person: The engine's number.
        channel: How it is sent.
    """
    # JSON keeps the parts apart: no two different lists of parts have the same text.
    return hashlib.sha256(json.dumps([origin, step, occurrence, int(person), channel]).encode()).hexdigest()


def campaign_requests(
    name: str, campaign: CampaignDefinition, occurrence_at: Instant, persons: Iterable[Person], at: Instant
) -> list[SendRequest]:
    """The requests of one occurrence of a campaign for everyone in its audience at the tick `at`."""
    return [
        request(
            origin=f"campaign:{name}",
            step=CAMPAIGN_STEP,
            occurrence_at=occurrence_at,
            person=person,
            purpose=campaign.purpose,
            at=at,
            send_by_at=Instant(occurrence_at + campaign.send_by_micros),
        )
        for person in persons
    ]


def request(
    *,
    origin: str,
    step: str,
    occurrence_at: Instant,
    person: Person,
    purpose: str,
    at: Instant,
    send_by_at: Instant,
) -> SendRequest:
    """One request, queued at the tick `at`, with its key."""
    occurrence = format_iso(occurrence_at)
    return SendRequest(
        send_key=send_key(origin=origin, step=step, occurrence=occurrence, person=person),
        origin=origin,
        step=step,
        occurrence=occurrence,
        person=person,
        purpose=purpose,
        queued_at=at,
        send_by_at=send_by_at,
    )
