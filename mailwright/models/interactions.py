"""Who took which item when: the one input of every recommender."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("identifier", "item_id", "stamp_at", "quantity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Purchases of items by people, one row per (user, item, instant), sorted by these three.

    Users and items are numbered by the order of their names, so the same data gives the same numbers however it came.

    Attributes:
        users: Names of users, shape (n_users,), text.
        items: Names of items, shape (n_items,), text.
        user: User number per row, shape (n_rows,).
        item: Item number per row.
        at: Instant per row, int64 microseconds.
        quantity: How many, > 0.
    """

    users: NDArray[np.str_]
    items: NDArray[np.str_]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    at: NDArray[np.int64]
    quantity: NDArray[np.float64]

    @property
    def n_users(self) -> int:
        """How many users the numbers run over."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items the numbers run over."""
        return len(self.items)

    def __len__(self) -> int:
        return len(self.at)

    def before(self, cut: Instant) -> Interactions:
        """Rows with ``at < cut``, under the same numbers."""
        return self.rows(self.at < cut)

    def between(self, start: Instant, end: Instant) -> Interactions:
        """Rows with ``start <= at < end``, under the same numbers."""
        return self.rows((self.at >= start) & (self.at < end))

    def rows(self, keep: NDArray[np.bool_]) -> Interactions:
        """The rows where `keep`, shape (n_rows,), is true."""
        return replace(self, user=self.user[keep], item=self.item[keep], at=self.at[keep], quantity=self.quantity[keep])

    def matrix(self, weight: NDArray[np.float64] | None = None) -> sparse.csr_matrix:
        """User x item matrix, shape (n_users, n_items): sum of `weight` per pair; without it the number of rows."""
        values = np.ones(len(self)) if weight is None else weight
        matrix = sparse.coo_matrix((values, (self.user, self.item)), shape=(self.n_users, self.n_items)).tocsr()
        matrix.sum_duplicates()
        return matrix

    def digest(self) -> str:
        """SHA-256 in hex over names and rows: equal for equal data."""
        whole = hashlib.sha256()
        for names in (self.users, self.items):
            whole.update("\0".join(names.tolist()).encode() + b"\1")
        for column in (self.user, self.item, self.at, self.quantity):
            whole.update(np.ascontiguousarray(column).tobytes())
        return whole.hexdigest()


def from_table(table: pa.Table) -> Interactions:
    """Read a table with columns identifier, item_id (text), stamp_at (microseconds) and quantity.

    Rows without a quantity count as one; rows with a quantity of zero or less (returns) or with a null elsewhere are
    left out. Rows of the same user, item and instant become one.

    Raises:
        InvalidInput: If a column is missing.
    """
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise InvalidInput.one("model.table", f"the interactions table has no column {', '.join(lacking)}")
    table = table.select(COLUMNS)
    quantity = table["quantity"].cast("float64").fill_null(1.0).to_numpy()
    usable = quantity > 0
    for name in COLUMNS[:3]:
        usable &= table[name].is_valid().to_numpy()
    kept = table.filter(usable)
    users, user = _numbered(kept["identifier"])
    items, item = _numbered(kept["item_id"])
    at = kept["stamp_at"].cast("int64").to_numpy()
    return _merged(users, items, user, item, at, quantity[usable])


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """Distinct names in order, and each row's place among them; dictionary coding spares sorting every row's text."""
    coded = column.cast("string").combine_chunks().dictionary_encode()
    names = np.asarray(coded.dictionary.to_pylist(), dtype=np.str_)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(names), dtype=np.int32)
    place[order] = np.arange(len(names), dtype=np.int32)
    return names[order], place[coded.indices.to_numpy()]


def _merged(
    users: NDArray[np.str_],
    items: NDArray[np.str_],
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    at: NDArray[np.int64],
    quantity: NDArray[np.float64],
) -> Interactions:
    order = np.lexsort((at, item, user))
    user, item, at, quantity = user[order], item[order], at[order], quantity[order]
    if len(at) == 0:
        return Interactions(users=users, items=items, user=user, item=item, at=at, quantity=quantity)
    new = np.r_[True, (np.diff(user) != 0) | (np.diff(item) != 0) | (np.diff(at) != 0)]
    return Interactions(
        users=users,
        items=items,
        user=user[new],
        item=item[new],
        at=at[new],
        quantity=np.add.reduceat(quantity, np.flatnonzero(new)),
    )
