"""How the end of a message is told to the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import Instant
from mailwright.core.messages import MessageState

SOURCE = "mailwright"

# Segment's names for e-mail events, and one of ours for what Segment has no name for.
EVENT_NAMES = {
    MessageState.SENT: "Email Sent",
    MessageState.FAILED: "Email Failed",
    MessageState.SUPPRESSED: "Email Suppressed",
    MessageState.EXPIRED: "Email Expired",
    MessageState.CANCELLED: "Email Cancelled",
    MessageState.UNKNOWN: "Email Unknown",
}


def ended(
    row: sa.RowMapping, state: MessageState, reason: str | None, decision: Mapping[str, Any] | None, now: Instant
) -> Events:
    """The log body that tells that a message reached a final state.

    Its message_id is made from the message and the state alone, so that the log's dedupe makes a repeat one.

    Args:
        row: Of the message table.
        state: A final state.
        reason: Why, or the server's reply; left out if None or empty.
        decision: The decision record; without one the event belongs to ``mailwright_message:<id>``.
        now: On the project's clock.
    """
    about = {
        "message_id": row["id"],
        "origin": row["origin"],
        "step": row["step"],
        "variant": row["variant"],
        "experiment": row["experiment"],
        "reason": reason or None,
    }
    event = Event(
        message_id=f"{row['id']}:{state.value}",
        source=SOURCE,
        type="track",
        name=EVENT_NAMES[state],
        stamp_at=now,
        received_at=now,
        known_at=now,
        identifiers=[_identifier(row["id"], decision)],
        properties={name: value for name, value in about.items() if value is not None},
    )
    return Events([event])


def _identifier(message_id: str, decision: Mapping[str, Any] | None) -> Identifier:
    kind, colon, value = str((decision or {}).get("first_identifier") or "").partition(":")
    return Identifier(kind, value) if colon and kind and value else Identifier("mailwright_message", message_id)
