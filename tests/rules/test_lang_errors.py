"""Text that does not parse: the caret, what could stand there, and the hint for the usual slip."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conditions

from mailwright.core.errors import InvalidInput
from mailwright.rules import syntax as s
from mailwright.rules.parse import parse
from mailwright.rules.show import show


def fault(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(text, path="segments.yaml: vip.rule")
    assert caught.value.code == "rule.syntax"
    return caught.value


# (text, the words under the caret, a part of the message or hint)
SLIPS = [
    ("did 'A' within 99999999999 weeks", "99999999999 weeks", "longer than 1,000 years"),
    ("trait a > 0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59", "no instant"),
    ("5-3 > spend", "5-3", "spaces around"),
    ("opened 'spring'", "'spring'", "opened campaign 'spring'"),
    ("affinity to 'Shoes' by category over {'A': 1}", "", "half-life"),
    ("abandoned a cart within 1 day by cart_id", "by", "expected"),
    ('did "Order Completed"', '"Order Completed"', "single quotes"),
    ("did ‘X’", "‘", "straight quote"),
    ("did Order Completed", "Order", "did 'Order Completed'"),
    ("count of Orders > 3", "Orders", "the event stands in single quotes"),
    ("did 'X", "'X", "not closed"),
    ("trait x = 'it's'", "s", "''"),
    ("trait country == 'US'", "=", "a single ="),
    ("trait country <> 'US'", ">", "!="),
    ("trait a => 5", ">", ">="),
    ("trait a = 5 && trait b = 6", "&&", "and"),
    ("trait a = 5 || trait b = 6", "||", "or"),
    ("trait country = null", "null", "is missing"),
    ("trait country is null", "is", "is missing"),
    ("trait country is not 'US'", "is", "!="),
    ("trait country is 'US'", "is", "="),
    ("trait country not in ('US')", "not", "not trait country in"),
    ("trait name like 'A%'", "like", "contains"),
    ("spend is more than 5", "is", ">"),
    ("spend more than 5", "more", ">"),
    ("spend under 5", "under", "<"),
    ("first 'X' after 2026-01-01", "after", ">"),
    ("did 'X' since 2026-01-01", "since", "between"),
    ("did 'X' in the last 30 days", "in", "within 14 days"),
    ("did 'X' last 30 days", "last", "within 14 days"),
    ("did 'X' within 3 months", "months", "differ in length"),
    ("did 'X' within 30d", "30d", "30 days"),
    ("spend > 1,000", ",", "1000"),
    ("spend > .5", ".", "0.5"),
    ("spend > 5e3", "5e3", "1200"),
    ("email.domain = 'x'", ".", "trait address.city"),
    ("did 'X' at least 3", "", "times"),
    ("did 'X' where (a = 1 and trait b = 2)", "trait", "close the filter's bracket"),
    ("did 'X' where (a = 1 or # else\n not count of 'B' > 2)", "count", "close the filter's bracket"),
    ("did 'X' where trait b = 2", "b", "asks of the event"),
    ("trait a > 2026-01-01T00:00:00", "2026-01-01T00:00:00", "offset"),
    ("spend >", "", "a value"),
    ("did 'X' and", "", "a condition"),
    ("", "", "a condition"),
    ("(did 'X'", "", "')'"),
    ("did 'X')", ")", "no open bracket"),
    ("did 'X' within 1 day within 2 days", "did 'X' within 1 day within 2 days", "two windows"),
    ("did 'X' on 2026-02-30", "on 2026-02-30", "no day 2026-02-30"),
    ("did 'X' between 2026-02-02 and 2026-02-01", "between 2026-02-02 and 2026-02-01", "earlier day first"),
    ("did 'X' at least 0 times", "at least 0 times", "too few"),
    ("did 'X' at least 1.5 times", "at least 1.5 times", "whole number"),
    ("sum of 'X' > 5", "sum of 'X'", "needs a property"),
    ("score {'a': 1, 'a': 2} > 3", "{'a': 1, 'a': 2}", "once"),
    ("random bucket 'x' < 120%", "random bucket 'x' < 120%", "0% to 100%"),
    ("did 'A' within 1 day then 'B'", "did 'A' within 1 day then 'B'", "later step"),
    ("did not 'A' then 'B'", "did not 'A' then 'B'", "not (did 'A' then 'B')"),
    ("anniversary of birthday is within next 3 hours", "anniversary of birthday is within next 3 hours", "whole days"),
    ("did 'X'\n  and trait country = 'US\n", "'US", "not closed"),
]


@pytest.mark.parametrize(("text", "marked", "said"), SLIPS)
def test_slips(text: str, marked: str, said: str) -> None:
    error = fault(text)
    assert said in str(error)
    (issue,) = error.issues
    assert issue.path == "segments.yaml: vip.rule"
    assert issue.span is not None
    row = (text.splitlines() or [""])[issue.span.line - 1]
    start = issue.span.column - 1
    assert row[start : start + issue.span.length] == marked
    assert start <= len(row)


def test_the_message_shows_the_line_with_a_caret() -> None:
    expected = (
        "segments.yaml: vip.rule:2:16: '=' cannot stand here; expected a value\n"
        "      and trait a == 5\n"
        "                   ^\n"
        "    hint: equality is a single ="
    )
    assert str(fault("did 'X'\n  and trait a == 5")) == expected


@settings(max_examples=100, deadline=None)
@given(conditions(), st.data())
def test_broken_text_is_refused_or_means_something(node: s.Expression, data: st.DataObject) -> None:
    """No text makes the parser fail in another way, and every caret lies inside the text."""
    text = show(node)
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.sampled_from(("", "'", "(", ")", "and ", " not ", "`", "where ", ", ", ".", "5", "\n", "#", "💥"))
    )
    broken = text[:at] + junk + text[at + data.draw(st.integers(0, 3)) :]
    try:
        again = parse(broken)
    except InvalidInput as error:
        span = error.issues[0].span
        rows = broken.splitlines() or [""]
        assert span is None or 1 <= span.column <= len([*rows, ""][span.line - 1]) + 1
    else:
        assert parse(show(again)) == again


@pytest.mark.parametrize("text", ["not " * 61 + "did 'X'", "(" * 50 + "not " * 4_000 + "did 'X'" + ")" * 50])
def test_nesting_is_bounded(text: str) -> None:
    assert "nested more than 60" in str(fault(text))


def test_length_is_bounded() -> None:
    assert "20,001" in str(fault("x" * 20_001))


def test_brackets_alone_are_no_nesting() -> None:
    assert parse("(" * 5_000 + "everyone" + ")" * 5_000) == s.Always()
