"""The ports WebhookRecords and LookupRecords."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

sys.path[:0] = [str(Path(__file__).parent.parent / "servers")]

from postgres import postgres  # noqa: E402, F401

from mailwright.core.instants import Instant  # noqa: E402
from mailwright.core.outside import LookupAnswer, WebhookTally  # noqa: E402
from mailwright.stores.records_sql import SqlRecords  # noqa: E402


def tally(at: int, **counts: int) -> WebhookTally:
    return WebhookTally(received=1, last_at=Instant(at), **counts)


def test_a_delivery_is_known_by_any_of_its_keys(records):
    hooks = records.webhooks
    assert not hooks.seen("a", ["1", "2"])
    hooks.delivered("a", ["1", "2"], tally(10))
    assert hooks.seen("a", ["2", "3"])
    assert not hooks.seen("a", ["3"])
    assert not hooks.seen("b", ["1"])
    assert not hooks.seen("a", [])
    hooks.delivered("a", ["2", "3"], tally(20))
    assert hooks.seen("a", ["3"])


def test_a_key_is_bound_to_one_body_until_it_is_forgotten(records):
    bind = records.webhooks.bind
    assert bind("a", "k", "body", Instant(10))
    assert not bind("a", "k", "other", Instant(11))
    assert bind("a", "k", "body", Instant(12)), "it may be sent again after a failure"
    assert bind("b", "k", "other", Instant(10))
    assert not records.webhooks.seen("a", ["body", "other"])
    assert records.webhooks.forget(Instant(11)) == 4
    assert bind("a", "k", "other", Instant(20))


def test_of_many_who_bind_a_key_at_once_one_does(records_url):
    with SqlRecords.open(records_url) as one, SqlRecords.open(records_url) as other, ThreadPoolExecutor(8) as threads:
        for key in map(str, range(20)):
            doors = [one, other, one, other, one, other]
            tried = [
                threads.submit(door.webhooks.bind, "a", key, str(body), Instant(1)) for body, door in enumerate(doors)
            ]
            assert sum(each.result() for each in tried) == 1


def test_two_processes_bind_a_key_to_one_body(postgres):  # noqa: F811
    url = postgres.database()
    insert = sa.text("INSERT INTO webhook_delivery (webhook, key, at) VALUES ('a', 'k', 1), ('a', 'k first', 1)")
    with SqlRecords.open(url) as records, ThreadPoolExecutor(1) as threads:
        engine = sa.create_engine(url)
        with engine.begin() as other:  # has not committed, so that nobody sees its rows
            other.execute(insert)
            bound = threads.submit(records.webhooks.bind, "a", "k", "second", Instant(2))
            with engine.connect() as watching:
                waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                while not bound.done() and not watching.execute(waiting).scalar_one():
                    time.sleep(0.02)
        engine.dispose()
        assert bound.result(30) is False
        assert records.webhooks.bind("a", "k", "first", Instant(3)) is True


def test_old_deliveries_are_forgotten_and_tallies_stay(records):
    hooks = records.webhooks
    hooks.delivered("a", ["1"], tally(10))
    hooks.delivered("a", ["2"], tally(20))
    assert hooks.forget(Instant(20)) == 1
    assert (hooks.seen("a", ["1"]), hooks.seen("a", ["2"])) == (False, True)
    assert hooks.tallies()["a"].received == 2


def test_tallies_add_up_and_keep_the_newest_fault(records):
    hooks = records.webhooks
    assert hooks.tallies() == {}
    hooks.delivered("a", [], tally(10, accepted=2, refused=1))
    hooks.delivered("a", [], WebhookTally(received=1, ignored=1, last_at=Instant(20), last_fault="events.0: userId"))
    hooks.delivered("a", [], tally(30, replayed=1))
    hooks.delivered("b", [], tally(5))
    found = hooks.tallies()
    assert found["a"] == WebhookTally(
        received=3, accepted=2, refused=1, ignored=1, replayed=1, last_at=Instant(30), last_fault="events.0: userId"
    )
    assert found["b"].received == 1


def test_answers_of_lookups(records):
    lookups = records.lookups
    rain = LookupAnswer(at=Instant(10), found=True, values={"condition": "rain", "warm": [1, None]}, digest="d")
    none = LookupAnswer(at=Instant(20), found=False)
    assert lookups.answers("w", ["k"]) == {}
    lookups.keep("w", {"k": rain, "l": none})
    lookups.keep("w", {})
    assert lookups.answers("w", ["k", "l", "m", "k"]) == {"k": rain, "l": none}
    assert lookups.answers("x", ["k"]) == {}
    newer = LookupAnswer(at=Instant(30), found=False)
    lookups.keep("w", {"k": newer})
    assert lookups.answers("w", ["k"]) == {"k": newer}
    assert (lookups.count("w"), lookups.count("x")) == ((2, 0, 30), (0, 0, None))
    assert lookups.forget("w", Instant(30)) == 1
    assert set(lookups.answers("w", ["k", "l"])) == {"k"}


def test_many_keys_at_once(records):
    keys = [str(n) for n in range(2_000)]
    records.lookups.keep("w", {key: LookupAnswer(at=Instant(1), found=True) for key in keys})
    assert len(records.lookups.answers("w", keys)) == 2_000


def test_everything_outlives_the_process(records_url):
    with SqlRecords.open(records_url) as records:
        records.webhooks.delivered("a", ["1"], tally(1))
        records.lookups.keep("w", {"k": LookupAnswer(at=Instant(1), found=True)})
    with SqlRecords.open(records_url) as records:
        assert records.webhooks.seen("a", ["1"])
        assert records.lookups.count("w") == (1, 1, 1)
