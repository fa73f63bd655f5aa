"""Measuring models on what people did after one instant, side by side, with honest intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.models.interactions import Interactions
from mailwright.models.metrics import METRICS, measure
from mailwright.models.recommenders import Fitted, Recommender

Values = NDArray[np.float64]
"""One metric of one model, a value per user."""

K = 10
CHUNK = 128
RESAMPLES = 1000
SEED = 20260101
"""Of every bootstrap: the same data gives the same report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Models measured on the same users.

    Attributes:
        cut: The one instant: everything before it was learned from, what followed was to be found.
        horizon_days: How long after it counts.
        n_users: People with something both before the cut and after it.
        values: Model -> metric (``ndcg@10``) -> value per user, shape (n_users,), in the same order of users.
    """

    cut: Instant
    horizon_days: int
    n_users: int
    values: Mapping[str, Mapping[str, Values]]

    def table(self) -> dict[str, dict[str, float]]:
        """Model -> metric -> mean over users, with ``<metric>_low`` and ``_high`` of its 95 % bootstrap interval."""
        return {name: _row(metrics) for name, metrics in self.values.items()}

    def difference(self, metric: str, model: str, other: str) -> tuple[float, float, float]:
        """Mean of the paired difference `model` - `other` and its 95 % bootstrap interval over users."""
        paired = self.values[model][metric] - self.values[other][metric]
        return float(paired.mean()), *interval(paired)


def evaluate(
    models: Mapping[str, Recommender], data: Interactions, cut: Instant, horizon_days: int = 28, k: int = K
) -> Evaluation:
    """Fit every model on what came before `cut` and rank all items for everyone who came back within the horizon.

    A model is handed rows before the cut and nothing else. Full ranking, no sampled negatives; an item that nobody had
    taken before the cut cannot be ranked but counts as missed.

    Raises:
        InvalidInput: If nobody has interactions on both sides of the cut.
    """
    past, truth = data.before(cut), data.between(cut, Instant(cut + horizon_days * DAY))
    users = np.intersect1d(past.user, truth.user).astype(np.int32)
    if len(users) == 0:
        raise InvalidInput.one(
            "model.no_users",
            "nobody has purchases both before and after the cut: nothing can be measured",
            hint="wait for more data, or use a shorter horizon",
        )
    relevant = truth.matrix().astype(bool).tocsr()
    values = {name: _measured(model.fit(past, cut), relevant, users, k) for name, model in models.items()}
    return Evaluation(cut=cut, horizon_days=horizon_days, n_users=len(users), values=values)


def _measured(fitted: Fitted, relevant: sparse.csr_matrix, users: NDArray[np.int32], k: int) -> dict[str, Values]:
    rows: list[Mapping[str, float]] = []
    for start in range(0, len(users), CHUNK):
        chunk = users[start : start + CHUNK]
        truths = relevant[chunk].toarray()
        for scores, truth in zip(fitted.scores(chunk), truths, strict=True):
            rows.append(measure(scores, truth, k, int(truth.sum())))
    return {f"{metric}@{k}": np.asarray([row[metric] for row in rows]) for metric in METRICS}


def _row(metrics: Mapping[str, Values]) -> dict[str, float]:
    row: dict[str, float] = {}
    for metric, values in metrics.items():
        row[metric] = float(values.mean())
        row[f"{metric}_low"], row[f"{metric}_high"] = interval(values)
    return row


def interval(values: Values, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`, shape (n,), n >= 1; resamples users, with a fixed seed.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13.
    """
    random = np.random.default_rng(SEED)
    means = np.asarray([values[random.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def best(evaluation: Evaluation, metric: str, names: Sequence[str]) -> str:
    """The name with the highest mean, the first of equal ones."""
    return max(names, key=lambda name: float(evaluation.values[name][metric].mean()))
