import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.durations import duration_micros, duration_text
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1 second", SECOND),
        ("30 minutes", 30 * MINUTE),
        ("12 hours", 12 * HOUR),
        (" 7  days ", 7 * DAY),
        ("2 Weeks", 14 * DAY),
    ],
)
def test_reads_what_people_write(text: str, micros: int) -> None:
    assert duration_micros(text) == micros


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "duration.format"),
        ("7", "duration.format"),
        ("-1 day", "duration.format"),
        ("1.5 days", "duration.format"),
        ("0 days", "duration.zero"),
        ("3 fortnights", "duration.unit"),
    ],
)
def test_refuses_what_is_no_length_of_time(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        duration_micros(text)
    assert caught.value.code == code


def test_an_unknown_unit_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'hour'"):
        duration_micros("3 huors")


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (SECOND, "1 second"),
        (90 * SECOND, "90 seconds"),
        (36 * HOUR, "36 hours"),
        (14 * DAY, "2 weeks"),
        (5, "0 seconds"),
        (0, "0 seconds"),
    ],
)
def test_prints_in_the_largest_whole_unit(micros: int, text: str) -> None:
    assert duration_text(micros) == text


@given(st.integers(1, 900_000))
@settings(max_examples=50, deadline=None)
def test_whole_seconds_survive_printing_and_reading(seconds: int) -> None:
    assert duration_micros(duration_text(seconds * SECOND).replace(",", "")) == seconds * SECOND
