"""How good ranked lists are. Full ranking over all items; equal scores count by their expected rank.

An item's place among others of the same score is chance, so a list's value is its mean over all orders of its ties: no
model gains by the order in which items happen to be stored.

Source: McSherry, F. and Najork, M. (2008), Computing information retrieval performance measures efficiently in the
presence of tied scores, ECIR 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

_BLOCK = 64

METRICS = ("precision", "recall", "ndcg", "hit_rate")


@dataclass(frozen=True, slots=True)
class Hits:
    """What the first k places hold.

    Attributes:
        expected: Chance of a relevant item at each place, shape (k,); 0 where the list is shorter.
        p_none: Chance that no place holds one.
    """

    expected: NDArray[np.float64]
    p_none: float


def expected_hits(scores: NDArray[np.floating], relevant: NDArray[np.bool_], k: int) -> Hits:
    """What the k best of all items hold.

    Args:
        scores: Score of every item, shape (n_items,).
        relevant: Which items are relevant, same shape.
        k: Length of the list, >= 1.
    """
    k_here = min(k, len(scores))
    order = best_with_ties(scores, k_here)
    values = scores[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    found = np.add.reduceat(relevant[order].astype(np.int64), starts)
    expected = np.zeros(k)
    expected[:k_here] = np.repeat(found / sizes, sizes)[:k_here]
    taken = np.minimum(sizes, k_here - starts)
    p_none = float(np.prod([_p_none(*group) for group in zip(sizes, found, taken, strict=True)]))
    return Hits(expected, p_none)


def best_with_ties(scores: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Numbers of all items that score at least as much as the n-th best, best first, equal ones by number; n >= 1."""
    near: NDArray[np.intp] = np.arange(len(scores))
    n_blocks = len(scores) // _BLOCK
    if n_blocks > n:
        # At least n items reach the n-th best of the blocks' maxima: one pass leaves few to sort, where a partition of
        # all 70,000 took 0.4 ms, most of an evaluation's time.
        maxima = scores[: n_blocks * _BLOCK].reshape(_BLOCK, n_blocks).max(axis=0)
        near = np.flatnonzero(scores >= np.partition(maxima, -n)[-n])
    values = scores[near]
    kept = near[values >= np.partition(values, -n)[-n]] if len(near) > n else near
    return kept[np.argsort(-scores[kept], kind="stable")]


def _p_none(size: int, found: int, taken: int) -> float:
    """Chance that `taken` of `size` tied items, `found` of them relevant, hold no relevant one (hypergeometric)."""
    if size - found < taken:
        return 0.0
    if found == 0:
        return 1.0
    return float(np.exp(_log_choose(size - found, taken) - _log_choose(size, taken)))


def _log_choose(n: int, m: int) -> float:
    return float(gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1))


def measure(scores: NDArray[np.floating], relevant: NDArray[np.bool_], k: int, n_relevant: int) -> Mapping[str, float]:
    """precision@k, recall@k, NDCG@k and hit rate of one user.

    Args:
        scores: Score of every item, shape (n_items,).
        relevant: Which of them are relevant, same shape.
        k: Length of the list.
        n_relevant: How many items are relevant, >= 1; more than `relevant` holds if some could not be ranked at all.

    NDCG has gain 1 and discount ``1 / log2(place + 1)``; the ideal list holds min(k, n_relevant) relevant items first
    (Järvelin and Kekäläinen, 2002).
    """
    hits = expected_hits(scores, relevant, k)
    discount = 1 / np.log2(np.arange(2, k + 2))
    total = float(hits.expected.sum())
    return {
        "precision": total / k,
        "recall": total / n_relevant,
        "ndcg": float(hits.expected @ discount) / float(discount[: min(k, n_relevant)].sum()),
        "hit_rate": 1 - hits.p_none,
    }
