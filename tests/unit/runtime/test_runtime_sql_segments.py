"""SQL segments: found at their planned times, live as segments, visible when they fail, never in the engine's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine_world import World, at, event, wait_for, world

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Defined, Events, ListChanged, Tick
from mailwright.core.instants import DAY, HOUR, Instant, parse_iso
from mailwright.runtime.engine.sql_segments import SqlSegments, newest_refresh
from mailwright.runtime.project.load import load_project
from mailwright.segments.sql import SqlSegmentDefinition, in_dialect

BUYERS = """
title: Buyers
every: 1 day
sql: |
  SELECT DISTINCT identifier_kind || ':' || identifier AS identifier
  FROM events WHERE name = 'Order Completed'
"""
FILES = {"sql_segments/buyers.yaml": BUYERS}


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def runner(there: World, **more: Any) -> SqlSegments:
    parts: dict[str, Any] = {"history": there.history, "log": there.log, "meta": there.stored.meta, "clock": there.wall}
    return SqlSegments(**{**parts, "inline": True, **more})


def changes(there: World) -> list[ListChanged]:
    return [record.body for record in there.log.read(0, 1000) if isinstance(record.body, ListChanged)]


def test_a_query_fills_a_segment_at_its_times(there: World) -> None:
    there.append([(0, Defined(1, FILES)), (0, Events([event(1, "ada")])), (0, Tick())])
    with there.running(there.engine(sql_segments=runner(there))) as engine:
        there.caught_up(engine)
        there.append([(0.5, Events([event(2, "bob", days=0.5), event(3, "ada", days=0.5)])), (0.5, Tick())])
        state = there.caught_up(engine)
        assert [change.added for change in changes(there)] == [["user_id:ada"]]
        assert state.fold.members("buyers").tolist() == [True, False]
        there.append([(1, Tick())])
        there.caught_up(engine)
        there.append([(1, Tick())])
        state = there.caught_up(engine)
    assert [change.added for change in changes(there)] == [["user_id:ada"], ["user_id:bob"]]
    assert state.fold.members("buyers").tolist() == [True, True]
    done = newest_refresh(there.stored.meta, "buyers")
    assert done is not None
    assert (done.planned_at, done.rows, done.error) == (at(1), 2, "")


def test_a_restart_does_not_run_again_what_has_run(there: World) -> None:
    there.append([(0, Defined(1, FILES)), (0, Events([event(1, "ada")])), (0, Tick())])
    for _ in range(2):
        with there.running(there.engine(sql_segments=runner(there))) as engine:
            there.caught_up(engine)
            there.append([(0.1, Tick())])
            there.caught_up(engine)
    assert len(changes(there)) == 1


def test_who_is_no_longer_found_leaves_and_persons_are_known_by_number(there: World) -> None:
    sql = "SELECT person FROM belonging WHERE identifier = 'user_id:' || {who!r}"
    files = [{"sql_segments/one.yaml": f"title: One\nevery: 1 hour\nsql: {sql.format(who=who)}\n"} for who in "ab"]
    there.append([(0, Defined(1, files[0])), (0, Events([event(1, "a"), event(2, "b")])), (0, Tick())])
    with there.running(there.engine(sql_segments=runner(there))) as engine:
        there.caught_up(engine)
        there.append([(0.01, Defined(2, files[1])), (0.01, Tick())])
        there.caught_up(engine)
        there.append([(0.02, Tick())])
        state = there.caught_up(engine)
        assert state.fold.members("one").tolist() == [False, True]
    assert [(change.added, change.removed) for change in changes(there)][1:] == [
        (["user_id:b"], []),
        ([], ["user_id:a"]),
    ]


def test_a_query_that_fails_leaves_the_list_and_says_why(there: World) -> None:
    broken = {"sql_segments/buyers.yaml": BUYERS.replace("FROM events", "FROM evnts")}
    there.append([(0, Defined(1, broken)), (0, Events([event(1, "ada")])), (0, Tick())])
    with there.running(there.engine(sql_segments=runner(there))) as engine:
        there.caught_up(engine)
    done = newest_refresh(there.stored.meta, "buyers")
    assert done is not None
    assert "evnts" in done.error
    assert changes(there) == []


def test_the_engine_does_not_wait_for_a_query(there: World) -> None:
    going, let_go = threading.Event(), threading.Event()

    class Slow:
        def query(self, sql: str, parameters: Any = None) -> Any:
            if "Order Completed" in sql:
                going.set()
                assert let_go.wait(120)
            return there.history.query(sql, parameters)

        def offset(self, table: str) -> Any:
            return there.history.offset(table)

    there.append([(0, Defined(1, FILES)), (0, Events([event(1, "ada")])), (0, Tick())])
    segments = runner(there, inline=False, history=Slow())
    with there.running(there.engine(sql_segments=segments)) as engine:
        assert going.wait(120)
        there.append([(2, Events([event(2, "bob")])), (2, Tick())])
        assert there.caught_up(engine).tick_offset > 0  # while the query still runs
        let_go.set()
        wait_for(lambda: changes(there), "the query's answer is not told")
        assert segments._thread is not None
        segments._thread.join(120)  # it still notes the run: not in stores that are closed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: X\nevery: 1 hour\nsql: SELECT 1 AS one\n", "not one column of people"),
        ("title: X\nevery: 1 hour\nsql: DROP TABLE events\n", "not one SELECT"),
        ("title: X\nevery: 1 hour\nsql: SELECT FROM WHERE\n", "sql"),
        ("title: X\nsql: SELECT person FROM belonging\n", "daily_at"),
        ("title: X\nevery: 5 seconds\nsql: SELECT person FROM belonging\n", "1 minute"),
        ("title: X\ndaily_at: 25:00\nsql: SELECT person FROM belonging\n", "25:00"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_at_plan(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        load_project({"sql_segments/x.yaml": text})
    assert "sql_segments/x.yaml" in str(caught.value)


def test_no_other_segment_has_the_name() -> None:
    with pytest.raises(InvalidInput, match="too"):
        load_project({**FILES, "segments.yaml": "buyers: {title: B, rule: everyone}\n"})


def test_other_rules_may_ask_for_it() -> None:
    project = load_project({**FILES, "segments.yaml": "few: {title: F, rule: in segment buyers and did 'X'}\n"})
    assert set(project.memberships) == {"few", "buyers"}
    assert project.segments["buyers"].rule == "in list `sql:buyers`"


@pytest.mark.parametrize(
    ("now", "planned"),
    [
        ("2026-03-08T05:29:00Z", "2026-03-07T06:30:00Z"),  # 06:30 in New York is not yet
        ("2026-03-08T10:30:00Z", "2026-03-08T10:30:00Z"),  # summer time has begun
        ("2026-03-09T10:29:59Z", "2026-03-08T10:30:00Z"),
    ],
)
def test_a_time_of_day_is_that_of_the_zone(now: str, planned: str) -> None:
    definition = SqlSegmentDefinition(title="X", sql="x", daily_at="06:30", time_zone="America/New_York")
    found = definition.planned(parse_iso(now), ZoneInfo("UTC"))
    assert (found, found <= parse_iso(now)) == (parse_iso(planned.replace("T06:30", "T11:30")), True)
    hourly = SqlSegmentDefinition(title="X", sql="x", every="2 hours")
    assert hourly.planned(Instant(DAY + 3 * HOUR), ZoneInfo("UTC")) == DAY + 2 * HOUR


def test_spark_is_told_in_its_own_words() -> None:
    said = in_dialect("SELECT person FROM transitions WHERE segment::VARCHAR = 'a'", "spark")
    assert "CAST(segment AS STRING)" in said
