"""The outbox pump: at least once, in order, in few records."""

import pytest
from delivery_shop import NOW, FixedClock

from mailwright.core.errors import Transient
from mailwright.core.events import ConsentChanged, Event, Events, Identifier
from mailwright.delivery.pump import MAX_EVENTS, packed, pump
from mailwright.stores.memory import MemoryEventLog
from mailwright.stores.records_sql import SqlRecords


def event(n: int) -> Event:
    return Event(
        message_id=f"m{n}:sent", source="mailwright", type="track", name="Email Sent", stamp_at=NOW,
        received_at=NOW, known_at=NOW, identifiers=[Identifier("user_id", "1")],
    )  # fmt: skip


CONSENT = ConsentChanged(address_hash="ab", purpose="marketing", granted=False, source="one-click")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1, 1, 1], [3]),
        ([1, "c", 1, 1], [1, "c", 2]),
        ([MAX_EVENTS, 1], [MAX_EVENTS, 1]),
        ([MAX_EVENTS - 1, 2], [MAX_EVENTS, 1]),
        (["c", "c"], ["c", "c"]),
        ([0, 1], [1]),
    ],
)
def test_packing(sizes: list[object], expected: list[object]) -> None:
    bodies = [CONSENT if size == "c" else Events([event(n) for n in range(size)]) for size in sizes]
    records = packed(bodies)
    assert ["c" if record is CONSENT else len(record.events) for record in records] == expected
    flat = [one for record in records if isinstance(record, Events) for one in record.events]
    assert flat == [one for body in bodies if isinstance(body, Events) for one in body.events]


class FullLog(MemoryEventLog):
    """A log whose disk is full."""

    def append(self, bodies: object, now: object) -> list[int]:
        raise Transient("log.full", "the disk is full")


def test_rows_go_once_and_stay_while_the_log_is_full(tmp_path) -> None:
    from mailwright.core.ports import Consent

    with SqlRecords.open(tmp_path / "records.sqlite") as records:
        row = Consent(address_hash="ab", purpose="marketing", granted=True, at=NOW, source="demo")
        records.consents.record([row, row])
        with pytest.raises(Transient):
            pump(records.outbox, FullLog(), FixedClock())
        assert records.outbox.pending_count() == 2
        log = MemoryEventLog()
        assert pump(records.outbox, log, FixedClock(), limit=1) == 1
        assert pump(records.outbox, log, FixedClock()) == 1
        assert pump(records.outbox, log, FixedClock()) == 0
        assert [type(record.body) for record in log.read(0, 10)] == [ConsentChanged, ConsentChanged]
