"""The calendar queue beside a plain list, and windowed columns beside recounting."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Permanent
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules.fold import calendar as calendars
from mailwright.rules.fold.calendar import NEVER, PEOPLE_MAX, Calendar, Dated
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.queue import Queue

Row = tuple[int, int, int]
stamps = st.one_of(
    st.integers(-3 * DAY, 5 * DAY),
    st.sampled_from([-DAY - 1, -DAY, -1, 0, 1, DAY - 1, DAY, DAY + 1, 2 * DAY]),
)
rows = st.tuples(st.one_of(st.integers(0, 3), st.just(PEOPLE_MAX - 1)), stamps, st.integers(-(2**62), 2**62))
batches = st.lists(st.lists(rows, min_size=1, max_size=6), max_size=40)


def dated(batch: list[Row], valued: bool) -> Dated:
    person, stamp, value = (np.array(column, dtype=np.int64) for column in zip(*batch, strict=True))
    return Dated(person, stamp, value if valued else None)


def told(found: Dated) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in found if column is not None), strict=True))


@settings(max_examples=200, deadline=None)
@given(batches, st.booleans(), st.lists(st.tuples(stamps, stamps), min_size=1, max_size=5), st.integers(0, 8))
def test_a_calendar_is_a_list(told_rows: list[list[Row]], valued: bool, asked: list[Any], reload_at: int) -> None:
    calendar, kept = Calendar(valued), []
    for place, batch in enumerate(told_rows):
        with patch.object(calendars, "_RUNS", 2):  # merge often
            calendar.add(*dated(sorted(batch, key=lambda row: row[1]), valued))
        kept += batch
        if place == reload_at:
            dumped = calendar.dump()
            calendar = Calendar(valued)
            calendar.load(dumped)
        assert len(calendar) == len(kept)
    for after, upto in [*asked, (-NEVER, NEVER)]:
        inside = [row if valued else row[:2] for row in kept if after < row[1] <= upto]
        assert told(calendar.between(after, upto)) == sorted(inside)
        assert calendar.first_after(after) == min((stamp for _, stamp, _ in kept if stamp > after), default=NEVER)
    calendar.drop(asked[0][0])
    left = told(calendar.between(asked[0][0], NEVER))
    assert left == sorted(row if valued else row[:2] for row in kept if row[1] > asked[0][0])
    assert all(row[1] > asked[0][0] - DAY for row in told(calendar.between(-NEVER, NEVER)))


def test_runs_stay_few() -> None:
    calendar = Calendar(False)
    one = np.ones(1, np.int64)
    for at in range(5_000):
        calendar.add(one, one * (at * 7919 % DAY), None)
    assert all(len(runs) <= calendars._RUNS for runs in calendar._buckets.values())
    assert len(calendar) == 5_000


def test_a_dump_shares_the_rows_that_did_not_change() -> None:
    calendar = Calendar(True)
    for at in range(20):
        calendar.add(*dated([(1, at * HOUR * 5, at)], True))
    first = calendar.dump()
    calendar.add(*dated([(2, 3 * DAY, 1)], True))
    second = calendar.dump()
    assert [day for day in second if second[day]["keys"] is not first[day]["keys"]] == ["3"]
    assert not any(state["keys"].flags.writeable for state in second.values())


def test_more_people_than_a_key_can_hold_are_refused() -> None:
    queue = Queue(DAY, False, Heirs())
    with pytest.raises(Permanent, match="more than"):
        queue.grow(PEOPLE_MAX + 1)


WINDOWS = (1, HOUR, DAY - 1, DAY, 3 * DAY)
shop = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 4), stamps, st.sampled_from([1, -7, 2**61, -(2**61)])), max_size=5),
        st.sampled_from([0, 1, HOUR, DAY, 4 * DAY]),
        st.one_of(st.none(), st.tuples(st.integers(0, 4), st.integers(0, 4))),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(shop, st.integers(0, 12))
def test_windowed_columns_are_what_recounting_gives(story: list[Any], reload_at: int) -> None:
    heirs = Heirs()
    queue = Queue(max(WINDOWS), True, heirs)
    queue.grow(5)
    leaves = {micros: queue.leaf(micros) for micros in WINDOWS}
    heir = list(range(5))
    kept: list[Row] = []
    at = 0
    for place, (batch, pause, merge) in enumerate(story):
        batch = [(heir[person], stamp, value) for person, stamp, value in batch]
        if batch:
            queue.take(dated(batch, True))
        kept += batch
        if merge and heir[merge[0]] != heir[merge[1]]:
            into, gone = heir[merge[0]], heir[merge[1]]
            heirs.merge(into, gone)
            queue.merge(into, gone)
            heir = [into if each == gone else each for each in heir]
            kept = [(into if person == gone else person, stamp, value) for person, stamp, value in kept]
        at += pause
        before = {micros: figures(leaf) for micros, leaf in leaves.items()}
        left = queue.passed(Instant(at))
        if place == reload_at:
            state = queue.dump()
            queue = Queue(max(WINDOWS), True, heirs)
            leaves = {micros: queue.leaf(micros) for micros in WINDOWS}
            queue.load(state)
        for micros, leaf in leaves.items():
            inside = [row for row in kept if row[1] > at - micros]
            assert figures(leaf) == recounted(inside)
            changed = {person for person in range(5) if figures(leaf)[person] != before[micros][person]}
            assert changed <= set(left.get(micros, np.zeros(0)).tolist())
            due = leaf.next_due()
            assert due == min((stamp + micros for _, stamp, _ in inside), default=None)
        assert figures(queue.view(2 * HOUR)) == recounted([row for row in kept if row[1] > at - 2 * HOUR])


def figures(leaf: Any) -> list[tuple[int, int]]:
    return [(int(leaf.cells["count"][person]), int(leaf.cells["sum"][person])) for person in range(5)]


def recounted(inside: list[Row]) -> list[tuple[int, int]]:
    counts: Counter[int] = Counter(person for person, _, _ in inside)
    return [(counts[person], sum(value for who, _, value in inside if who == person)) for person in range(5)]
