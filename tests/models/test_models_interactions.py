import pyarrow as pa
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant
from mailwright.models.interactions import Interactions, from_table


def read(**columns: list[object]) -> Interactions:
    return from_table(pa.table(columns))


DATA = read(
    identifier=["b", "a", "a", "a", "b", None, "c"],
    item_id=["y", "x", "x", "y", "y", "x", "x"],
    stamp_at=[5, 3, 3, 9, 7, 1, 2],
    quantity=[1.0, 2.0, 3.0, None, 1.0, 1.0, -1.0],
)


def test_rows_are_numbered_sorted_and_merged() -> None:
    assert DATA.users.tolist() == ["a", "b"]
    assert DATA.items.tolist() == ["x", "y"]
    assert list(zip(DATA.user, DATA.item, DATA.at, DATA.quantity, strict=True)) == [
        (0, 0, 3, 5.0),
        (0, 1, 9, 1.0),
        (1, 1, 5, 1.0),
        (1, 1, 7, 1.0),
    ]


def test_the_matrix_has_a_row_per_user_and_a_column_per_item() -> None:
    assert DATA.matrix().toarray().tolist() == [[1, 1], [0, 2]]
    assert DATA.matrix(DATA.quantity).toarray().tolist() == [[5, 1], [0, 2]]


def test_cuts_are_half_open_and_keep_the_numbers() -> None:
    assert DATA.before(Instant(5)).at.tolist() == [3]
    assert DATA.between(Instant(5), Instant(9)).at.tolist() == [5, 7]
    assert DATA.before(Instant(0)).n_users == 2


def test_any_change_changes_the_digest() -> None:
    same = read(identifier=["a"], item_id=["x"], stamp_at=[1], quantity=[1])
    others = [
        read(identifier=["b"], item_id=["x"], stamp_at=[1], quantity=[1]),
        read(identifier=["a"], item_id=["y"], stamp_at=[1], quantity=[1]),
        read(identifier=["a"], item_id=["x"], stamp_at=[2], quantity=[1]),
        read(identifier=["a"], item_id=["x"], stamp_at=[1], quantity=[2]),
    ]
    assert len({same.digest(), *(other.digest() for other in others)}) == 5


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInput, match="stamp_at, quantity"):
        read(identifier=["a"], item_id=["x"])
