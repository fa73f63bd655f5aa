"""The text form, the JSON form and the tree are the same thing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from strategies import Scope, conditions, values

from mailwright.rules import syntax as s
from mailwright.rules.parse import parse
from mailwright.rules.show import show

ANYTHING = Scope(attributes=("spend", "not", "two words", "null"), segments=("vip", "in"), odd_names=True)


@settings(max_examples=100, deadline=None)
@given(conditions(ANYTHING) | values(ANYTHING))
def test_text_round_trip(node: s.Expression) -> None:
    text = show(node)
    assert parse(text) == node, text


@settings(max_examples=100, deadline=None)
@given(conditions(ANYTHING) | values(ANYTHING))
def test_json_round_trip(node: s.Expression) -> None:
    assert s.from_json(s.to_json(node)) == node


def test_equal_rules_have_one_key() -> None:
    pairs = [
        ("did 'A' where (x = 1 and y = 2)", "did 'A' where (y = 2 and x = 1)", True),
        ("not (did 'A' or did 'B')", "not (did 'B' or did 'A')", True),
        ("case when did 'A' and age > 5 then 1 end", "case when age > 5 and did 'A' then 1 end", True),
        ("did 'A' then 'B'", "did 'B' then 'A'", False),
        ("spend > 1.50", "spend > 1.5", True),
        ("did 'A' within 24 hours", "did 'A' within 1 day", True),
        ("did 'A' within 24 hours", "did 'A' today", False),
    ]
    for left, right, same in pairs:
        assert (s.key(parse(left)) == s.key(parse(right))) is same


@settings(max_examples=100, deadline=None)
@given(conditions(ANYTHING))
def test_children_are_all_expressions_inside(node: s.Expression) -> None:
    """Counted by the tags in its JSON, windows and steps left out."""
    others = (b'"within"', b'"between_dates"', b'"calendar"', b'"step"')
    text = s.to_json(node)
    tags = text.count(b'"node":') - sum(text.count(b'"node":' + tag) for tag in others)
    waiting, n = [node], 0
    while waiting:
        n, waiting = n + 1, waiting[:-1] + list(s.children(waiting[-1]))
    assert n == tags


SHOWN = [
    "did 'Product Viewed' where category = 'Electronics' within 14 days and not did 'Order Completed' within 30 days",
    "did 'A' where (x = 1) and spend > 5",
    "did 'A' where (x = 1 and y = 2) within 1 day",
    "did 'A' where (gift) between 2026-01-01 and 2026-06-30",
    "count of 'A' where (x = 1) >= 3",
    "(first 'A') between 2026-01-01 and 2026-06-30",
    "(first 'A' within 1 day) between 2026-01-01 and 2026-06-30",
    "did 'A' at least 3 times on 2026-01-01",
    "did 'Add' then no 'Order' within 30 minutes, same cart_id, same `odd name`, completed this week",
    "not (did 'A' or did 'B') and (in segment vip or in list friends)",
    "trait address.city is missing or geo.region is known or context library.name = 'it''s'",
    "anniversary of birthday is today and anniversary of last 'A' is within last 1 day",
    "case when (did 'A' then 'B') then 'x' when did 'A' then 'y' else 0 end = 'x'",
    "score {any page: 1, 'A': 2.5} half-life 36 hours scaled to 0..100 by 50 where (not machine) > 70",
    "rate of 'Email Opened' over last 5 'Email Sent' by campaign_id where (not machine) > 0.5",
    "list of 'Add'.id removed by 'Remove' cleared by 'Order' contains 'a'",
    "last 10 distinct of 'A'.products.product_id where gift = true today contains 'a'",
    "has been in segment vip for 30 days and random bucket 'holdout' < 12.5%",
    "length of last session with gap 30 minutes >= 10 minutes and local hour between 9 and 17",
    "date of trait signup in (2026-01-01, 2026-01-02) and instant of trait seen > 2026-11-22T09:30:00Z",
    "did 'A' where (gift and date of due > 2026-01-31 and instant of sent is known)",
    "attribute_like = 1 and `not` = 2 and `null` is known and trait matches is missing",
]


@pytest.mark.parametrize("text", SHOWN)
def test_the_one_form(text: str) -> None:
    assert show(parse(text)) == text


SAME = [
    ("DID 'A' AND NOT DID 'B'", "did 'A' and not did 'B'"),
    ("did not 'A'", "not did 'A'"),
    ("did 'A' at least 1 time within the last 2 weeks # now", "did 'A' within 14 days"),
    ("did 'A' within 1 day at least 2 times where (x = 1)", "did 'A' where x = 1 at least 2 times within 1 day"),
    ("did 'A' at most 3 times", "count of 'A' <= 3"),
    ("did 'A' exactly 2 times this year", "count of 'A' this year = 2"),
    ("did 'A' in month 2028-02", "did 'A' between 2028-02-01 and 2028-02-29"),
    ("did 'A' where x = 1 and # both\n not did 'B'", "did 'A' where (x = 1) and not did 'B'"),
    ("did 'A' where x = 1 or y = 2 and trait z = 3", "did 'A' where (x = 1 or y = 2) and trait z = 3"),
    ("did 'A' where x = 1 and y = 2 within 1 day", "did 'A' where (x = 1 and y = 2) within 1 day"),
    ("did 'A' where (x = 1 or y = 2) and spend = 2", "did 'A' where (x = 1 or y = 2) and spend = 2"),
    ("did 'A' where count > 1 and last = 2 today", "did 'A' where (count > 1 and last = 2) today"),
    ("attribute count > 0.50", "count > 0.5"),
    ("open_rate > 50%", "open_rate > 0.5"),
    ("maximum of 'A'.x > -0", "max of 'A'.x > 0"),
    ("trait a is not missing or trait a is not known", "trait a is known or trait a is missing"),
    ("is in segment vip", "in segment vip"),
]


@pytest.mark.parametrize(("text", "shown"), SAME)
def test_other_ways_to_say_it(text: str, shown: str) -> None:
    assert show(parse(text)) == shown
