"""Versions of catalog items."""

from __future__ import annotations

from itertools import permutations

import pytest

from mailwright.core.errors import Corrupt
from mailwright.core.events import Item
from mailwright.core.instants import Instant
from mailwright.rules.catalog import Catalog


def item(stamp: int, n: int, item_id: str = "1") -> Item:
    return Item(catalog="products", item_id=item_id, stamp_at=Instant(stamp), facts={"n": n})


def filled(*items: Item) -> Catalog:
    catalog = Catalog()
    for each in items:
        catalog.put(each)
    return catalog


def test_the_version_in_force() -> None:
    for order in permutations([item(10, 1), item(20, 2), item(30, 3)]):
        catalog = filled(*order)
        found = [catalog.facts("products", "1", Instant(at)) for at in (9, 10, 19, 20, 31)]
        assert found == [None, {"n": 1}, {"n": 1}, {"n": 2}, {"n": 3}]


def test_of_one_stamp_the_last_put_counts() -> None:
    assert filled(item(10, 1), item(10, 2)).facts("products", "1", Instant(10)) == {"n": 2}


def test_unknown_items_are_left_out() -> None:
    catalog = filled(item(10, 1), item(20, 2), item(5, 9, "2"))
    assert catalog.facts("products", "3", Instant(99)) is None
    assert catalog.facts("books", "1", Instant(99)) is None
    assert catalog.current("products", ["1", "3"]) == {"1": item(20, 2)}
    assert catalog.current("products", ["1", "2"], Instant(7)) == {"2": item(5, 9, "2")}
    assert catalog.count() == 2
    assert catalog.ids("products") == ["1", "2"]


def test_dump_does_not_depend_on_the_order() -> None:
    items = [item(10, 1), item(20, 2), item(5, 9, "2")]
    dumps = {filled(*order).dump() for order in permutations(items)}
    assert len(dumps) == 1
    loaded = Catalog.load(dumps.pop())
    assert loaded.facts("products", "1", Instant(15)) == {"n": 1}
    with pytest.raises(Corrupt):
        Catalog.load(b"\xc1")
