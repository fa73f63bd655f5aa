"""When it happened that a call tells of."""

from __future__ import annotations

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, parse_iso
from mailwright.ingest.hooks import Declined
from mailwright.ingest.limits import Refusal
from mailwright.ingest.reading import Reading
from mailwright.ingest.wire import Call


def stamp_of(call: Call, reading: Reading) -> Instant:
    """When it happened, by the door's clock: ``receivedAt - (sentAt - originalTimestamp)`` where both are sent.

    So a client's wrong clock cancels out. History is taken as stamped: the moment at which an old event was re-sent
    says nothing about the clock of that time.
    """
    place = "timestamp" if call.original_timestamp is None else "originalTimestamp"
    text = call.timestamp if call.original_timestamp is None else call.original_timestamp
    original = _instant(text, place)
    sent_at = reading.sent_at if call.sent_at is None else _instant(call.sent_at, "sentAt")
    if original is None:
        return reading.received_at
    skewed = None if reading.history else sent_at
    stamp = original if skewed is None else Instant(reading.received_at - (skewed - original))
    if stamp < reading.rules.limits.earliest_at:
        raise Declined(place, f"{text!r} is too long ago: is the clock or the unit wrong?")
    if stamp > reading.received_at + reading.rules.limits.future_micros:
        raise Declined(place, f"{text!r} is too far in the future: is the clock or the unit wrong?")
    return stamp


def _instant(text: str | None, place: str) -> Instant | None:
    if not text:
        return None
    try:
        return parse_iso(text)
    except InvalidInput as error:
        raise Declined(place, f"{error.issues[0].message}; {error.issues[0].hint}") from None


def batch_sent_at(reading: Reading, text: str | None) -> Instant | None:
    """A batch's own ``sentAt``; one that cannot be read corrects no clocks, which is told."""
    try:
        return _instant(text, "sentAt")
    except Declined as fault:
        reading.warned.append(Refusal(-1, fault.place, f"{fault.reason}; clocks are not corrected"))
        return None
