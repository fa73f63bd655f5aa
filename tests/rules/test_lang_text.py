"""The text form, the JSON form and the tree are the same thing."""

from __future__ import annotations

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
