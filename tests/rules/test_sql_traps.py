"""Places where an engine's own rules would give another answer than the language, each once."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from lang_world import NOW, event, traits
from sql_world import by_interpreter, by_sql

from mailwright.core.errors import InvalidInput, UnsupportedRule
from mailwright.core.events import Event, Offset
from mailwright.core.instants import Instant
from mailwright.rules.parse import parse
from mailwright.rules.sql.compile import Compiled, Definitions
from mailwright.rules.sql.printing import print_sql
from mailwright.rules.values import plain

NOTHING = Definitions({}, {})

CASES: list[tuple[str, list[Event], Any]] = [
    # types: nothing turns into anything else
    ("did 'A' where x = 1", [event("A", x="1")], False),
    ("did 'A' where x = 1", [event("A", x=True)], False),
    ("did 'A' where x = 1", [event("A", x=1.0)], True),
    ("did 'A' where x != 1", [event("A", x="1")], False),
    ("did 'A' where x != 1", [event("A")], False),
    ("did 'A' where not x = 1", [event("A", x=None)], True),
    ("did 'A' where x", [event("A", x="true")], False),
    ("did 'A' where x", [event("A", x=True)], True),
    # numbers: exact, at any size
    ("did 'A' where x = 9007199254740993", [event("A", x=9007199254740992)], False),
    ("did 'A' where x > 9007199254740992", [event("A", x=9007199254740993)], True),
    ("sum of 'A'.x = 0.3", [event("A", x=0.1, message_id="1"), event("A", x=0.2, message_id="2")], True),
    ("sum of 'A'.x", [event("A", x=2.5e-06)], 0.000002),
    ("sum of 'A'.x", [event("A", x=-2.5e-06)], -0.000002),
    ("sum of 'A'.x", [event("A", x=3.5e-06)], 0.000004),
    ("sum of 'A'.x", [event("A", x=5.000000000000001e-07)], 0.000001),
    ("sum of 'A'.x", [event("A", x=10**13), event("A", "1s", x=1)], 1),
    ("average of 'A'.x", [event("A", x=0.000001), event("A", "1s", x=0), event("A", "2s", x="9")], 0),
    ("average of 'A'.x", [event("A", x="9")], None),
    ("distinct of 'A'.x", [event("A", x=[1, 1.0, True, "1", None, {"a": 1}, {"a": 1.0}])], 4),
    # text: by Python's rules, and case folds as Unicode says
    ("did 'A' where x contains 'SS'", [event("A", x="straße")], True),
    ("did 'A' where x starts with 'é'", [event("A", x="Ég")], True),
    ("did 'A' where x matches '^a.c$'", [event("A", x="a\nc")], False),
    ("did 'A' where x contains '%'", [event("A", x="abc")], False),
    ("did 'A' where x = 'a'", [event("A", x="a ")], False),
    ("did 'A' where x < 'a'", [event("A", x="Z")], True),
    # lists and paths
    ("did 'A' where any of l (c = 'S' and p > 50)", [event("A", l=[{"c": "S", "p": 1}, {"c": "H", "p": 60}])], False),
    ("did 'A' where l.c = 'S' and l.p > 50", [event("A", l=[{"c": "S", "p": 1}, {"c": "H", "p": 60}])], True),
    ("did 'A' where any of l (not p = 1)", [event("A", l=[None])], False),
    ("did 'A' where `0` = 5", [event("A", **{"0": 5})], True),
    ("did 'A' where l.`0` = 5", [event("A", l=[5])], False),
    ("did 'A' where l contains 'a'", [event("A", l=["b", "a"])], True),
    ("did 'A' where l contains 'a'", [event("A", l="CAB")], True),
    ("count of 'A'.l.p", [event("A", l=[{"p": [1, 2]}, {"p": None}, [{"p": 3}]])], 3),
    # windows
    ("count of 'A' within 1 day", [event("A", "1d"), event("A", "23h 59m")], 1),
    ("count of 'A' today", [event("A", "12h"), event("A", "12h 1u")], 1),
    ("count of 'A'", [event("A", known=Instant(NOW + 1))], 0),
    ("count of 'A'", [event("A", Instant(NOW + 1), known="1d")], 0),
    ("count of 'A' between 2026-03-08 and 2026-03-08", [event("A", "2026-03-09T03:59:59Z")], 1),
    ("count of 'A' between 2026-03-08 and 2026-03-08", [event("A", "2026-03-09T04:00:00Z")], 0),
    # the zone: New York's clocks have changed, Berlin's not yet
    ("local hour", [traits("9d", timezone="Europe/Berlin"), event("A", context={"timezone": "Asia/Tokyo"})], 17),
    ("local hour", [traits("9d", timezone="Asia/Tokyo"), traits("8d", timezone="Europe/Berlin")], 17),
    ("local hour", [traits("8d", timezone="Tokyo"), event("A", "9d", context={"timezone": "Asia/Tokyo"})], 1),
    ("local hour", [traits("9d", timezone="Asia/Tokyo"), traits("8d", timezone=None)], 12),
    ("local hour", [traits("9d", timezone='"Asia/Tokyo"],["'), event("A", context={"timezone": {"a": [1]}})], 12),
    ("local hour", [event("", "9d", type="group", traits={"timezone": "Asia/Tokyo"})], 12),
    # traits
    ("trait a.b", [traits("2d", a={"b": 1}), traits("1d", a={"c": 2})], 1),
    ("trait a.b is missing", [traits("2d", a={"b": 1}), traits("1d", a=None)], True),
    ("trait a.b is missing", [traits("2d", a={"b": 1}), traits("1d", a={"b": None})], True),
    ("trait a", [traits("1d", a="late"), traits("1d", a="later")], "later"),
    ("trait a = trait b", [traits(a={"x": [1, 2]}, b={"x": [1.0, 2]})], True),
    ("first of 'A'.x", [event("A", "1d", x="b"), event("A", "1d", x="a")], "b"),
    ("last of 'A'.x", [event("A", "1d", x=1), event("A", x=None)], 1),
]


@pytest.mark.parametrize(("rule", "events", "expected"), CASES, ids=[f"{n} {case[0]}" for n, case in enumerate(CASES)])
def test_trap(rule: str, events: list[Event], expected: Any) -> None:
    told = [(Offset(place), each) for place, each in enumerate(events)]
    node = parse(rule)
    assert plain(by_interpreter(node, told, NOW, 0, {}, NOTHING)) == expected
    assert plain(by_sql({"r": node}, [told], [NOW], {}, NOTHING)[0]["r"]) == expected


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("did 'A' and most frequent of 'A'.x = 1", "most frequent of 'A'.x"),
        ("age > 5", "age"),
        ("did 'A' then 'B'", "did 'A' then 'B'"),
        ("has been in segment s for 2 days", "has been in segment s for 2 days"),
        ("trait a = 1 and last of 'A' = 2026-01-01", "last 'A' = 2026-01-01"),
        ("did 'A' where products.product.brand = 'x'", "did 'A' where (products.product.brand = 'x')"),
    ],
)
def test_what_sql_does_not_say_is_refused_with_its_place(rule: str, refused: str) -> None:
    with pytest.raises(UnsupportedRule) as caught:
        Compiled({"r": parse(rule)}, Definitions({}, {"s": parse("everyone")}), "duckdb")
    (issue,) = caught.value.issues
    assert issue.span is not None
    assert issue.source[issue.span.column - 1 :][: issue.span.length] == refused
    assert "fold over History" in issue.hint


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_a_rule_is_printed_for_people(dialect: str) -> None:
    rule = "did 'Order' where name = 'a' and x > 1.5 within 2 days and trait country = 'US'"
    shown = print_sql(parse(rule), dialect)
    assert "'US'" in shown
    assert "p1" not in shown
    assert sqlglot.parse_one(shown, dialect=dialect).find(sqlglot.exp.With) is not None


def test_no_other_dialect_is_known() -> None:
    with pytest.raises(InvalidInput, match="oracle"):
        print_sql(parse("everyone"), "oracle")
