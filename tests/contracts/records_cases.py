"""Values that the suites of Records share."""

from mailwright.core.commits import TickCommit
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.messages import SendRequest
from mailwright.core.ports import Handing

LEASE = {"lease_now": Instant(1_000), "lease_until": Instant(2_000)}
LATER = {"lease_now": Instant(3_000), "lease_until": Instant(4_000)}
DECISION = {"first_identifier": "email:9f2c", "items": [{"id": "1", "score": 0.5}], "winner": None}


def request(key: str, person: int = 1, queued_at: int = 5, origin: str = "campaign:weekly_offers") -> SendRequest:
    return SendRequest(
        send_key=key,
        origin=origin,
        step="mail",
        occurrence="2026-11-02T09:00:00Z",
        person=Person(person),
        purpose="marketing",
        queued_at=Instant(queued_at),
        send_by_at=Instant(1_000_000),
    )


def queue(records, *requests: SendRequest) -> None:
    """Queue messages by ticks of a new engine."""
    epoch = records.engine.take_over()
    offset = Offset(records.engine.applied() + 4096)
    records.engine.commit_tick(epoch, TickCommit(offset=offset, at=Instant(5), requests=requests))


def handing(key: str, fence: int, body: bytes = b"Subject: hello\r\n\r\nhello\r\n", **changes) -> Handing:
    values = {"subject": "hello", "decision": DECISION, "template_version": "t1"} | changes
    return Handing(send_key=key, fence=fence, body=body, **values)


def told(records) -> list[tuple[str, dict]]:
    """(event name, properties) of every message event in the outbox, oldest first."""
    events = [body.events[0] for _, body in records.outbox.pending(1_000) if hasattr(body, "events")]
    return [(event.name, event.properties) for event in events]
