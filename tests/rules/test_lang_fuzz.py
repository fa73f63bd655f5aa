"""Whatever is typed, a rule is read or refused with its place; nothing else ever comes out, and soon."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lang_world import NEW_YORK, shop
from strategies import Scope, conditions
from test_lang_text import SAME, SHOWN

from mailwright.core.errors import InvalidInput
from mailwright.rules import syntax as s
from mailwright.rules.check import Names, check, doubts
from mailwright.rules.fold import Fold, Rules
from mailwright.rules.parse import MAX_LENGTH, parse
from mailwright.rules.show import show
from mailwright.rules.values import text_holds

VALID = [*SHOWN, *(text for text, _ in SAME), "spend / (orders - 1) > 5", "abandoned a cart by cart_id within 7 days"]
WORDS = sorted(
    {word for text in VALID for word in text.split()} | {"'", "(", ")", "{", "}", "%", "`", "-", "*", "\x00"}
)
NAMES = Names(attributes={"spend"}, segments={"vip"}, events={"A": {"x"}}, traits={"city"}, open_events=True)


def read(text: str) -> s.Expression | None:
    """The rule, or None if it was refused; what is refused points into the text."""
    try:
        node = parse(text)
    except InvalidInput as error:
        (issue,) = error.issues
        assert issue.message
        assert issue.span is None or 1 <= issue.span.line <= text.count("\n") + 2
        assert issue.span is not None or "nested" in issue.message or "characters" in issue.message
        str(error)
        return None
    assert parse(show(node)) == node
    for issue in (
        *check(node, NAMES, expects="condition", source=text),
        *doubts(node, NAMES, expects="condition", source=text),
    ):
        assert issue.message
        str(issue)
    return node


@settings(max_examples=400, deadline=None)
@example("")
@example("#")
@example("\x00")
@example("'" * 99)
@example("(" * 500)
@example("did 'A' where x = 99999999999999999999999999999999999999999999999999999999")
@example("did 'A' within 99999999999999999999999 weeks")
@example("did 'A' between 9999-12-31 and 9999-12-31")
@example("did 'A' in month 9999-12")
@example("did 'A' in month 0000-01")
@example("trait a > 0001-01-01T00:00:00+23:59")
@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_any_text(text: str) -> None:
    read(text)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_a_valid_rule_with_a_slip(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    put = data.draw(st.sampled_from(["", " ", *WORDS]) | st.text(max_size=3))
    read(text[:start] + put + text[end:])


@settings(max_examples=60, deadline=None)
@given(conditions(Scope(attributes=("spend",), segments=("vip",))), st.data())
def test_json_with_a_slip(node: s.Expression, data: st.DataObject) -> None:
    """The JSON form lets in what the text form cannot say: checked, it is refused or runs."""
    wrong = data.draw(st.sampled_from([b"0", b"-1", b'""', b"null", b"[]", b'"A"', b"99999999999999999999"]))
    text = s.to_json(node)
    places = [place for place, byte in enumerate(text) if byte == ord(":")]
    at = data.draw(st.sampled_from(places)) + 1
    end = min(place for mark in (b",", b"}") if (place := text.find(mark, at)) >= 0)
    try:
        found = s.from_json(text[:at] + wrong + text[end:])
    except (ValueError, TypeError):
        return
    for issue in check(found, NAMES, expects="condition"):
        assert issue.message


@pytest.mark.parametrize(
    "wrong",
    [b'""', b'"A"', b'"1.5"', b"true", b'"' + b"9" * 5000 + b'"'],
    ids=["empty", "text", "fraction", "boolean", "long"],
)
@pytest.mark.parametrize("right", ["count of 'A' > 36 hours", "trait a > 36 hours", "count of 'A' in (36 hours)"])
def test_a_length_of_time_that_is_none_is_told_about(right: str, wrong: bytes) -> None:
    """The message shows it as it stands; no number can be made of it."""
    text = s.to_json(parse(right)).replace(b"129600000000", wrong)
    assert wrong in text
    issues = check(s.from_json(text), NAMES, expects="condition")
    assert wrong == b"true" or issues
    assert all(issue.message for issue in issues)


def test_enormous_rules() -> None:
    with pytest.raises(InvalidInput, match="at most 20,000"):
        parse("everyone and " * MAX_LENGTH)
    options = ", ".join(f"'{n}'" for n in range(2_500))
    begun = process_time()
    node = read(f"trait a in ({options})"[:19_000].rpartition(",")[0] + ")")
    assert isinstance(node, s.In)
    assert process_time() - begun < 20
    many = s.In(value=s.Trait(path=("a",)), options=tuple(s.Constant(kind="text", value=str(n)) for n in range(10_000)))
    assert check(many, Names(), expects="condition") == []
    Fold(Rules(attributes={}, segments={"it": many}, conditions={}, zone=NEW_YORK), shop())
    for deep in ("(" * 70 + "everyone" + ")" * 70, "not " * 70 + "everyone"):
        read(deep)
    with pytest.raises(InvalidInput, match="nested more than 60"):
        parse("not " * 70 + "everyone")


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "((a{0,100}){0,100}){0,100}", "(?=a)", r"(a)\1", "[", "a{1001}", "("]
)
def test_regular_expressions_that_explode_elsewhere(pattern: str) -> None:
    """RE2 is linear in the text; what it does not take is refused where it stands."""
    begun = process_time()
    text = f"trait a matches '{pattern}'"
    if not check(parse(text), NAMES, expects="condition", source=text):
        text_holds("matches", "a" * 50_000 + "!", pattern)
    assert process_time() - begun < 5


def test_a_property_of_ten_megabytes() -> None:
    begun = process_time()
    large = "ä" * 5_000_000
    assert not text_holds("contains", large, "x")
    assert not text_holds("matches", large, "(x+)+$")
    assert process_time() - begun < 5
