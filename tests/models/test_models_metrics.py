"""Metrics against hand-worked cases and against the mean over all orders of ties."""

from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.models.metrics import best_with_ties, measure


def got(scores: list[float], relevant: list[int], k: int, n_relevant: int | None = None) -> dict[str, float]:
    truth = np.zeros(len(scores), dtype=bool)
    truth[relevant] = True
    return dict(measure(np.asarray(scores, dtype=np.float32), truth, k, n_relevant or len(relevant)))


@pytest.mark.parametrize(
    ("scores", "relevant", "k", "expected"),
    [
        # the two best of three places are right; the third relevant item is not in the list
        ([5, 4, 3, 2, 1], [0, 1, 4], 3, (2 / 3, 2 / 3, (1 + 1 / log2(3)) / (1 + 1 / log2(3) + 1 / 2), 1.0)),
        # a hit at the second place only
        ([5, 4, 3, 2, 1], [1], 3, (1 / 3, 1.0, 1 / log2(3), 1.0)),
        # nothing found
        ([5, 4, 3, 2, 1], [4], 2, (0.0, 0.0, 0.0, 0.0)),
        # all four are tied: each place holds the relevant one with chance 1/4
        ([1, 1, 1, 1], [2], 2, (1 / 4, 1 / 2, (1 + 1 / log2(3)) / 4, 1 / 2)),
        # a list shorter than k
        ([2, 1], [0, 1], 10, (0.2, 1.0, 1.0, 1.0)),
    ],
)
def test_worked_by_hand(
    scores: list[float], relevant: list[int], k: int, expected: tuple[float, float, float, float]
) -> None:
    values = got(scores, relevant, k)
    assert (values["precision"], values["recall"], values["ndcg"], values["hit_rate"]) == pytest.approx(expected)


def test_what_could_not_be_ranked_counts_as_missed() -> None:
    values = got([2, 1], [0], 2, n_relevant=4)
    assert values["recall"] == 0.25
    assert values["ndcg"] == pytest.approx(1 / (1 + 1 / log2(3)))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_ties_count_as_the_mean_over_all_their_orders(scores: list[int], data: st.DataObject) -> None:
    relevant = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True))
    k = data.draw(st.integers(1, 4))
    orders = [
        order for order in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    totals = dict.fromkeys(("precision", "recall", "ndcg", "hit_rate"), 0.0)
    for order in orders:
        strict = [0.0] * len(scores)
        for place, item in enumerate(order):
            strict[item] = -place
        for name, value in got(strict, relevant, k).items():
            totals[name] += value / len(orders)
    assert got([float(s) for s in scores], relevant, k) == pytest.approx(totals)


@given(st.integers(1, 60), st.integers(1, 9000), st.integers(1, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_best_with_ties_as_a_full_sort_finds_them(n: int, n_items: int, n_values: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, n_values, n_items).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    kept = order[scores[order] >= scores[order[min(n, n_items) - 1]]]
    assert best_with_ties(scores, n).tolist() == kept.tolist()
