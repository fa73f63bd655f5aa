"""The ports WebhookRecords and LookupRecords."""

from mailwright.core.instants import Instant
from mailwright.core.outside import LookupAnswer, WebhookTally
from mailwright.stores.records_sql import SqlRecords


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
