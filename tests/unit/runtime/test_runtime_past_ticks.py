"""Ticks of the past read by stretches are those of one long list."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from split_world import stretches

from mailwright.core.events import Offset
from mailwright.core.instants import Instant
from mailwright.runtime.engine.past_ticks import PastTicks, Stretch, TickThen

SMALL = st.integers(0, 40)
LISTS = st.lists(st.tuples(SMALL, SMALL), max_size=12).map(
    lambda found: list(
        zip(sorted({Offset(offset) for offset, _ in found}), sorted(Instant(at) for _, at in found), strict=False)
    )
)


@settings(max_examples=200, deadline=None)
@given(LISTS, st.integers(1, 5), SMALL, SMALL, st.integers(-1, 41))
def test_stretches_say_what_the_whole_says(
    ticks: list[tuple[Offset, Instant]], size: int, before: int, sooner: int, asked: int
) -> None:
    past = stretches(ticks, Offset(before), size).until(Offset(sooner))
    mine = [tick for tick in ticks if tick[0] < min(before, sooner)]
    assert past.after(Offset(asked)) == next((tick for tick in mine if tick[0] > asked), None)
    assert past.reaching(Instant(asked)) == next((tick for tick in mine if tick[1] >= asked), None)
    assert past.last() == (mine[-1] if mine else None)


def test_only_the_stretches_that_hold_an_answer_are_read() -> None:
    read: list[int] = []

    def stretch(place: int) -> Stretch:
        def numbers() -> tuple[np.ndarray, np.ndarray]:
            read.append(place)
            offsets = np.arange(place * 100, place * 100 + 100)
            return offsets, offsets * 10

        return Stretch(TickThen(Offset(place * 100 + 99), Instant(place * 1000 + 990)), numbers)

    past = PastTicks([stretch(place) for place in range(50)], Offset(5_000))
    assert read == []
    assert past.after(Offset(1_234)) == (1_235, 12_350)
    assert past.reaching(Instant(12_341)) == (1_235, 12_350)
    assert past.after(Offset(1_299)) == (1_300, 13_000)
    assert past.after(Offset(4_999)) is None
    assert past.last() == (4_999, 49_990)
    assert read == [12, 13]
