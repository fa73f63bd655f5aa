"""Every write of a trait is kept up to a bound, whatever the order of arrival, and merges and forgetting are exact."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.profiles.profile import ProfileStore
from mailwright.profiles.writes import MOST_KEPT, TraitBook, effective

ONE, TWO = Person(0), Person(3)


def event(stamp, traits=None, *, source="shop", kind="identify"):
    at = Instant(stamp)
    return Event(
        message_id="m",
        source=source,
        type=kind,
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("user_id", "1")],
        traits=traits or {},
    )


def box(text, spelling=0):
    return {"sealed": f"box {spelling} of {text}", "hash": text}


def kept_by_hand(writes):
    """Of (stamp, offset, value, source): the newest 19 and the oldest that is no removal."""
    ordered = sorted(writes, key=lambda write: write[:2], reverse=True)
    rest = [write for write in ordered[MOST_KEPT - 1 :] if write[2] is not None]
    return ordered[: MOST_KEPT - 1] + rest[-1:]


def of_one_spelling(writes):
    """Sealed values of one text all in the box of the newest of them."""
    boxes = {}
    for _, _, value, _ in writes:
        if isinstance(value, dict):
            boxes.setdefault(value["hash"], value)
    return [(a, b, boxes[v["hash"]] if isinstance(v, dict) else v, s) for a, b, v, s in writes]


values = st.sampled_from([None, 1, "a", "b", [1, 2], ["x"], True, 1.5]) | st.builds(
    box, st.sampled_from("pq"), st.integers(0, 9)
)
steady = st.sampled_from(["a", "a", "a", "a", None])
writes = st.lists(
    st.tuples(st.sampled_from([ONE, TWO]), st.integers(-3, 30), values, st.sampled_from(["crm", "web"])), max_size=60
) | st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(-3, 30), steady, st.just("crm")), max_size=60)


@settings(max_examples=150, deadline=None)
@given(writes=writes, order=st.randoms(use_true_random=False), reload=st.booleans(), twice=st.integers(0, 10))
def test_what_is_kept_is_a_function_of_the_set_of_writes(writes, order, reload, twice):
    told = [(stamp, offset, value, source) for offset, (_, stamp, value, source) in enumerate(writes)]
    arriving = [(person, *write) for (person, *_), write in zip(writes, told, strict=True)]
    order.shuffle(arriving)
    book = TraitBook()
    for person, stamp, offset, value, source in [*arriving, *arriving[:twice]]:
        book.told(person, stamp, offset, {"t": value}, source)
    if reload:
        book = TraitBook.of(*book.chunks())
    book.merge(TWO, ONE)
    assert book.writes(ONE, "t") == []
    assert book.writes(TWO, "t") == of_one_spelling(kept_by_hand(told))
    again = TraitBook.of(*book.chunks())
    assert again.writes(TWO, "t") == book.writes(TWO, "t")
    if told:
        oldest = min((write for write in told if write[2] is not None), default=None, key=lambda write: write[:2])
        newest = max(told, key=lambda write: write[:2])
        found = effective(book.writes(TWO, "t"), "oldest")
        assert (found and found[:2]) == (oldest[:2] if oldest and newest[2] is not None else None)


@pytest.mark.parametrize(
    ("lists", "united"),
    [
        ([["a"], ["b", "a"], ["c"]], ["a", "b", "c"]),
        ([["a"], None, ["b"], "c"], ["b", "c"]),
        ([["a"], None], None),
        ([[1], [True], [1.0]], [1, True, 1.0]),
    ],
)
def test_lists_are_united_since_the_last_removal(lists, united):
    store = ProfileStore()
    store.declare(frozenset(), {"tags": "union"})
    for place, value in enumerate(lists):
        store.apply(ONE, event(place, {"tags": value}), Offset(place))
    found = store.view(ONE).traits.get("tags")
    assert (found and json.dumps(found.value)) == (united and json.dumps(united))


def test_history_tells_source_and_time_of_each_write_and_of_each_source_when_it_was_last_seen():
    store = ProfileStore()
    store.apply(ONE, event(5, {"plan": "pro"}, source="crm"), Offset(1))
    store.apply(ONE, event(9, {"plan": None}, source="web"), Offset(2))
    store.apply(ONE, event(3, {"plan": "free"}, source="web"), Offset(3))
    store.apply(TWO, event(99, kind="track", source="app"), Offset(4))
    store.merge(TWO, ONE)
    assert store.history(TWO) == {
        "plan": [
            Known(value=None, at=Instant(9), source="web"),
            Known(value="pro", at=Instant(5), source="crm"),
            Known(value="free", at=Instant(3), source="web"),
        ]
    }
    assert store.view(TWO).sources == {"app": 99, "crm": 5, "web": 9}
    assert (store.history(ONE), store.view(ONE).sources) == ({}, {})
    assert ProfileStore.load(store.dump()).view(TWO) == store.view(TWO)


told = st.dictionaries(
    st.sampled_from(["no", "tags", "mail"]),
    st.none()
    | st.sampled_from([1, 1.0, "1", True, ["x", "y"], [["x"]], {"a": 1}])
    | st.builds(box, st.sampled_from("pq")),
    max_size=2,
)
steps = st.lists(
    st.tuples(st.just("tell"), st.integers(0, 4), st.integers(0, 5), told)
    | st.tuples(st.just("merge"), st.integers(0, 4), st.integers(0, 4), st.just({}))
    | st.tuples(st.just("forget"), st.integers(0, 4), st.just(0), st.just({}))
    | st.tuples(st.just("adopt"), st.integers(0, 4), st.integers(0, 5), told),
    max_size=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(steps=steps, merge=st.sampled_from(["newest", "oldest", "union"]))
def test_the_index_is_what_a_walk_over_all_profiles_would_find(steps, merge):
    store, indexed = ProfileStore(), frozenset({"no", "tags", "mail"})
    merges = {} if merge == "newest" else {"tags": merge}
    store.declare(indexed, merges)
    for offset, (what, a, b, traits) in enumerate(steps):
        match what:
            case "tell":
                store.apply(Person(a), event(b, traits), Offset(offset))
            case "merge" if a != b:
                store.merge(Person(a), Person(b))
            case "forget":
                store.forget([a])
            case "adopt":
                store.forget([a])
                other = ProfileStore()
                other.apply(Person(0), event(b, traits), Offset(offset))
                store.adopt(other, [Person(a)])
    fresh = ProfileStore.load(store.dump())
    fresh.declare(indexed, merges)
    for name in indexed:
        for value in [1, "1", True, "x", "y", {"hash": "p"}, {"hash": "q"}, None, {"a": 1}]:
            found = [person for person in map(Person, range(5)) if _has(store.view(person).traits.get(name), value)]
            assert store.having(name, value) == fresh.having(name, value) == found


def _has(known, value):
    if known is None or value is None or value == {"a": 1}:
        return False
    of = known.value if isinstance(known.value, list) else [known.value]
    if isinstance(value, dict):
        return any(isinstance(each, dict) and each.get("hash") == value["hash"] for each in of)
    return any(
        json.dumps(each) == json.dumps(value) or (each == 1.0 and value == 1 and each is not True and value is not True)
        for each in of
    )


def test_a_trait_without_index_cannot_be_asked():
    with pytest.raises(KeyError):
        ProfileStore().having("no", 1)


def test_to_forget_people_and_to_apply_their_events_again_changes_nothing():
    store = ProfileStore()
    store.declare(frozenset({"a"}), {})
    events = [(ONE, event(place % 7, {"a": place}), Offset(place)) for place in range(30)]
    store.apply_all(events)
    before = store.view(ONE), store.history(ONE), store.having("a", 27)
    store.forget([ONE])
    assert store.view(ONE).traits == {}
    store.apply_all(events)
    assert (store.view(ONE), store.history(ONE), store.having("a", 27)) == before
