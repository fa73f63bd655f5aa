"""The shape of a recommender, and the simple ones: popularity, own purchase count, EASE.

Everywhere: a *score matrix* has shape (len(users), n_items); row r belongs to ``users[r]``, column i to item number i;
higher is better, and the items a model has nothing to say about score 0 or less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.models.interactions import Interactions
from mailwright.models.reasons import OFTEN_TIMES, ReasonCode

Scores = NDArray[np.float32]
Users = NDArray[np.int32]
Reasons = tuple[NDArray[np.uint8], NDArray[np.int32]]
"""Codes and arguments, each of shape (n,): see `ReasonCode`; an item argument is an item number."""


class Fitted(Protocol):
    """A model that has learned from interactions before one instant."""

    @property
    def personal(self) -> bool:
        """False if every user gets the same list; then one list serves unknown people too."""
        ...

    def scores(self, users: Users) -> Scores:
        """Score matrix of these users. Calling it for many gives the same rows as calling it for each."""
        ...

    def reasons(self, user: int, items: NDArray[np.intp]) -> Reasons:
        """Why this user is shown these item numbers."""
        ...


class Recommender(Protocol):
    """A kind of model with its parameters."""

    def fit(self, seen: Interactions, cut: Instant) -> Fitted:
        """Learn from `seen`, all of it before `cut`, the instant for which it will score. Deterministic.

        Raises:
            InvalidInput: If a row is not before `cut`: what is learned from the future is worth nothing.
        """
        ...


def refuse_future(seen: Interactions, cut: Instant) -> None:
    """Stop if a row is at or after `cut`.

    Raises:
        InvalidInput: With the number of such rows.
    """
    n = int((seen.at >= cut).sum())
    if n:
        raise InvalidInput.one("model.future", f"{n} rows are not before the instant that the model is fitted for")


def ages_days(seen: Interactions, cut: Instant) -> NDArray[np.float64]:
    """Age of each row at `cut` in days, > 0."""
    days: NDArray[np.float64] = (cut - seen.at) / DAY
    return days


def buyers(seen: Interactions, cut: Instant, window_days: float) -> NDArray[np.float64]:
    """How many different users took each item in the last `window_days`, shape (n_items,)."""
    recent = seen.rows(ages_days(seen, cut) <= window_days)
    return np.asarray(recent.matrix().astype(bool).sum(axis=0), dtype=np.float64).ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity(Recommender):
    """Items by the number of different people who took them in a recent window."""

    window_days: int = 28

    def fit(self, seen: Interactions, cut: Instant) -> Fitted:
        """See `Recommender.fit`."""
        refuse_future(seen, cut)
        return FittedPopularity(counts=buyers(seen, cut, self.window_days), window_days=self.window_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPopularity(Fitted):
    """`counts`: people per item, shape (n_items,)."""

    counts: NDArray[np.float64]
    window_days: int

    @property
    def personal(self) -> bool:
        """See `Fitted.personal`."""
        return False

    def scores(self, users: Users) -> Scores:
        """Every row is the counts."""
        return np.tile(self.counts.astype(np.float32), (len(users), 1))

    def reasons(self, user: int, items: NDArray[np.intp]) -> Reasons:  # noqa: ARG002 - the same for every user
        """POPULAR with the window, for items that somebody took in it."""
        taken = self.counts[items] > 0
        codes = np.where(taken, ReasonCode.POPULAR, ReasonCode.NONE).astype(np.uint8)
        return codes, np.where(taken, self.window_days, 0).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPurchaseCount(Recommender):
    """What this person took most often; ties, and what is left, by recent popularity.

    Attributes:
        half_life_days: Each occasion counts ``2^(-age / half_life)``; None counts all alike. None is the baseline that
            is hard to beat in shops where people come back.
    """

    half_life_days: float | None = None

    def fit(self, seen: Interactions, cut: Instant) -> Fitted:
        """See `Recommender.fit`."""
        refuse_future(seen, cut)
        half_life = self.half_life_days
        weight = np.exp2(-ages_days(seen, cut) / half_life) if half_life else None
        return FittedOwn(own=seen.matrix(weight), times=seen.matrix(), tail=popular_tail(seen, cut))


def popular_tail(seen: Interactions, cut: Instant) -> NDArray[np.float32]:
    """Popularity of the last four weeks scaled into [0, 1e-4], shape (n_items,): orders what is equal otherwise."""
    counts = buyers(seen, cut, 28)
    tail: NDArray[np.float32] = (counts * (1e-4 / max(1.0, float(counts.max(initial=0.0))))).astype(np.float32)
    return tail


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedOwn(Fitted):
    """`own` and `times`: (n_users, n_items), weighted and plain numbers of occasions; `tail`: (n_items,)."""

    own: sparse.csr_matrix
    times: sparse.csr_matrix
    tail: NDArray[np.float32]

    @property
    def personal(self) -> bool:
        """See `Fitted.personal`."""
        return True

    def scores(self, users: Users) -> Scores:
        """Occasions plus a tail of popularity that decides between equal ones."""
        scores: Scores = self.own[users].toarray().astype(np.float32)
        scores += self.tail
        return scores

    def reasons(self, user: int, items: NDArray[np.intp]) -> Reasons:
        """OFTEN, BEFORE, or POPULAR for the tail."""
        return own_reasons(row_of(self.times, user, items), self.tail[items] > 0)


def row_of(matrix: sparse.csr_matrix, user: int, items: NDArray[np.intp]) -> NDArray[np.float64]:
    """Values of one user's row at these items, shape (len(items),); the matrix has sorted indices."""
    row = slice(matrix.indptr[user], matrix.indptr[user + 1])
    columns, values = matrix.indices[row], matrix.data[row]
    if len(columns) == 0:
        return np.zeros(len(items))
    place = np.minimum(np.searchsorted(columns, items), len(columns) - 1)
    return np.where(columns[place] == items, values[place], 0.0)


def own_reasons(times: NDArray[np.float64], popular: NDArray[np.bool_]) -> Reasons:
    """Reasons from how many times each item was bought, and whether it is popular."""
    codes = np.select(
        [times >= OFTEN_TIMES, times > 0, popular], [ReasonCode.OFTEN, ReasonCode.BEFORE, ReasonCode.POPULAR], 0
    )
    arguments = np.select([times > 0, popular], [times, 28], 0)
    return codes.astype(np.uint8), arguments.astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ease(Recommender):
    """EASE: a linear item-item model in closed form, over the items that most people took.

    Attributes:
        n_items: Cap: only that many items are modelled, the others score 0. Time grows with its cube, memory with its
            square: 5,000 items take about 3 s of one core and 0.3 GB.
        l2: Ridge penalty added to the diagonal of the Gram matrix.
        half_life_days: An entry is ``log(1 + sum of 2^(-age / half_life))`` over a person's occasions of an item.

    Source: Steck, H. (2019), Embarrassingly shallow autoencoders for sparse data, WWW 2019.
    """

    n_items: int = 5000
    l2: float = 200.0
    half_life_days: float = 90.0

    def fit(self, seen: Interactions, cut: Instant) -> Fitted:
        """See `Recommender.fit`."""
        refuse_future(seen, cut)
        entries = seen.matrix(np.exp2(-ages_days(seen, cut) / self.half_life_days)).astype(np.float32)
        entries.data = np.log1p(entries.data)
        n_buyers = np.asarray((entries > 0).sum(axis=0)).ravel()
        kept = np.sort(np.argsort(-n_buyers, kind="stable")[: self.n_items])
        known: sparse.csr_matrix = entries[:, kept]
        return FittedEase(known=known, kept=kept, weights=ease_weights(known, self.l2), n_items=seen.n_items)


def ease_weights(known: sparse.csr_matrix, l2: float) -> NDArray[np.float32]:
    """The item-item weights B, shape (n, n), of a user x item matrix; B[j, i] is what having j adds to i; diagonal 0.

    ``B = I - P / diag(P)``, P the inverse of ``X'X + l2 I``; by Cholesky in place, so that only one n x n is held.
    """
    if known.shape[1] == 0:
        return np.zeros((0, 0), dtype=np.float32)
    gram = np.asarray((known.T @ known).todense(), dtype=np.float32, order="F")
    gram[np.diag_indices(len(gram))] += np.float32(l2)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise InvalidInput.one("model.singular", "EASE cannot be solved on this data", hint="use a larger l2")
    lower = np.tril(inverse, -1)  # without the diagonal, which stays 0
    weights: NDArray[np.float32] = (lower + lower.T) / -np.diag(inverse)
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedEase(Fitted):
    """`known`: (n_users, len(kept)) entries; `kept`: item numbers of the modelled items; `weights`: B of them."""

    known: sparse.csr_matrix
    kept: NDArray[np.intp]
    weights: NDArray[np.float32]
    n_items: int

    @property
    def personal(self) -> bool:
        """See `Fitted.personal`."""
        return True

    def scores(self, users: Users) -> Scores:
        """``X B`` at the modelled items, 0 elsewhere."""
        scores = np.zeros((len(users), self.n_items), dtype=np.float32)
        scores[:, self.kept] = self.known[users] @ self.weights
        return scores

    def reasons(self, user: int, items: NDArray[np.intp]) -> Reasons:
        """BECAUSE of the item with the largest term of the score; NONE if no term adds."""
        row = self.known[user]
        place = np.minimum(np.searchsorted(self.kept, items), len(self.kept) - 1)
        modelled = self.kept[place] == items
        if row.nnz == 0:
            return np.zeros(len(items), np.uint8), np.zeros(len(items), np.int32)
        terms = row.data[:, None] * self.weights[row.indices][:, place]
        best = terms.argmax(axis=0)
        adds = modelled & (terms.max(axis=0) > 0)
        codes = np.where(adds, ReasonCode.BECAUSE, ReasonCode.NONE).astype(np.uint8)
        return codes, np.where(adds, self.kept[row.indices[best]], 0).astype(np.int32)
