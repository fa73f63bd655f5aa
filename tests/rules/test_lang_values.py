"""Comparisons, numbers, paths and filters at their edges."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lang_world import event, shop
from strategies import json_values

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, parse_iso
from mailwright.rules import syntax as s
from mailwright.rules import values as v
from mailwright.rules.parse import parse

MIDNIGHT_NY = v.Moment(parse_iso("2026-03-18T04:00:00Z"))
TODAY = date(2026, 3, 18)

COMPARISONS: list[tuple[Any, Any, Any, bool]] = [
    (1, "=", 1.0, True),
    (0.1, "=", Decimal("0.1"), True),
    (0.30000000000000004, "=", Decimal("0.3"), False),
    (0.1, "!=", Decimal("0.1"), False),
    (True, "=", 1, False),
    (True, "=", True, True),
    ("1", "=", 1, False),
    ("1", "!=", 1, False),
    (None, "!=", 1, False),
    (None, "=", None, False),
    (1, "!=", 2, True),
    (float("nan"), "!=", 2, False),
    ("US", "=", "us", False),
    ("b", ">", "a", True),
    (True, ">", False, False),
    ([1], ">", [0], False),
    ([1, "a"], "=", [1.0, "a"], True),
    ({"a": 1}, "!=", {"a": 2}, True),
    ({"a": 1}, "=", {"a": 1.0}, True),
    (2**53 + 1, ">", 2.0**53, True),
    ("Straße", "contains", "STRASSE", True),
    ("abc", "starts_with", "AB", True),
    ("abc", "ends_with", "BC", True),
    ("abc", "contains", "", True),
    ("abc", "matches", "B", False),
    ("abc", "matches", "b", True),
    (5, "matches", "5", False),
    (["Electronics"], "contains", "Electronics", True),
    (["Electronics"], "contains", "Electro", False),
    (["a", 1], "contains", True, False),
    (["a", None], "contains", None, False),
    ("a", "contains", 1, False),
    (v.Duration(5), "<", v.Duration(6), True),
    (v.Duration(5), "<", 6, False),
    (MIDNIGHT_NY, "=", TODAY, True),
    (v.Moment(Instant(MIDNIGHT_NY.at - 1)), "<", TODAY, True),
    (TODAY, ">", v.Moment(Instant(MIDNIGHT_NY.at - 1)), True),
    ("2026-03-18", "=", TODAY, False),
]


@pytest.mark.parametrize(("left", "op", "right", "expected"), COMPARISONS)
def test_compare(left: Any, op: Any, right: Any, expected: bool) -> None:
    assert v.compare(op, left, right, ZoneInfo("America/New_York")) is expected


@settings(max_examples=100, deadline=None)
@given(json_values(), json_values())
def test_order_is_total_within_a_type(a: Any, b: Any) -> None:
    """Exactly one of <, =, > holds for two numbers or two texts, none otherwise but = and !=."""
    ordered = v.kind_of(a) == v.kind_of(b) and v.kind_of(a) in ("number", "text")
    answers = [v.compare(op, a, b) for op in ("<", "=", ">")]
    assert sum(answers) == 1 if ordered else not answers[0] and not answers[2]
    assert (v.identity(a) == v.identity(b)) == (v.compare("=", a, b) or a is b is None)


def test_between_dates_includes_both_days_whole() -> None:
    zone, next_midnight = ZoneInfo("America/New_York"), parse_iso("2026-03-19T04:00:00Z")
    assert v.between(MIDNIGHT_NY, TODAY, TODAY, zone)
    assert v.between(v.Moment(Instant(next_midnight - 1)), TODAY, TODAY, zone)
    assert not v.between(v.Moment(next_midnight), TODAY, TODAY, zone)


@pytest.mark.parametrize(
    ("given_", "units"),
    [
        (0.1, 100_000),
        (Decimal("2.675"), 2_675_000),
        (0.0000005, 0),  # half even
        (0.0000015, 2),
        (-0.0000025, -2),
        (5e-324, 0),
        (9223372036854, 9223372036854000000),
        (9223372036855, None),
        (1e300, None),
        (True, None),
        ("1", None),
        (None, None),
        (float("inf"), None),
    ],
)
def test_micro_units(given_: Any, units: int | None) -> None:
    assert v.to_micro_units(given_) == units


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_micro_units_round_trip(units: int) -> None:
    assert v.to_micro_units(v.from_micro_units(units)) == units


@pytest.mark.parametrize(
    ("total", "n", "average"), [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (10, 3, 3), (11, 3, 4)]
)
def test_average_is_half_even(total: int, n: int, average: int) -> None:
    assert v.average_micro_units(total, n) == average


def test_a_scaled_score_is_exact_at_its_threshold() -> None:
    assert v.scaled(Decimal(70), Decimal(30)) == 70
    assert v.scaled(Decimal(-1), Decimal(30)) == 0


def test_regular_expressions_are_linear_and_refused_with_a_reason() -> None:
    assert not v.text_holds("matches", "a" * 10_000 + "b", "(a*)*$c")
    with pytest.raises(InvalidInput, match="regular expression") as caught:
        v.text_holds("matches", "a", "(?=a)")
    assert caught.value.code == "rule.regex"


DATA = {
    "a": 1,
    "none": None,
    "list": ["x", None, "y"],
    "lines": [{"p": 1}, {"p": None}, {}, {"p": [2, 3]}, "odd"],
    "product_id": "p2",
    "products": [
        {"product_id": "p1"},
        {"product_id": "p2"},
        {"product_id": "unknown"},
        {"product": {"department": "Own"}},
    ],
}


@pytest.mark.parametrize(
    ("path", "spread", "taken_apart"),
    [
        ("a", [1], [1]),
        ("a.b", [], []),
        ("none", [], []),
        ("missing", [], []),
        ("list", [["x", None, "y"]], ["x", "y"]),
        ("lines.p", [1, [2, 3]], [1, 2, 3]),
        ("product.department", ["Hats"], ["Hats"]),
        ("product.colours", [["red", "blue"]], ["red", "blue"]),
        ("products.product.department", ["Sale", "Hats", "Own"], ["Sale", "Hats", "Own"]),
        ("context.geo.city", ["NY"], ["NY"]),
    ],
)
def test_paths(path: str, spread: list[Any], taken_apart: list[Any]) -> None:
    seen = event("A", context={"geo": {"city": "NY"}}, **DATA)
    steps = tuple(path.split("."))
    assert v.property_values(seen, steps, shop().facts) == spread
    assert v.elements(seen, steps, shop().facts) == taken_apart


def test_an_item_is_read_as_it_was_at_the_events_stamp() -> None:
    seen = [event("A", at, product_id="p1") for at in ("1d 1u", "1d", "901d")]
    departments = [v.elements(each, ("product", "department"), shop().facts) for each in seen]
    assert departments == [["Shoes"], ["Sale"], []]


@pytest.mark.parametrize(
    ("traits", "path", "written"),
    [
        ({"a": {"b": 1}}, "a.b", (True, 1)),
        ({"a": {"c": 1}}, "a.b", (False, None)),
        ({"a": None}, "a.b", (True, None)),
        ({"a": {"b": None}}, "a.b", (True, None)),
        ({"a": "text"}, "a.b", (True, None)),
        ({}, "a.b", (False, None)),
        ({"a": {"b": 1}}, "a", (True, {"b": 1})),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.b", (True, [1, 2])),
    ],
)
def test_trait_writes(traits: Any, path: str, written: Any) -> None:
    assert v.trait_write(traits, tuple(path.split("."))) == written


FILTERS = [
    ("category = 'Shoes'", True),
    ("products.category = 'Shoes' and products.price > 50", True),  # different elements
    ("any of products (category = 'Shoes' and price > 50)", False),  # the same element
    ("any of products (category = 'Hats' and price > 50)", True),
    ("any of products (category = 'Hats' and any of sizes (n = 2))", True),
    ("any of products (category = 'Shoes' and any of sizes (n = 2))", False),
    ("products.price != 60", True),  # any element
    ("not products.price = 60", False),
    ("missing != 1", False),
    ("not missing = 1", True),
    ("missing is missing and not none is known", True),
    ("tags contains 'a'", True),
    ("tags = 'a'", False),
    ("tags in ('a', 'z')", True),
    ("gift", True),
    ("count", False),  # a number is not true
    ("count >= 3 and count = 3", True),
    ("price between 10 and 10.5", True),
    ("sku matches '^A[0-9]+$'", True),
    ("everyone", True),
    ("1 = 1 and 'a' contains 'A'", True),
]


@pytest.mark.parametrize(("text", "expected"), FILTERS)
def test_filters(text: str, expected: bool) -> None:
    lines = [{"category": "Shoes", "price": 20}, {"category": "Hats", "price": 60, "sizes": [{"n": 1}, {"n": 2}]}, None]
    seen = event(
        "A", category="Shoes", products=lines, none=None, tags=["a", "b"], gift=True, count=3, price=10.5, sku="A12"
    )
    did = parse(f"did 'A' where ({text})")
    assert isinstance(did, s.Did)
    assert v.holds(did.where, seen, shop().facts) is expected


def test_what_is_asked_of_the_person_is_no_filter() -> None:
    with pytest.raises(InvalidInput, match="one event"):
        v.holds(s.Compare(op="=", left=s.Trait(path=("a",)), right=s.Age()), event("A"), v.no_items)


def test_names_of_calls() -> None:
    assert v.names_of(event("A")) == ("A",)
    assert v.names_of(event("P", type="page")) == ("P", v.ANY_PAGE)
    assert v.names_of(event("", type="page")) == (v.ANY_PAGE,)
    assert v.names_of(event("S", type="screen")) == ("S", v.ANY_SCREEN)
    assert v.names_of(event("A", type="identify")) == ()


def test_plain_values() -> None:
    values = [
        Decimal("3.000000"),
        Decimal("0.5"),
        v.Moment(Instant(0)),
        v.Duration(1_500_000),
        TODAY,
        [Decimal(1)],
        None,
        "a",
    ]
    assert v.plain(values) == [3, 0.5, "1970-01-01T00:00:00Z", 1.5, "2026-03-18", [1], None, "a"]
