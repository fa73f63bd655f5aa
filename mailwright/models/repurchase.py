"""What this person will take again: a logistic regression over their own past of each item.

Own purchase count orders a person's items by habit alone. This model also sees whether the habit still lives and
whether its gap has passed, and learns from the shop's own past how much each of that matters: every (person, item) pair
as of some earlier instant is an example, and whether the pair came again in the following weeks is its label. All
labels lie before the instant that the model is fitted for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from mailwright.core.instants import DAY, Instant
from mailwright.models.interactions import Interactions
from mailwright.models.reasons import OFTEN_TIMES, ReasonCode
from mailwright.models.recommenders import (
    Fitted,
    Reasons,
    Recommender,
    Scores,
    Users,
    ages_days,
    buyers,
    own_reasons,
    popular_tail,
    refuse_future,
    row_of,
)

Matrix = NDArray[np.float32]
Vector = NDArray[np.float64]

_RIDGE = 1.0
_MAX_STEPS = 12
_CONVERGED = 1e-3
"""Newton's method doubles the right digits each step: what is left then is far below single precision."""
_CHUNK = 100_000
_DUE_FROM, _DUE_TO = 0.8, 2.0
"""Between these multiples of the mean gap an item is called due: before it is early, after it the habit may be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repurchase(Recommender):
    """Probability that a pair comes again within `horizon_days`.

    Attributes:
        horizon_days: How far a label looks; should be the horizon that the model is measured on.
        n_snapshots: Earlier instants taken as examples, `horizon_days` apart; those before the data began are left out.
    """

    horizon_days: int = 28
    n_snapshots: int = 2

    def fit(self, seen: Interactions, cut: Instant) -> Fitted:
        """See `Recommender.fit`. With too little past to learn from, every pair weighs by its features' order alone."""
        refuse_future(seen, cut)
        examples = [
            self._snapshot(seen, Instant(cut - back * self.horizon_days * DAY)) for back in self._backs(seen, cut)
        ]
        weights = fit_logistic([x for x, _ in examples], [y for _, y in examples]) if examples else None
        pairs = pairs_of(seen, cut)
        chance = weights.predict(features(seen, pairs, cut)) if weights else pairs.times / pairs.times.max(initial=1)
        return FittedRepurchase(
            chance=pairs.matrix(chance),
            times=pairs.matrix(pairs.times),
            last_days=pairs.matrix(pairs.last_days),
            gap_days=pairs.matrix(pairs.gap_days),
            tail=popular_tail(seen, cut),
        )

    def _backs(self, seen: Interactions, cut: Instant) -> list[int]:
        began = int(seen.at.min(initial=cut))
        return [n for n in range(1, self.n_snapshots + 1) if cut - (n + 1) * self.horizon_days * DAY >= began]

    def _snapshot(self, seen: Interactions, at: Instant) -> tuple[Matrix, Vector]:
        """Features of all pairs as of `at`, and whether each came again in the `horizon_days` from then on."""
        past = seen.before(at)
        pairs = pairs_of(past, at)
        future = seen.between(at, Instant(at + self.horizon_days * DAY))
        again = np.unique(future.user.astype(np.int64) * seen.n_items + future.item)
        label = np.isin(pairs.user.astype(np.int64) * seen.n_items + pairs.item, again, assume_unique=True)
        return features(past, pairs, at), label.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Every (user, item) pair that occurred, one row each, sorted by both.

    Attributes:
        start: Row of `seen` at which each pair begins; `seen` is sorted by pair and instant.
        times: Occasions, >= 1.
        last_days: Days from the last occasion to the instant; `gap_days` mean gap between them, 0 for one alone.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    start: NDArray[np.intp]
    times: Vector
    last_days: Vector
    gap_days: Vector
    n_users: int
    n_items: int

    def matrix(self, values: Vector) -> sparse.csr_matrix:
        """Values per pair as (n_users, n_items)."""
        return sparse.csr_matrix((values, (self.user, self.item)), shape=(self.n_users, self.n_items))


def pairs_of(seen: Interactions, at: Instant) -> Pairs:
    """The pairs of interactions that all lie before `at`."""
    if len(seen) == 0:
        start = np.zeros(0, dtype=np.intp)
    else:
        start = np.flatnonzero(np.r_[True, (np.diff(seen.user) != 0) | (np.diff(seen.item) != 0)])
    end = np.r_[start[1:], len(seen)] - 1 if len(start) else start
    times = (end - start + 1).astype(np.float64)
    span_days = (seen.at[end] - seen.at[start]) / DAY
    return Pairs(
        user=seen.user[start],
        item=seen.item[start],
        start=start,
        times=times,
        last_days=(at - seen.at[end]) / DAY,
        gap_days=np.where(times > 1, span_days / np.maximum(times - 1, 1), 0.0),
        n_users=seen.n_users,
        n_items=seen.n_items,
    )


def features(seen: Interactions, pairs: Pairs, at: Instant) -> Matrix:
    """What the regression sees of each pair, shape (n_pairs, n_features), from rows before `at` alone."""
    age = ages_days(seen, at)
    recent = {days: np.add.reduceat(np.exp2(-age / days), pairs.start) for days in (14, 28, 60, 120)}
    trips = occasions(seen)
    n_trips = np.bincount(trips.user, minlength=seen.n_users)[pairs.user]
    trips_28 = np.bincount(trips.user, np.exp2(-ages_days(trips, at) / 28), seen.n_users)[pairs.user]
    n_buyers = np.bincount(pairs.item, minlength=seen.n_items)
    n_again = np.bincount(pairs.item, pairs.times > 1, minlength=seen.n_items)
    ratio = np.where(pairs.gap_days > 0, np.clip(pairs.last_days / np.maximum(pairs.gap_days, 1), 0, 5), 0.0)
    log, last = np.log1p, np.log1p(pairs.last_days)
    columns = [
        log(pairs.times),
        *(log(value) for value in recent.values()),
        last,
        last * last,
        pairs.times > 1,
        ratio,
        (pairs.times > 1) & (ratio > 1.5),
        log(pairs.gap_days),
        log(n_trips),
        log(trips_28),
        pairs.times / n_trips,
        recent[60] / np.maximum(trips_28, 0.1),
        (n_again / np.maximum(n_buyers, 1))[pairs.item],
        log(n_buyers)[pairs.item],
        log(buyers(seen, at, 28))[pairs.item],
        log(buyers(seen, at, 7))[pairs.item],
        log(pairs.times) * last,
    ]
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)


def occasions(seen: Interactions) -> Interactions:
    """One row per user and instant: a basket."""
    order = np.lexsort((seen.at, seen.user))
    new = np.ones(len(seen), dtype=np.bool_)
    new[1:] = (np.diff(seen.user[order]) != 0) | (np.diff(seen.at[order]) != 0)
    keep = np.zeros(len(seen), dtype=np.bool_)
    keep[order[new]] = True
    return seen.rows(keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Weights over standardised features, the last one of the constant; `mean` and `scale` per feature."""

    mean: Vector
    scale: Vector
    weights: Vector

    def predict(self, x: Matrix) -> Vector:
        """Probabilities, shape (n,)."""
        # Standardising the weights instead of the features spares a copy of the whole matrix.
        slopes = self.weights[:-1] / self.scale
        chance: Vector = expit(x @ slopes.astype(np.float32) + (self.weights[-1] - self.mean @ slopes))
        return chance.astype(np.float64)


def fit_logistic(xs: list[Matrix], ys: list[Vector]) -> Logistic | None:
    """Ridge-penalised logistic regression by Newton's method; None if there are no examples or all labels are alike.

    Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning 2e, section 4.4.1 (IRLS).
    """
    x, y = np.concatenate(xs), np.concatenate(ys)
    if len(y) == 0 or y.min() == y.max():
        return None
    mean = x.mean(axis=0, dtype=np.float64)
    x -= mean.astype(np.float32)
    scale = np.sqrt(np.einsum("ij,ij->j", x, x, dtype=np.float64) / len(y)) + 1e-6
    x /= scale.astype(np.float32)
    weights = np.zeros(x.shape[1] + 1)
    for _ in range(_MAX_STEPS):
        step = _newton_step(x, y, weights)
        weights = weights + step
        if np.abs(step).max() < _CONVERGED:
            break
    return Logistic(mean=mean, scale=scale, weights=weights)


def _newton_step(x: Matrix, y: Vector, weights: Vector) -> Vector:
    gradient: Vector = -_RIDGE * weights
    curvature: Vector = _RIDGE * np.eye(len(weights))
    for start in range(0, len(y), _CHUNK):
        part = slice(start, start + _CHUNK)
        z = np.c_[x[part], np.ones(len(y[part]), dtype=np.float32)]
        chance: Matrix = expit(z @ weights.astype(np.float32))
        gradient += np.asarray(z.T @ (y[part] - chance).astype(np.float32), dtype=np.float64)
        curvature += np.asarray((z * (chance * (1 - chance))[:, None]).T @ z, dtype=np.float64)
    return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRepurchase(Fitted):
    """(n_users, n_items) each: chance of coming again, occasions, days since the last, mean gap. `tail`: (n_items,)."""

    chance: sparse.csr_matrix
    times: sparse.csr_matrix
    last_days: sparse.csr_matrix
    gap_days: sparse.csr_matrix
    tail: NDArray[np.float32]

    @property
    def personal(self) -> bool:
        """See `Fitted.personal`."""
        return True

    def scores(self, users: Users) -> Scores:
        """Chance of own items, then popularity for what is left (at most 1e-4, so it decides among the unlikely)."""
        scores: Scores = self.chance[users].toarray().astype(np.float32)
        np.maximum(scores, self.tail, out=scores)
        return scores

    def reasons(self, user: int, items: NDArray[np.intp]) -> Reasons:
        """DUE where the usual gap has passed, else as own purchase count says."""
        times, gap = row_of(self.times, user, items), row_of(self.gap_days, user, items)
        codes, arguments = own_reasons(times, self.tail[items] > 0)
        passed = row_of(self.last_days, user, items) / np.maximum(gap, 1e-9)
        due = (times >= OFTEN_TIMES) & (gap >= 1) & (passed >= _DUE_FROM) & (passed <= _DUE_TO)
        return (
            np.where(due, ReasonCode.DUE, codes).astype(np.uint8),
            np.where(due, np.rint(gap), arguments).astype(np.int32),
        )
