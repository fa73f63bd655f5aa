"""Rules that parse and are wrong all the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from strategies import Scope, conditions

from mailwright.core.errors import InvalidInput
from mailwright.rules import syntax as s
from mailwright.rules.check import Names, check, find_cycle, order
from mailwright.rules.parse import parse

NAMES = Names(
    attributes={"spend", "is_new", "loop"},
    segments={"vip"},
    lists={"friends"},
    events={"Order Completed": {"total", "products.price"}, "Product Viewed": None},
    traits={"country", "address.city", "birthday"},
    expressions={"spend": parse("sum of 'Order Completed'.total"), "is_new": parse("not did 'Order Completed'")},
)

# (rule, the stretch under the caret, a part of the message or hint)
WRONG = [
    ("spned > 5", "spned", "did you mean 'spend'"),
    ("country = 'US'", "country", "trait country"),
    ("in segment vpi", "in segment vpi", "did you mean 'vip'"),
    ("in list freinds", "in list freinds", "did you mean 'friends'"),
    ("trait contry = 'US'", "trait contry", "did you mean 'country'"),
    ("did 'Order Complete'", "did 'Order Complete'", "did you mean 'Order Completed'"),
    ("sum of 'Order Completed'.totl > 5", "sum of 'Order Completed'.totl", "did you mean 'total'"),
    ("did 'Order Completed' where (totl > 5)", "totl", "did you mean 'total'"),
    ("score {'Order Complete': 1} > 5", "score {'Order Complete': 1}", "did you mean 'Order Completed'"),
    ("did 'Product Viewed' then 'Order Complete'", "did 'Product Viewed' then 'Order Complete'", "Order Completed"),
    ("spend", "spend", "a number, not true or false"),
    ("is_new and spend", "spend", "a number, not true or false"),
    ("first 'Order Completed' between 2026-01-01 and 2026-01-31", None, "(first 'Order Completed') between"),
    ("not time since last 'Order Completed'", "time since last 'Order Completed'", "a duration"),
    ("case when spend then 1 end = 1", "spend", "a number, not true or false"),
    ("did 'Order Completed' within 0 days", "did 'Order Completed' within 0 days", "no time"),
    ("time since last 'Order Completed' > 28", "time since last 'Order Completed' > 28", "28 days"),
    ("trait country > 2026-01-01", "trait country > 2026-01-01", "date of trait country"),
    ("spend contains 'x'", "spend contains 'x'", "never be true"),
    ("spend starts with 'x'", "spend starts with 'x'", "never be true"),
    ("spend between 'a' and 'b'", "spend between 'a' and 'b'", "never be true"),
    ("spend in (1, 'a')", "spend in (1, 'a')", "never be true"),
    ("is_new > true", "is_new > true", "never be true"),
    ("local hour between 22 and 6", "local hour between 22 and 6", "smaller one first"),
    ("trait country matches '('", "trait country matches '('", "regular expression"),
    ("trait country matches trait address.city", "trait country matches trait address.city", "as text"),
    ("last 101 distinct of 'Product Viewed'.x contains 1", "last 101 distinct of 'Product Viewed'.x", "1 to 100"),
    ("rate of 'Product Viewed' over last 1001 'Product Viewed' by x > 0", None, "1 to 1000"),
    ("anniversary of birthday is within next 367 days", "anniversary of birthday is within next 367 days", "366"),
    (
        "score {'Product Viewed': 1} scaled to 0..100 by 0 > 5",
        "score {'Product Viewed': 1} scaled to 0..100 by 0",
        "above 0",
    ),
    ("list of 'Product Viewed'.x cleared by 'Product Viewed' contains 1", None, "two things"),
    ("did 'Product Viewed' then no 'Order Completed'", "did 'Product Viewed' then no 'Order Completed'", "deadline"),
    ("did 'Product Viewed' then 'Order Completed' within 0 days", None, "within no time"),
    ("has been in segment vip for 0 days", "has been in segment vip for 0 days", "in segment"),
    ("count of sessions with gap 0 seconds > 1", "count of sessions with gap 0 seconds", "30 minutes"),
    ("did 'Product Viewed' where x = 1 and spend > 5 within 3 days", "spend", "attribute's name too"),
    ("did 'Product Viewed' where (x = 5 days)", "x = 5 days", "never be true"),
]


@pytest.mark.parametrize(("rule", "marked", "said"), WRONG)
def test_wrong(rule: str, marked: str | None, said: str) -> None:
    issues = check(parse(rule), NAMES, expects="condition", path="segments.yaml", source=rule)
    assert len(issues) == 1, issues
    assert said in str(issues[0])
    span = issues[0].span
    assert span is not None
    if marked is not None:
        assert rule[span.column - 1 : span.column - 1 + span.length] == marked


RIGHT = [
    "spend > 5 and is_new and in segment vip and in list friends",
    "trait country = 'US' or trait address is known or trait address.city contains 'York'",
    "did 'Order Completed' where (total > 5 and any of products (price > 5))",
    "did 'Order Completed' where products.product.department = 'Shoes'",
    "did 'Product Viewed' where (anything = 1 and spend > 5)",  # in brackets: the property is meant
    "did any page where context.page.path contains '/cart'",
    "(first 'Order Completed') between 2026-01-01 and 2026-01-31",
    "time since last 'Order Completed' > 28 days",
    "date of trait country > 2026-01-01",
    "trait country",  # may be true
    "last 3 distinct of 'Product Viewed'.x in ('a', 5)",
    "case when is_new then 'a' else 5 end = 5",
    "most frequent of 'Product Viewed'.x = true",
    "length of last session with gap 30 minutes >= 10 minutes",
]


@pytest.mark.parametrize("rule", RIGHT)
def test_right(rule: str) -> None:
    assert check(parse(rule), NAMES, expects="condition", source=rule) == []


def test_a_value_may_be_anything() -> None:
    assert check(parse("spend"), NAMES, expects="value") == []
    assert check(parse("did 'Product Viewed'"), NAMES, expects="value") == []


def test_all_faults_are_listed() -> None:
    issues = check(parse("spned > 5 and in segment vpi and did 'X' within 0 days"), NAMES, expects="condition")
    assert [issue.message.split()[0] for issue in issues] == ["there", "there", "a", "the"]


@pytest.mark.parametrize(
    "node",
    [
        s.Property(path=("a",)),
        s.AnyOf(path=("a",), where=s.Always()),
        s.Did(event="A", where=s.Did(event="B")),
        s.Did(
            event="A", where=s.Compare(op="=", left=s.Trait(path=("a",)), right=s.Constant(kind="number", value="1"))
        ),
        s.Did(event="A", times=0),
        s.Did(event="A", window=s.Within(micros=2**62)),
        s.Compare(op=">", left=s.Aggregate(function="first", event="A"), right=s.Constant(kind="instant", value=2**62)),
        s.Compare(op=">", left=s.Score(points=(("A", "1"),), half_life=2**62), right=s.Age()),
        s.Did(event="A", window=s.Between(first="2026-02-30", last="2026-03-01")),
        s.Did(event="A", window=s.Between(first="2026-02-02", last="2026-02-01")),
        s.Compare(op="=", left=s.Constant(kind="number", value="1e9"), right=s.Age()),
        s.Compare(op="=", left=s.Constant(kind="duration", value=-1), right=s.TimeSince(event="A")),
        s.Compare(op="=", left=s.Aggregate(function="sum", event="A"), right=s.Age()),
        s.Sequence(steps=(s.Step(event="A"),)),
        s.Sequence(steps=(s.Step(event="A", negated=True), s.Step(event="B"))),
        s.RandomBucket(salt="a", percent="ten"),
        s.And(terms=()),
        s.IsKnown(value=s.Trait(path=())),
        s.IsKnown(value=s.Trait(path=("",))),
    ],
)
def test_trees_that_no_text_gives(node: Any) -> None:
    issues = check(s.from_json(s.to_json(node)), Names(), expects="condition")
    assert issues
    assert all(issue.span is None for issue in issues)


@settings(max_examples=100, deadline=None)
@given(conditions(Scope(attributes=("a",), segments=("s",))))
def test_checking_never_fails_by_itself(node: s.Expression) -> None:
    names = Names(attributes={"a"}, segments={"s"}, expressions={"a": parse("a")})  # needs itself
    for issue in check(node, names, expects="condition"):
        assert issue.message


def test_cycles_and_order() -> None:
    attributes = {"a": parse("count of 'A'"), "b": parse("case when in segment s1 then a end")}
    segments = {"s3": parse("in segment s2 and b > 1"), "s2": parse("in segment s1"), "s1": parse("a > 1")}
    assert find_cycle(attributes, segments) is None
    assert order(segments, attributes) == ["s1", "s2", "s3"]
    closed = segments | {"s1": parse("did 'X' or b > 1")}
    assert find_cycle(attributes, closed) == [("attribute", "b"), ("segment", "s1"), ("attribute", "b")]
    with pytest.raises(InvalidInput, match=r"in a circle: .*attribute b -> segment s1") as caught:
        order(closed, attributes)
    assert caught.value.code == "rule.cycle"
    assert find_cycle({"x": parse("x > 1")}, {}) == [("attribute", "x"), ("attribute", "x")]


def test_a_long_chain_is_no_cycle() -> None:
    chain = {f"s{n}": parse(f"in segment s{n + 1}") for n in range(3_000)} | {"s3000": parse("everyone")}
    assert order(chain, {})[:2] == ["s3000", "s2999"]
