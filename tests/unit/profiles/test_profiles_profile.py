"""Profiles: the last write by stamp counts, whatever the order of arrival, and a merge is exact."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.core.presence import OF_MAILS
from mailwright.profiles.profile import ProfileStore

ONE, TWO = Person(0), Person(3)


def event(stamp, traits=None, *, kind="identify", source="shop", name="", **told):
    at = Instant(stamp)
    return Event(
        message_id="m",
        source=source,
        type=kind,
        name=name,
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("user_id", "1")],
        traits=traits or {},
        **told,
    )


def values_of(store, person):
    return {name: known.value for name, known in store.view(person).traits.items()}


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([(1, {"a": 1}), (2, {"a": 2})], {"a": 2}),
        ([(2, {"a": 2}), (1, {"a": 1, "b": 1})], {"a": 2, "b": 1}),
        ([(1, {"a": 1}), (1, {"a": 2})], {"a": 2}),
        ([(1, {"a": 1}), (2, {"a": None})], {}),
        ([(2, {"a": None}), (1, {"a": 1})], {}),
        ([(2, {"a": None}), (3, {"a": 0})], {"a": 0}),
        ([(1, {"a": {"x": 1, "y": None}}), (2, {"a": {"y": 2}})], {"a": {"y": 2}}),
    ],
)
def test_the_last_write_by_stamp_and_offset_counts(writes, expected):
    store = ProfileStore()
    for offset, (stamp, traits) in enumerate(writes):
        store.apply(ONE, event(stamp, traits), Offset(offset))
    assert values_of(store, ONE) == expected


def test_a_view_tells_source_and_times():
    store = ProfileStore()
    store.apply(ONE, event(7, {"plan": "pro"}, source="crm"), Offset(1))
    store.apply(ONE, event(-3, kind="track"), Offset(2))
    store.apply(ONE, event(5, {"name": "Acme"}, kind="group"), Offset(3))
    view = store.view(ONE)
    assert view.traits == {"plan": Known(value="pro", at=Instant(7), source="crm")}
    assert (view.first_seen_at, view.last_seen_at, view.n_events) == (-3, -3, 3)


SILENT = [
    {"source": "lookup:weather"},
    {"source": "correction"},
    {"source": "audit"},
    {"source": "import:crm"},
    {},
    {"source": "crm"},
    {"source": "form:welcome"},
    *({"kind": kind, "source": source} for kind in ("group", "alias") for source in ("import:crm", "crm")),
    *({"kind": "track", "name": name} for name in sorted(OF_MAILS)),
    {"kind": "track", "name": "Email Opened", "properties": {"machine": True}},
    {"kind": "track", "name": "Email Link Clicked", "properties": {"machine": True}},
]
LIVELY = [
    {"source": "form:welcome", "kind": "track", "name": "Form Submitted"},
    {"kind": "screen", "name": "Home"},
    {"source": "import:orders", "kind": "track", "name": "Order Completed"},
    {"source": "mailwright", "kind": "track", "name": "Email Opened"},
    {"source": "mailgun", "kind": "track", "name": "Email Link Clicked", "properties": {"machine": False}},
    {"kind": "track", "name": "Unsubscribed"},
    {"kind": "page", "name": "Email Sent"},
]


@pytest.mark.parametrize("told", SILENT)
def test_what_others_tell_and_mails_sent_make_nobody_seen(told):
    store = ProfileStore()
    store.apply(ONE, event(9, **told), Offset(1))
    assert store.view(ONE).last_seen_at == 9, "of whom nothing else is known, the first event counts"
    store.apply(ONE, event(5, **told), Offset(2))
    assert store.view(ONE).last_seen_at == 5
    store.apply(ONE, event(7, kind="page"), Offset(3))
    store.apply(TWO, event(20, **told), Offset(4))
    assert store.view(ONE).last_seen_at == 7
    store.merge(TWO, ONE)
    assert store.view(TWO).last_seen_at == 7
    assert (store.view(TWO).n_events, store.view(TWO).first_seen_at) == (4, 5)


@pytest.mark.parametrize("told", LIVELY)
def test_what_somebody_does_makes_them_seen(told):
    store = ProfileStore()
    store.apply(ONE, event(1), Offset(1))
    store.apply(ONE, event(9, **told), Offset(2))
    assert store.view(ONE).last_seen_at == 9


def test_a_person_without_events_is_empty():
    store = ProfileStore()
    store.apply(TWO, event(7), Offset(1))
    for person in (ONE, Person(99)):
        view = store.view(person)
        assert (dict(view.traits), view.first_seen_at, view.last_seen_at, view.n_events) == ({}, 0, 0, 0)


traits = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3), max_size=3)
writes = st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(-3, 3), traits), max_size=15)


@settings(max_examples=100, deadline=None)
@given(writes=writes, order=st.randoms(use_true_random=False), reload=st.booleans())
def test_a_merge_is_as_if_all_had_been_one_person_in_any_order(writes, order, reload):
    apart, together = ProfileStore(), ProfileStore()
    numbered = list(enumerate(writes))
    for offset, (_, stamp, told) in numbered:
        together.apply(TWO, event(stamp, told), Offset(offset))
    order.shuffle(numbered)
    for offset, (person, stamp, told) in numbered:
        apart.apply(person, event(stamp, told), Offset(offset))
    if reload:
        apart = ProfileStore.load(apart.dump())
    apart.merge(TWO, ONE)
    assert apart.view(TWO) == together.view(TWO)
    assert apart.view(ONE).n_events == 0
    assert ProfileStore.load(apart.dump()).view(TWO) == together.view(TWO)


@settings(max_examples=100, deadline=None)
@given(writes=writes, cut=st.integers(0, 15))
def test_a_batch_is_its_events_one_by_one_and_a_frozen_store_stays_as_it_was(writes, cut):
    single, batch = ProfileStore(), ProfileStore()
    applied = [(person, event(stamp, told), Offset(offset)) for offset, (person, stamp, told) in enumerate(writes)]
    for each in applied:
        single.apply(*each)
    batch.apply_all(applied[:cut])
    frozen, before = batch.freeze(), batch.dump()
    batch.apply_all(applied[cut:])
    assert batch.dump() == single.dump()
    assert frozen() == before


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x95\x02\x90\x90\x90\x80"])
def test_torn_bytes_are_refused(data):
    with pytest.raises(Corrupt):
        ProfileStore.load(data)
