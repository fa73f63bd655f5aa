from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Offset
from mailwright.core.transitions import START, Cursor, parse_cursor

numbers = st.integers(0, 2**53)
cursors = numbers.map(Cursor) | st.tuples(numbers, st.integers(0, 2**31), st.text("ab.-é", min_size=1)).map(
    lambda place: Cursor(*place)
)


@given(cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


def test_a_tick_lies_behind_its_transitions_and_before_those_of_the_next() -> None:
    first, second = Cursor(Offset(5), 7, "vip"), Cursor(Offset(5), 7, "young")
    assert START < first < second < Cursor(Offset(5)) < Cursor(Offset(6), 0, "a")
    assert parse_cursor("0") == START


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "5.", "5.7", "5.7.", "5.x.vip", "5..vip", "²", "9" * 30, "5.7." + "a" * 400]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_cursor(text)
    assert refused.value.code == "transition.cursor"
