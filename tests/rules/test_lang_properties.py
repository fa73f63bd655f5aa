"""What holds of the interpreter for any rule, history and instant."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import NEW_YORK, Scope, catalog, conditions, histories, instants, values

from mailwright.core.events import PLACES, Event, Offset
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.parse import parse
from mailwright.rules.values import identity, kind_of, plain

SCOPE = Scope(attributes=("a", "b"), segments=("s1", "s2"))
CATALOG = catalog()
History = list[tuple[Offset, Event]]


def asked(node: s.Expression, history: History, t: Instant) -> Any:
    context = Context(
        attributes={"a": parse("count of 'A' within 1 day"), "b": parse("did 'B' then 'C' within 7 days")},
        segments={"s1": parse("a >= 1"), "s2": parse("in segment s1 and not b")},
        catalog=CATALOG,
        lists={"l1"},
        zone=NEW_YORK,
        first_identifier="user_id:7",
        segment_since=lambda name: Instant(0) if name == "s1" else None,
    )
    return interpret(node, history, t, context)


@settings(max_examples=100, deadline=None)
@given(conditions(SCOPE), histories(), instants(), st.randoms(use_true_random=False))
def test_a_condition_is_true_or_false_whatever_the_order_of_the_list(
    node: s.Expression, history: History, t: Instant, random: Any
) -> None:
    truth = asked(node, history, t)
    assert truth is True or truth is False
    assert asked(s.Not(term=node), history, t) is not truth
    shuffled = random.sample(history, len(history))
    assert asked(node, shuffled, t) is truth


@settings(max_examples=100, deadline=None)
@given(values(SCOPE), histories(), instants())
def test_repeats_and_what_is_not_known_yet_change_nothing(node: s.Expression, history: History, t: Instant) -> None:
    said = asked(node, history, t)
    repeats = [(Offset(offset + 1_000 * PLACES), event) for offset, event in history]
    known = [(offset, event) for offset, event in history if max(event.known_at, event.stamp_at) <= t]
    assert identity(asked(node, history + repeats, t)) == identity(said)
    if len({(event.source, event.message_id) for _, event in history}) == len(history):
        assert identity(asked(node, known, t)) == identity(said)


@settings(max_examples=100, deadline=None)
@given(values(SCOPE), histories(), instants())
def test_values_have_a_json_form(node: s.Expression, history: History, t: Instant) -> None:
    said = plain(asked(node, history, t))
    assert kind_of(said) in ("missing", "boolean", "number", "text", "list", "object")


@settings(max_examples=100, deadline=None)
@given(conditions(SCOPE), conditions(SCOPE), histories(), instants())
def test_and_or_are_those_of_logic(a: s.Expression, b: s.Expression, history: History, t: Instant) -> None:
    first, second = asked(a, history, t), asked(b, history, t)
    assert asked(s.And(terms=(a, b)), history, t) is (first and second)
    assert asked(s.Or(terms=(a, b)), history, t) is (first or second)
    assert s.key(s.And(terms=(a, b))) == s.key(s.And(terms=(b, a)))
