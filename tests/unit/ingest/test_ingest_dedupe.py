"""The dedupe index is a set of pairs, however large and however cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
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
    run = dedupe._Run(high, low)
    asked = [(5, 3), (5, 5), (5, 7), (5, 4), (0, 1), (9, 9), (9, 1), (10, 1)]
    columns = np.array(asked, dtype=np.uint64)
    assert run.has(columns[:, 0], columns[:, 1]).tolist() == [True, True, True, False, False, True, False, False]


def test_pairs_that_join_to_the_same_text_differ():
    assert DedupeIndex().fresh([("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]) == [True] * 4


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x92\x01\x91\xc4\x01a", b"\x92\x02\x90"])
def test_torn_bytes_are_refused(data):
    with pytest.raises(Corrupt):
        DedupeIndex.load(data)
