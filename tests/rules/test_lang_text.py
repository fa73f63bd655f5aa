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
