"""The transitions that the engine keeps: every cut of them into pages is the same list, old ones go, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.transitions import START, Cursor
from mailwright.rules.fold import Change
from mailwright.runtime.engine import recent as module
from mailwright.runtime.engine.recent import Recent, Row

changes = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=8, unique=True).map(
    lambda pairs: [Change(Person(person), segment, True, "event") for person, segment in pairs]
)


def filled(ticks: list[list[Change]], kept: int = 1000) -> Recent:
    made = Recent(kept=kept)
    for number, tick in enumerate(ticks, 1):
        made.add(Offset(number * 10), Instant(number), tick)
    return made


def read_all(kept: Recent, segments: set[str] | None, limit: int, cursor: Cursor) -> tuple[list[Row], Cursor]:
    rows: list[Row] = []
    while True:
        found = kept.after(cursor, segments, limit)
        assert found.cursor >= cursor
        rows += found.rows
        cursor = found.cursor
        if not found.more:
            return rows, cursor


@settings(max_examples=60)
@given(st.lists(changes, max_size=6), st.integers(1, 5), st.none() | st.sets(st.sampled_from("abc")))
def test_pages_of_any_size_are_one_list(ticks: list[list[Change]], limit: int, segments: set[str] | None) -> None:
    kept = filled(ticks)
    wanted = sorted(
        (number * 10, change.person, change.segment)
        for number, tick in enumerate(ticks, 1)
        for change in tick
        if segments is None or change.segment in segments
    )
    rows, cursor = read_all(kept, segments, limit, START)
    assert [tuple(row[:3]) for row in rows] == wanted
    assert read_all(kept, segments, limit, cursor)[0] == []
    for row in rows:  # whoever comes back with any cursor gets exactly the rest
        assert read_all(kept, segments, limit, row.cursor)[0] == rows[rows.index(row) + 1 :]


def test_a_rare_segment_is_looked_for_in_several_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_THROUGH", 3)
    common = [Change(Person(n), "a", True, "event") for n in range(10)]
    kept = filled([common, [Change(Person(1), "b", False, "time")]])
    assert kept.after(START, {"b"}, 5).rows == []
    assert [row.segment for row in read_all(kept, {"b"}, 5, START)[0]] == ["b"]


def test_old_ones_go_and_the_first_that_is_kept_is_told() -> None:
    ticks = [[Change(Person(n), "a", True, "event") for n in range(4)] for _ in range(5)]
    kept = filled(ticks, kept=8)
    rows, _ = read_all(kept, None, 3, kept.since)
    assert 8 <= len(rows) <= 10
    assert kept.since == Cursor(Offset(rows[0].offset), rows[0].person - 1, "a") or kept.since < rows[0].cursor
    everything = read_all(filled(ticks), None, 3, START)[0]
    assert everything[-len(rows) :] == rows
    assert kept.since == everything[-len(rows) - 1].cursor


def test_the_newest_of_a_segment_come_first() -> None:
    kept = filled([[Change(Person(n), "a", True, "event"), Change(Person(n), "b", True, "event")] for n in range(5)])
    found = kept.latest("a", 2)
    assert [row.person for row in found.rows] == [4, 3]
    assert found.cursor == found.rows[-1].cursor
    assert kept.latest("a", 9).cursor == START
    assert kept.latest("none", 9).rows == []
