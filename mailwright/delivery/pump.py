"""The outbox pump: facts that Records holds first go on to the log, at least once."""

from __future__ import annotations

from mailwright.core.events import Body, Event, Events
from mailwright.core.ports import Clock, EventLog, OutboxRecords

MAX_EVENTS = 2_500
"""Events of one log record (see `mailwright.core.events.Events`)."""


def pump(outbox: OutboxRecords, log: EventLog, clock: Clock, limit: int = 5_000) -> int:
    """Move up to `limit` of the oldest rows to the log and return how many; 0 when nothing is pending.

    A crash between the two writes repeats the rows at the next call: the engine drops events that it knows by
    (source, message_id), and every other kind of body is harmless twice.

    Raises:
        Transient: If the log or Records cannot be written now; the rows stay.
    """
    rows = outbox.pending(limit)
    if rows:
        log.append(packed([body for _, body in rows]), clock.now())
        outbox.done([row for row, _ in rows])
    return len(rows)


def packed(bodies: list[Body]) -> list[Body]:
    """The same facts in the same order in fewer records: neighbouring Events become one, of at most 2,500 events."""
    records: list[Body] = []
    events: list[Event] = []
    for body in bodies:
        if isinstance(body, Events):
            events += body.events
        else:
            records += _records(events)
            events = []
            records.append(body)
    return records + _records(events)


def _records(events: list[Event]) -> list[Body]:
    return [Events(events[start : start + MAX_EVENTS]) for start in range(0, len(events), MAX_EVENTS)]
