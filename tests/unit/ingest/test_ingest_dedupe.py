"""The dedupe index is a set of pairs, however large and however cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
from mailwright.core.instants import DAY, Instant
from mailwright.ingest import dedupe
from mailwright.ingest.dedupe import DedupeIndex

pairs = st.tuples(st.sampled_from(["", "shop", "web", "a", "ab"]), st.text(max_size=2))


@settings(max_examples=100, deadline=None)
@given(batches=st.lists(st.lists(pairs, max_size=30), max_size=10), reload=st.booleans())
def test_it_answers_as_a_set_would(batches, reload):
    index, seen = DedupeIndex(), set()
    old, dedupe._RECENT_MAX = dedupe._RECENT_MAX, 3  # many small runs
    try:
        for batch in batches:
            expected = []
            for pair in batch:
                expected.append(pair not in seen)
                seen.add(pair)
            assert index.fresh(batch) == expected
            assert len(index) == len(seen)
            if reload:
                index = DedupeIndex.load(index.dump())
    finally:
        dedupe._RECENT_MAX = old


def test_a_hundred_and_fifty_thousand_ids_stay_known_in_few_runs():
    index = DedupeIndex()
    for start in range(0, 150_000, 2_500):
        assert all(index.fresh([("shop", f"o{n}") for n in range(start, start + 2_500)]))
    assert len(index) == 150_000
    assert not any(index.fresh([("shop", f"o{n}") for n in range(0, 150_000, 7)]))
    assert all(index.fresh([("web", f"o{n}") for n in range(0, 150_000, 7)]))
    assert len(index._runs) <= 3


def test_ids_whose_first_halves_are_equal_are_told_apart():
    high = np.array([1, 5, 5, 5, 9], dtype=np.uint64)
    low = np.array([1, 7, 3, 5, 9], dtype=np.uint64)
    run = dedupe._Run(0, high, low)
    asked = [(5, 3), (5, 5), (5, 7), (5, 4), (0, 1), (9, 9), (9, 1), (10, 1)]
    columns = np.array(asked, dtype=np.uint64)
    assert run.has(columns[:, 0], columns[:, 1]).tolist() == [True, True, True, False, False, True, False, False]


def test_pairs_that_join_to_the_same_text_differ():
    assert DedupeIndex().fresh([("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]) == [True] * 4


def test_an_id_is_remembered_for_28_days_and_let_go_within_35():
    index = DedupeIndex()
    assert index.fresh([("shop", "a")], Instant(3 * DAY)) == [True]
    assert index.fresh([("shop", "b"), ("shop", "a")], Instant(30 * DAY)) == [True, False]
    assert index.fresh([("shop", "a")], Instant(31 * DAY)) == [False]
    assert index.fresh([("shop", "b"), ("shop", "a")], Instant(38 * DAY)) == [False, True]
    assert len(index) == 2


def test_ids_of_an_import_stay_for_ever():
    index = DedupeIndex()
    assert index.fresh([("crm", "a")], Instant(0), lasting=True) == [True]
    assert index.fresh([("crm", "b")], Instant(DAY)) == [True]
    assert index.fresh([("crm", "a"), ("crm", "b")], Instant(900 * DAY)) == [False, True]
    assert index.fresh([("crm", "a"), ("crm", "b")], Instant(901 * DAY), lasting=True) == [False, False]


calls = st.tuples(st.lists(pairs, max_size=40), st.integers(0, 3), st.booleans())


@settings(max_examples=100, deadline=None)
@given(calls=st.lists(calls, max_size=12), cut=st.integers(0, 12), few=st.sampled_from([0, 3, 16]))
def test_it_answers_and_is_kept_alike_however_it_is_cut(calls, cut, few):
    """Beside a table of id -> week; some weeks pass between two batches; one by one equals all at once."""
    index, single, seen, now = DedupeIndex(), DedupeIndex(), {}, 0
    kept = {name: getattr(dedupe, name) for name in ("_RECENT_MAX", "_FEW")}
    dedupe._RECENT_MAX, dedupe._FEW = 5, few
    try:
        for place, (batch, weeks, lasting) in enumerate(calls):
            now += weeks * 7 * DAY
            if place == cut:
                index = DedupeIndex.load(index.freeze()())
            if batch:
                seen = {pair: week for pair, week in seen.items() if week >= now // (7 * DAY) - 4}
            expected = []
            for pair in batch:
                expected.append(pair not in seen)
                seen.setdefault(pair, 1 << 40 if lasting else now // (7 * DAY))
            assert index.fresh(batch, Instant(now), lasting=lasting) == expected
            assert [single.fresh([pair], Instant(now), lasting=lasting)[0] for pair in batch] == expected
        assert len(index) == len(single)
    finally:
        for name, value in kept.items():
            setattr(dedupe, name, value)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x93\x02\x91\x92\x00\xc4\x01a\x90", b"\x93\x01\x90\x90"])
def test_torn_bytes_are_refused(data):
    with pytest.raises(Corrupt):
        DedupeIndex.load(data)
