"""The Records ports of sources: keys, counts, quarantine."""

import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path[:0] = [str(Path(__file__).parent.parent / "servers")]

from postgres import postgres  # noqa: E402, F401

from mailwright.core.errors import Conflict, Transient  # noqa: E402
from mailwright.core.instants import DAY, HOUR, MINUTE, Instant  # noqa: E402
from mailwright.core.sources import (  # noqa: E402
    Note,
    NotTaken,
    Quarantined,
    QuarantineFilter,
    Reason,
    Tally,
    ViolationCount,
    WriteKey,
    summed,
)
from mailwright.stores.records_sql import SqlRecords  # noqa: E402

KEY = WriteKey(digest="ab" * 32, name="shop", kind="server", created_at=Instant(5))
COUNT = ViolationCount(
    day=7,
    source="shop",
    event="Paid",
    field="properties.total",
    kind="type",
    n=2,
    policy="block",
    reason="it is no number",
    example='"x"',
    last_at=Instant(9),
)
ITEM = Quarantined(
    message_id="m1",
    source="shop",
    source_kind="server",
    event="Paid",
    received_at=Instant(100),
    reasons=[Reason(field="properties.total", kind="type", reason="it is no number")],
    body="sealed",
)


def test_a_key_is_found_until_it_is_revoked_and_known_after(records):
    assert records.sources.key(KEY.digest) is None
    records.sources.add_key(KEY)
    other = replace(KEY, digest="cd" * 32, client="client_1", public_key="pem", created_at=Instant(1))
    records.sources.add_key(other)
    with pytest.raises(Conflict):
        records.sources.add_key(KEY)
    assert records.sources.key(KEY.digest) == KEY
    assert records.sources.client("client_1") == other
    assert records.sources.client("") is None
    assert records.sources.all_keys() == [other, KEY]
    records.sources.revoke_key(KEY.digest, Instant(8))
    records.sources.revoke_key(KEY.digest, Instant(9))
    assert records.sources.key(KEY.digest) == replace(KEY, revoked_at=Instant(8))


def test_an_assertion_is_used_once_until_it_ends(records, monkeypatch):
    use = records.sources.use_assertion
    assert [use("a", Instant(9), Instant(1)), use("a", Instant(9), Instant(9)), use("b", Instant(20), Instant(9))] == [
        True,
        False,
        True,
    ]
    assert use("a", Instant(30), Instant(10)), "it is forgotten when it is good no more"
    monkeypatch.setattr("mailwright.stores.records.sources._MOST_ASSERTIONS", 2)
    with pytest.raises(Transient, match="too many assertions"):
        use("c", Instant(30), Instant(10))
    assert use("c", Instant(40), Instant(31))


def test_two_processes_use_one_assertion_once(postgres):  # noqa: F811
    url = postgres.database()
    with SqlRecords.open(url) as records, ThreadPoolExecutor(1) as threads:
        engine = sa.create_engine(url)
        with engine.begin() as other:  # has not committed, so that nobody sees its row
            other.execute(sa.text("INSERT INTO assertion_used (digest, until) VALUES ('a', 9)"))
            used = threads.submit(records.sources.use_assertion, "a", Instant(9), Instant(1))
            with engine.connect() as watching:
                waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                while not used.done() and not watching.execute(waiting).scalar_one():
                    time.sleep(0.02)
        engine.dispose()
        assert used.result(60) is False
        assert records.sources.use_assertion("b", Instant(9), Instant(1)) is True


def test_counts_add_up(records):
    sources, now = records.sources, Instant(120 * MINUTE + 5)
    sources.count([Tally(source="shop", minute=60, accepted=2)], [COUNT], [])
    sources.count([Tally(source="shop", minute=61, accepted=1, refused=3, held=4)], [replace(COUNT, n=5)], [])
    sources.count([Tally(source="shop", minute=120, accepted=1), Tally(source="site", minute=119, held=1)], [], [])
    shop, site = sources.seen(now)
    assert (shop.source, shop.first_at, shop.last_at) == ("shop", 60 * MINUTE, 120 * MINUTE)
    assert (shop.accepted, shop.refused, shop.held) == (4, 3, 4)
    assert (shop.in_minute, shop.in_hour) == (1, 9)  # minute 60 is an hour ago, 61 is not
    assert (site.in_minute, site.in_hour) == (1, 1)
    assert sources.seen(Instant(now + HOUR))[0].in_hour == 0
    assert sources.violations(7) == [replace(COUNT, n=7)]
    assert sources.violations(8) == []


def test_of_a_violation_the_newest_reason_is_kept(records):
    newer = replace(COUNT, n=1, policy="drop", example="", last_at=Instant(DAY))
    records.sources.count([], [COUNT], [])
    records.sources.count([], [newer], [])
    assert records.sources.violations(0) == [replace(newer, n=3)]


def test_counts_by_day_and_kind_add_up_and_go_back_when_held_events_are_let_in(records):
    sources, a_day = records.sources, 24 * 60
    sources.count(
        [
            Tally(source="shop", minute=60, accepted=2, refused=1, held=3, dropped=4),
            Tally(source="shop", minute=61, accepted=1),
            Tally(source="shop", minute=61, kind="consents", accepted=5),
            Tally(source="crm", minute=a_day, kind="items", accepted=7),
        ],
        [],
        [],
    )
    sources.count([Tally(source="shop", minute=60, accepted=1, held=-1)], [], [])
    crm, consents, events = sources.days(0)
    assert (crm.day, crm.source, crm.kind, crm.accepted) == (1, "crm", "items", 7)
    assert (consents.kind, consents.received) == ("consents", 5)
    assert (events.received, events.accepted, events.refused, events.held, events.dropped) == (7, 4, 1, 2, 4)
    assert events.date == "1970-01-01"
    assert sources.days(1) == [crm]
    assert sources.days(0, "crm") == [crm]
    [shop] = [one for one in sources.seen(Instant(62 * MINUTE)) if one.source == "shop"]
    assert (shop.last_at, shop.accepted, shop.in_minute) == (61 * MINUTE, 9, 6), "what is let in later came before"
    assert [one.received for one in summed([events, replace(events, day=9), consents])] == [5, 14]


def test_counts_under_a_key_count_once(records):
    one = Tally(source="shop", minute=60, accepted=2)
    for told in ("a", "a", "b", "b"):
        records.sources.count([one], [COUNT], [], once=("import.x", told))
    assert [day.accepted for day in records.sources.days(0)] == [4]
    assert records.sources.violations(0)[0].n == 2 * COUNT.n


def test_old_counts_are_forgotten(records):
    records.sources.count([Tally(source="shop", minute=60, accepted=2)], [COUNT], [])
    records.sources.forget(60, 7, 0)
    assert records.sources.seen(Instant(61 * MINUTE))[0].in_hour == 2
    assert len(records.sources.days(0)) == 1
    records.sources.forget(61, 8, 1)
    assert records.sources.days(0) == []
    assert records.sources.violations(0) == []
    (seen,) = records.sources.seen(Instant(61 * MINUTE))
    assert (seen.in_hour, seen.accepted) == (0, 2)


def test_the_newest_of_what_was_not_taken_are_kept(records):
    one = NotTaken(at=Instant(1), source="shop", event="Paid", outcome="refused", field="event", reason="missing")
    records.sources.count([], [], [replace(one, at=Instant(n)) for n in range(600)])
    found = records.sources.not_taken(1000)
    assert [each.at for each in found] == list(range(599, 99, -1))
    assert records.sources.not_taken(1) == [replace(one, at=Instant(599))]


def test_who_did_what_is_kept(records):
    first = Note(at=Instant(1), who="owner", action="revoke", detail="shop")
    records.sources.note(first)
    records.sources.note(replace(first, at=Instant(2)))
    assert records.sources.notes(9) == [replace(first, at=Instant(2)), first]


def test_an_item_is_held_once(records):
    held = records.quarantine
    assert held.hold([ITEM, ITEM], 10) == 1
    assert held.hold([replace(ITEM, body="other"), replace(ITEM, source="site")], 10) == 1
    assert held.count() == 2
    newest, oldest = held.find(QuarantineFilter(), 10)
    assert (oldest, newest.source) == (replace(ITEM, id=oldest.id), "site")
    assert held.get(oldest.id) == oldest
    assert held.get(newest.id + 1) is None


def test_no_more_are_held_than_were_agreed(records):
    records.quarantine.hold([ITEM], 1)
    with pytest.raises(Transient, match="held for mending already"):
        records.quarantine.hold([replace(ITEM, message_id="m2")], 1)
    assert (records.quarantine.hold([ITEM], 1), records.quarantine.count()) == (0, 1)


def test_one_source_takes_not_the_room_of_another(records):
    held = records.quarantine
    assert held.hold([ITEM, replace(ITEM, message_id="m2")], 10, 2) == 2
    with pytest.raises(Transient, match="2 items of shop are held for mending already"):
        held.hold([replace(ITEM, message_id="m3")], 10, 2)
    assert (held.hold([replace(ITEM, source="site")], 10, 2), held.count()) == (1, 3)


def test_however_many_sources_are_full_another_finds_room(records):
    held = records.quarantine
    for source in ("form:a", "form:b", "form:c"):
        for n in range(100):
            with contextlib.suppress(Transient):
                held.hold([replace(ITEM, source=source, message_id=str(n))], 100)
    assert held.count() < 90
    assert held.hold([replace(ITEM, source="shop", message_id=str(n)) for n in range(5)], 100) == 5


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["m3", "m2", "m1"]),
        ({"source": "shop"}, ["m2", "m1"]),
        ({"event": "Seen"}, ["m2"]),
        ({"field": "properties.total"}, ["m3", "m1"]),
        ({"field": "properties.total", "kind": "required"}, []),
        ({"kind": "required"}, ["m2"]),
        ({"before": 3}, ["m2", "m1"]),
    ],
)
def test_items_are_found_by_what_they_are(records, wanted, found):
    other = [Reason(field="properties.a", kind="required", reason="missing")]
    items = [
        ITEM,
        replace(ITEM, message_id="m2", event="Seen", reasons=other),
        replace(ITEM, message_id="m3", source="site"),
    ]
    for item in items:
        records.quarantine.hold([item], 10)
    assert [each.message_id for each in records.quarantine.find(QuarantineFilter(**wanted), 10)] == found
    assert [each.message_id for each in records.quarantine.find(QuarantineFilter(**wanted), 1)] == found[:1]


def test_items_are_mended_and_let_go(records):
    held = records.quarantine
    held.hold([ITEM, replace(ITEM, message_id="m2", received_at=Instant(200))], 10)
    second, first = held.find(QuarantineFilter(), 10)
    why = [Reason(field="event", kind="event", reason="unknown")]
    held.explain(first.id, why, "new")
    assert held.get(first.id) == replace(first, reasons=why, body="new")
    assert held.forget(Instant(200)) == 1
    assert held.remove({each.id: LET_IN for each in (first, second)}) == 1
    assert held.count() == 0


LET_IN = Tally(source="shop", minute=60, accepted=1, held=-1)


def counted(records):
    return [(day.source, day.accepted, day.refused, day.held) for day in records.sources.days(0)]


def test_an_item_that_goes_is_counted_once_with_its_going(records):
    held, out = records.quarantine, replace(LET_IN, accepted=0, refused=1)
    held.hold([replace(ITEM, message_id=str(n)) for n in range(4)], 10)
    numbers = sorted(item.id for item in held.find(QuarantineFilter(), 9))
    assert held.remove({numbers[0]: LET_IN, numbers[1]: out}) == 2
    assert held.remove({numbers[2]: LET_IN}) == 1
    for number in numbers[:3]:  # one after the other, and none of them the newest
        assert held.remove({number: LET_IN}) == 0
    assert held.remove({numbers[0]: out, numbers[3]: out}) == 1
    assert counted(records) == [("shop", 2, 2, -4)]
    assert held.remove({}) == held.count() == 0


def test_the_number_of_an_item_that_is_gone_never_comes_again(records):
    held = records.quarantine
    gone = []
    for n, let_go in enumerate((lambda number: held.remove({number: LET_IN}), lambda _: held.forget(Instant(999)))):
        held.hold([replace(ITEM, message_id=str(n), received_at=Instant(1))], 10)
        (item,) = held.find(QuarantineFilter(), 9)
        let_go(item.id)
        gone.append(item.id)
    held.hold([replace(ITEM, message_id="new")], 10)
    (item,) = held.find(QuarantineFilter(), 9)
    assert gone[0] < gone[1] < item.id
    assert held.remove(dict.fromkeys(gone, LET_IN)) == 0
    held.explain(gone[1], [], "another's")
    assert held.get(item.id) == item


def test_an_item_stays_if_it_cannot_be_counted(records, monkeypatch):
    held = records.quarantine
    held.hold([ITEM], 10)
    (item,) = held.find(QuarantineFilter(), 9)
    with monkeypatch.context() as patched:
        patched.setattr("mailwright.stores.records.quarantine.add_tallies", _failing)
        with pytest.raises(OSError, match="no"):
            held.remove({item.id: LET_IN})
    assert (held.count(), counted(records)) == (1, [])
    assert held.remove({item.id: LET_IN}) == 1


def _failing(*_):
    raise OSError("no")
