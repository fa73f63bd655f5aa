"""A fold filled from blocks of columns is the fold that took in event after event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fold_world import LISTS, START, ZONE, event, identifiers, rules, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import Scope, catalog, conditions, events, instants, json_values, number_events, values

from mailwright.core.events import PLACES, Event, Offset, Person
from mailwright.core.instants import DAY, Instant
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.fold.blocks import Block
from mailwright.rules.fold.bulk import fill
from mailwright.rules.fold.typed import OTHER, Path, Typed, column_suffix, columns_of, paths_of

PEOPLE = 3


def typed(objects: Sequence[dict[str, Any]], path: Path) -> Typed:
    columns, suffix = columns_of(objects, path), column_suffix(path)
    return Typed(*(columns.get(f"{kind}_{suffix}") for kind in ("kind", "number", "text", "boolean")))


def block(arrivals: Sequence[Arrival], paths: Sequence[Path]) -> Block:
    """The arrivals as columns."""
    happened = [arrival.event for arrival in arrivals]
    calls = list(dict.fromkeys((each.type, each.name) for each in happened))

    def column(of: Any) -> Any:
        return np.array([of(each) for each in happened], dtype=np.int64)

    def inside(path: Path) -> list[dict[str, Any]]:
        return [each.context if path[0] == "context" else each.properties for each in happened]

    return Block(
        offset=np.array([arrival.offset for arrival in arrivals], dtype=np.int64),
        person=np.array([arrival.person for arrival in arrivals], dtype=np.int64),
        stamp=column(lambda each: each.stamp_at),
        known=column(lambda each: each.known_at),
        call=column(lambda each: calls.index((each.type, each.name))),
        calls=calls,
        typed={path: typed(inside(path), path) for path in paths},
        read=lambda rows: [happened[row] for row in rows.tolist()],
    )


def ingested(kept: Rules, arrivals: Sequence[Arrival], at: Instant, items: Any) -> Fold:
    fold = Fold(kept, items)
    fold.ingest(arrivals)
    fold.tick(at, identifiers(PEOPLE))
    return fold


def ruled(values: Sequence[Any], conditions: Sequence[Any]) -> Rules:
    return Rules(
        attributes={},
        segments={f"s{place}": node for place, node in enumerate(conditions)},
        conditions={f"v{place}": node for place, node in enumerate(values)},
        zone=ZONE,
        lists={"l1": LISTS["vip"], "l2": frozenset()},
    )


# Made once: strategies this large are slow to make.
VALUE, CONDITION = values(Scope(), depth=0), conditions(Scope(), depth=1)
RULES = st.builds(ruled, st.tuples(*[VALUE] * 8), st.tuples(CONDITION, CONDITION))
HAPPENED = st.lists(events(), min_size=8, max_size=16)
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def arrived(happened: list[Event], salt: int) -> list[Arrival]:
    return [
        Arrival(offset, Person((offset // PLACES + salt) % 7 % PEOPLE), each)
        for offset, each in number_events(happened)
    ]


@SLOW
@given(RULES, HAPPENED, instants(), st.integers(1, 9), st.integers(0, 2**20))
def test_filled_from_columns_it_is_the_same_state(
    kept: Rules, happened: list[Event], at: Instant, size: int, salt: int
) -> None:
    story = arrived(happened, salt)
    expected = ingested(kept, story, at, catalog())
    every = paths_of(kept)
    blocks = [
        block(story[start : start + size], (every, every, every[::2], [])[(salt + start) % 4])
        for start in range(0, len(story), size)
    ]
    filled = fill(kept, catalog(), blocks, at, identifiers(PEOPLE))
    assert filled.state_hash() == expected.state_hash()
    people = [Person(n) for n in range(PEOPLE)]
    assert {name: filled.members(name).tolist() for name in kept.segments} == {
        name: expected.members(name).tolist() for name in kept.segments
    }
    later = Instant(at + DAY)
    assert filled.tick(later, identifiers(PEOPLE)) == expected.tick(later, identifiers(PEOPLE))
    assert filled.state_hash() == expected.state_hash()
    assert {name: truth.tolist() for name, truth in filled.truths(list(kept.conditions), people).items()} == {
        name: truth.tolist() for name, truth in expected.truths(list(kept.conditions), people).items()
    }


@SLOW
@given(RULES, HAPPENED, instants(), st.integers(0, 2**20))
def test_some_leaves_alone_are_those_leaves(kept: Rules, happened: list[Event], at: Instant, salt: int) -> None:
    story = arrived(happened, salt)
    leaves = [leaf for place, leaf in enumerate(Fold(kept, catalog()).leaves()) if salt >> place & 1]
    part = fill(kept, catalog(), [block(story, paths_of(kept))], at, PEOPLE, leaves)
    assert part.leaves() == sorted(leaves)
    expected = Fold.of_leaves(kept, catalog(), leaves)
    expected.ingest(story)
    expected.count(at, PEOPLE)
    assert part.state_hash() == expected.state_hash()


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("rate of 'Home' over last 2 any page by key", [1, 2], 0.5),
        ("list of any page.key removed by 'Home'", [1, 1, 1], [1]),
    ],
)
def test_a_page_that_goes_by_two_of_the_names_is_kept_once(text: str, keys: list[int], expected: Any) -> None:
    """It is called ``$page`` and by its own name."""
    kept = rules({"asked": text}, {})
    names = [*["Help"] * (len(keys) - 1), "Home"]
    told = [
        event(n, name, type="page", stamp=START + n, properties={"key": key})
        for n, (name, key) in enumerate(zip(names, keys, strict=True))
    ]
    story = [Arrival(Offset(place * PLACES), Person(0), each) for place, each in enumerate(told)]
    at = Instant(START + DAY)
    live = ingested(kept, story, at, shop())
    for size in (1, 3):
        parts = [block(story[start : start + size], paths_of(kept)) for start in range(0, len(story), size)]
        bulk = fill(kept, shop(), parts, at, identifiers(1))
        assert [fold.attribute("asked", [Person(0)]) for fold in (live, bulk)] == [[expected], [expected]]


@pytest.mark.parametrize("way", ["columns", "events"])
def test_events_are_made_only_where_columns_do_not_say_it(way: str) -> None:
    kept = rules({}, {"big": "sum of 'A'.total where kind = 'hat' within 3 days > 5", "all": "did 'B'"})
    story = [
        Arrival(Offset(n), Person(n % PEOPLE), event(n, name, stamp=START + n, properties=properties))
        for n, (name, properties) in enumerate(
            [("A", {"total": 3.5, "kind": "hat"}), ("A", {"total": [4, 4], "kind": "hat"}), ("B", {}), ("C", {})]
        )
    ]
    made: list[list[int]] = []
    told = block(story, paths_of(kept) if way == "columns" else [("context", "timezone")])

    def read(rows: Any) -> list[Event]:
        made.append(rows.tolist())
        return [story[row].event for row in rows.tolist()]

    told.read = read
    filled = fill(kept, shop(), [told], Instant(START + DAY), identifiers(PEOPLE))
    assert filled.members("big").tolist() == [False, True, False]
    assert made == ([[1]] if way == "columns" else [[0, 1]])


@settings(max_examples=200, deadline=None)
@given(st.lists(json_values() | st.floats() | st.integers(), max_size=8))
def test_a_cell_is_the_value_or_says_that_it_is_not(found: list[Any]) -> None:
    cells = typed([{"x": value} for value in found], ("x",))
    for place, value in enumerate(found):
        if cells.kind[place] != OTHER:
            assert repr(cells.value(place)) == repr(value)
        else:
            assert isinstance(value, int | float | list | dict)


@pytest.mark.parametrize("value", [1e-7, 10**13, -0.0, float("nan"), float("inf"), 2**70, 123456789012.5, [], {"a": 1}])
def test_what_a_column_cannot_hold_is_left_to_the_event(value: Any) -> None:
    assert typed([{"x": value}], ("x",)).kind.tolist() == [OTHER]


def test_columns_are_called_after_their_path() -> None:
    assert column_suffix(("total",)) == "total"
    assert column_suffix(("cart", "total_2")) == "cart__total_2"
    odd = [("Total",), ("total ",), ("a__b",), ("cart.total",), ("_x",), ("é",), ("x" * 99 + "Y",)]
    assert len({column_suffix(path) for path in odd}) == len(odd)
    assert all(column_suffix(path).isascii() and column_suffix(path).islower() for path in odd)
    columns = columns_of([{"total": 2.5}, {"total": "x"}, {}, {"total": True}, {"total": [1]}], ("total",))
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        "kind_total": [2, 3, 0, 4, 5],
        "number_total": [2_500_000, None, None, None, None],
        "text_total": [None, "x", None, None, None],
        "boolean_total": [None, None, None, True, None],
    }


def test_no_blocks_at_all() -> None:
    kept = rules({}, {"all": "everyone"})
    assert fill(kept, shop(), [], START, identifiers(2)).sizes() == {"all": 2}
