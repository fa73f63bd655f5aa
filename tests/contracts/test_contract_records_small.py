"""The small Records ports: consents, outbox, models, users, definitions, meta."""

from dataclasses import replace

import pytest
from records_cases import queue, request

from mailwright.core.errors import Conflict
from mailwright.core.events import AddressSuppressed, ConsentChanged, Defined
from mailwright.core.instants import Instant
from mailwright.core.ports import Consent, DefinitionVersion, ModelVersion
from mailwright.stores.records_sql import SqlRecords

YES = Consent(address_hash="a", purpose="marketing", granted=True, at=Instant(10), source="form", wording="I agree")
NO = replace(YES, granted=False, at=Instant(20), source="one-click", wording="")


@pytest.mark.parametrize(
    ("rows", "granted"),
    [
        ([], False),
        ([YES], True),
        ([YES, NO], False),
        ([NO, YES], False),
        ([YES, NO, replace(YES, at=Instant(30))], True),
        ([YES, replace(NO, at=Instant(10))], False),
        ([replace(NO, at=Instant(10)), YES], True),
        ([replace(YES, purpose="surveys")], False),
        ([replace(YES, address_hash="b")], False),
    ],
)
def test_the_newest_row_per_purpose_counts(records, rows, granted):
    for row in rows:
        records.consents.record([row])
    assert records.consents.granted(["a", "nobody"], "marketing") == ({"a"} if granted else set())


def test_a_consent_is_told_to_the_log(records):
    records.consents.record([YES, NO])
    assert [body for _, body in records.outbox.pending(10)] == [
        ConsentChanged("a", "marketing", True, "form", "I agree", YES.at),
        ConsentChanged("a", "marketing", False, "one-click", "", NO.at),
    ]
    records.consents.record([])
    assert records.outbox.pending_count() == 2


def test_the_ledger_is_whole_and_oldest_first(records):
    records.consents.record([NO, replace(YES, address_hash="b"), YES])
    assert records.consents.ledger("a") == [YES, NO]
    assert records.consents.ledger("nobody") == []


def test_many_addresses_may_be_asked_at_once(records):
    records.consents.record([replace(YES, address_hash=str(n)) for n in range(0, 12_000, 4_000)])
    everybody = [str(n) for n in range(12_000)]
    assert records.consents.granted(everybody, "marketing") == {"0", "4000", "8000"}
    assert records.consents.granted([], "marketing") == set()


def test_a_suppression_keeps_its_first_reason(records):
    records.consents.suppress({"a": "bounce"}, Instant(1))
    records.consents.suppress({"a": "complaint"}, Instant(2))
    assert records.consents.suppressed(["a", "b"]) == {"a": "bounce"}
    assert records.consents.suppressed([]) == {}
    records.consents.suppress({}, Instant(3))
    assert [body for _, body in records.outbox.pending(10)] == [
        AddressSuppressed("a", "bounce", Instant(1)),
        AddressSuppressed("a", "complaint", Instant(2)),
    ]


def test_the_outbox_is_oldest_first_and_forgets_what_is_done(records):
    records.consents.record([replace(YES, source=str(n)) for n in range(5)])
    rows = records.outbox.pending(3)
    assert [body.source for _, body in rows] == ["0", "1", "2"]
    records.outbox.done([row for row, _ in rows])
    records.outbox.done([])
    assert [body.source for _, body in records.outbox.pending(10)] == ["3", "4"]
    assert records.outbox.pending_count() == 2


def test_an_outbox_id_is_never_used_again(records):
    records.consents.record([YES])
    ((first, _),) = records.outbox.pending(1)
    records.outbox.done([first])
    records.consents.record([NO])
    records.outbox.done([first])
    assert records.outbox.pending_count() == 1


MODEL = ModelVersion(
    name="offers",
    version=1,
    created_at=Instant(5),
    kind="ease",
    parameters={"l2": 100.0, "items": ["1"]},
    metrics={"ease": {"ndcg@10": 0.21}, "popularity": {"ndcg@10": 0.1}},
    passed=True,
    gate="beats popularity",
    blob=None,
    data_hash="d",
    code_version="0.1",
)


def test_model_versions_count_from_one(records):
    assert records.models.newest("offers") is None
    for version in (MODEL, replace(MODEL, version=2, passed=False, blob="b"), replace(MODEL, name="churn")):
        records.models.register(version)
    assert records.models.newest("offers") == replace(MODEL, version=2, passed=False, blob="b")
    assert [(one.name, one.version) for one in records.models.all()] == [("churn", 1), ("offers", 1), ("offers", 2)]
    for taken in (MODEL, replace(MODEL, version=2), replace(MODEL, version=4)):
        with pytest.raises(Conflict):
            records.models.register(taken)


def test_a_login_link_works_once_and_in_time(records):
    records.users.add_login_link("h", "ann", Instant(100))
    records.users.add_login_link("other", "bob", Instant(100))
    assert records.users.use_login_link("h", Instant(100)) is None
    assert records.users.use_login_link("h", Instant(99)) == "ann"
    assert records.users.use_login_link("h", Instant(99)) is None
    assert records.users.use_login_link("nobody", Instant(1)) is None
    assert records.users.use_login_link("other", Instant(1)) == "bob"


def test_a_session_lives_until_it_ends(records):
    records.users.open_session("h", "ann", Instant(100))
    assert records.users.session_user("h", Instant(99)) == "ann"
    assert records.users.session_user("h", Instant(100)) is None
    assert records.users.session_user("nobody", Instant(1)) is None
    records.users.close_session("h")
    records.users.close_session("h")
    assert records.users.session_user("h", Instant(99)) is None


VERSION = DefinitionVersion(version=1, applied_at=Instant(5), digest="d", files={"segments.yaml": "vip: ü\n"})


def test_definitions_are_stored_in_order_and_told_to_the_log(records):
    assert records.definitions.current() is None
    records.definitions.store(VERSION)
    second = replace(VERSION, version=2, files={})
    records.definitions.store(second)
    assert records.definitions.current() == second
    assert records.definitions.versions() == [VERSION, second]
    assert [body for _, body in records.outbox.pending(9)] == [
        Defined(1, {"segments.yaml": "vip: ü\n"}),
        Defined(2, {}),
    ]


@pytest.mark.parametrize("taken", [1, 3, 0])
def test_a_definition_version_must_be_the_next(records, taken):
    records.definitions.store(VERSION)
    with pytest.raises(Conflict, match="2 is next"):
        records.definitions.store(replace(VERSION, version=taken))
    assert records.outbox.pending_count() == 1


def test_meta_keeps_the_last_value(records):
    assert records.meta.get("demo.stage") is None
    records.meta.put("demo.stage", "imported")
    records.meta.put("demo.stage", "trained")
    assert records.meta.get("demo.stage") == "trained"


def test_what_is_written_is_there_for_the_next_process(records, records_url):
    queue(records, request("k"))
    records.meta.put("a", "b")
    records.close()
    with SqlRecords.open(records_url) as again:
        assert again.meta.get("a") == "b"
        assert again.messages.open_count() == 1
        assert again.engine.applied() == 4096
