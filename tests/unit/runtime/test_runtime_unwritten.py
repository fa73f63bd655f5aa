"""A person's timeline has each line once, wherever the line is: waiting for History, on its way there, or in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from engine_world import at, defined, event, records

from mailwright.core.events import (
    Body,
    Events,
    Identifier,
    ListChanged,
    LogRecord,
    Offset,
    PeopleMerged,
    PersonSplit,
    Tick,
)
from mailwright.core.happenings import Happening, Place, Unwritten, Whose
from mailwright.reports.timeline import timeline
from mailwright.runtime.engine import unwritten
from mailwright.runtime.engine.graph_reads import graph
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.engine.unwritten import Pending
from mailwright.stores.history_delta import DeltaHistory

ANA, CEM = "ana", "cem"
END: Place = (2**62, 2**62, "")


class Watched(DeltaHistory):
    """History that lets a test look, or fail, before and after each append."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.look: Callable[[str], None] = lambda step: None

    def append(self, table: str, rows: pa.Table, upto: Offset) -> None:
        self.look(f"before {table}")
        super().append(table, rows, upto)
        self.look(f"after {table}")


class Reading:
    """The engine's side of a timeline, over a state and a writer at hand; `between` runs when it has answered."""

    def __init__(self, state: EngineState, writer: HistoryWriter) -> None:
        self.state, self.writer = state, writer
        self.between: Callable[[], Any] = lambda: None

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        found = self.writer.pending().of(whose, before, limit)
        self.between()
        return found


def whose(state: EngineState, user: str) -> Whose:
    person = state.identity.number_of(Identifier("user_id", user))
    assert person is not None
    return Whose.of(graph(state, person))


def read(engine: Reading, history: DeltaHistory, user: str = ANA, *, limit: int = 1000) -> list[Happening]:
    """The whole timeline, stretch by stretch."""
    found: list[Happening] = []
    before = None
    while page := timeline(engine, history, whose(engine.state, user), before=before, limit=limit).happened:  # type: ignore[arg-type]
        found += page
        before = page[-1].cursor
    return found


def story() -> list[LogRecord]:
    """Two people with the same stamps, one of whom is merged by hand with a third, and split again."""
    bodies: list[tuple[float, Body]] = [
        (0, defined()),
        (0, Events([event(1, ANA, properties={"total": 60.5}), event(2, CEM, properties={"total": 10})])),
        (0, Events([event(1, ANA, properties={"total": 60.5})])),
        (0.1, Tick()),
        (1, Events([event(3, ANA, "", traits={"plan": "gold"}), event(4, ANA, "Product Viewed")])),
        (1, Events([event(5, "dot", days=3), event(6, ANA, days=-400)])),
        (1.1, Tick()),
        (2, PeopleMerged(one=0, other=2, reason="two logins", by="cli")),
        (2, ListChanged(name="vip", added=["user_id:ana"])),
        (2, Events([event(7, "dot", days=2), event(8, ANA, days=2), event(9, CEM, days=2)])),
        (2.1, Tick()),
    ]
    return records(bodies)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Watched, HistoryWriter, EngineState]]:
    history = Watched(tmp_path)
    writer = HistoryWriter(history)
    yield history, writer, EngineState(lambda name: b"", writer.past_of)
    history.look = lambda step: None
    writer.stop()


def folded(state: EngineState, writer: HistoryWriter, log: Sequence[LogRecord]) -> None:
    for record in log:
        added = Folded()
        state.apply(record, added)
        writer.add(added, state.upto)


def test_what_is_folded_is_told_at_once_and_the_same_when_it_is_in_history(world):
    history, writer, state = world
    folded(state, writer, story())
    told = read(Reading(state, writer), history)
    assert history.offset("events") == 0
    lines = [(one.kind, one.label, one.source, one.detail) for one in told]
    assert sum(one.label == "Order Completed" for one in told) == 5, "what came twice counts once; dot is ana by now"
    assert ("event", "identify", "shop", {"plan": "gold"}) in lines
    assert ("event", "Order Completed", "shop", {"total": 60.5}) in lines
    assert ("merge", "#2", "cli", {"into": 0, "other": 2, "reason": "two logins"}) in lines
    assert "entered" in {one.kind for one in told}
    assert [one.place for one in told] == sorted((one.place for one in told), reverse=True)
    writer.flush()
    assert read(Reading(state, writer), history) == told
    assert writer.pending().of(whose(state, ANA), END, 1000).rows == []


def test_each_line_is_there_once_at_every_step_of_every_append(world):
    """At the boundary: before and after each table of a chunk is appended, and when one is while a stretch is read."""
    history, writer, state = world
    engine, log, faults = Reading(state, writer), story(), []
    for part in (log[:4], log[4:8], log[8:]):
        folded(state, writer, part)
        expected = read(engine, history)

        def look(step: str, expected: list[Happening] = expected) -> None:
            if step.split()[1] in ("transitions", "merges", "events") and read(engine, history, limit=6) != expected:
                faults.append(step)

        history.look = look
        writer.flush()
        assert writer.pending().of(whose(state, ANA), END, 1000).rows == []
        assert read(engine, history, limit=3) == expected
    history.look = lambda step: None
    folded(state, writer, [LogRecord(20, at(4), Events([event(20, ANA), event(21, CEM)]))])
    expected = read(engine, history)
    engine.between = writer.flush  # a chunk that is committed between the engine's answer and the look into History
    assert read(engine, history) == expected
    assert faults == []


def test_what_a_split_parts_is_told_of_whom_it_belongs_to(world):
    history, writer, state = world
    log = story()
    folded(state, writer, log)
    [merge] = graph(state, state.identity.number_of(Identifier("user_id", ANA))).merges
    split = PersonSplit(person=merge.into, merge=merge.number, reason="sisters", by="cli")
    folded(state, writer, [LogRecord(len(log) + 1, at(3), split)])  # reads their past, so everything else is in History
    folded(state, writer, [LogRecord(len(log) + 2, at(3), Events([event(30, ANA, days=3), event(31, "dot", days=3)]))])
    engine = Reading(state, writer)
    told = {user: read(engine, history, user) for user in (ANA, "dot")}
    named = {user: sorted(one.offset % 4096 for one in lines if one.kind == "event") for user, lines in told.items()}
    assert [len(each) for each in named.values()] == [6, 3]
    assert all(any(one.kind == "split" for one in lines) for lines in told.values())
    writer.flush()
    assert {user: read(engine, history, user) for user in (ANA, "dot")} == told


def test_a_failed_append_hides_nothing_and_doubles_nothing(world):
    history, writer, state = world
    engine, log = Reading(state, writer), story()

    def fail(step: str) -> None:
        if step in ("before events", "before merges"):
            raise OSError("No space left on device")

    history.look = fail
    for record in log[:-1]:
        folded(state, writer, [record])
        writer.close_chunk().wait()
    expected = read(engine, history)
    assert history.offset("transitions") > 0
    assert history.offset("events") == 0
    history.look = lambda step: None
    folded(state, writer, log[-1:])
    writer.flush()
    assert [one for one in read(engine, history) if one.offset < log[-1].offset] == expected


def test_what_a_restarted_engine_folds_again_is_in_history_and_told_once(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    state, writer = EngineState(lambda name: b""), HistoryWriter(history)
    folded(state, writer, story())
    writer.stop()
    told = read(Reading(state, writer), history)
    again, writer = EngineState(lambda name: b""), HistoryWriter(history)
    try:
        folded(again, writer, story())
        assert read(Reading(again, writer), history) == told
        writer.flush()
        assert read(Reading(again, writer), history) == told
    finally:
        writer.stop()


def test_a_very_large_backlog_is_looked_through_from_its_newest_end_and_says_so(world, monkeypatch):
    _, writer, state = world
    log = story()
    folded(state, writer, log)
    mine = whose(state, ANA)
    monkeypatch.setattr(unwritten, "LOOKED_THROUGH", 4)
    chunks = []
    for number in range(40, 45):
        added = Folded()
        state.apply(LogRecord(number, at(5), Events([event(number, ANA), event(number + 100, CEM)])), added)
        chunks.append(added)
    found = Pending(chunks, Offset(0)).of(mine, END, 10)
    assert ([one.offset // 4096 for one in found.rows], found.complete) == ([44, 43], False)
    found = Pending(chunks[-2:], Offset(0)).of(mine, END, 10)
    assert (len(found.rows), found.complete) == (2, True)
    found = Pending(chunks[-2:], Offset(43 * 4096)).of(mine, END, 10)
    assert [one.offset // 4096 for one in found.rows] == [44]
    monkeypatch.setattr(unwritten, "LOOKED_THROUGH", 1)
    found = Pending(chunks, Offset(0)).of(mine, END, 10)
    assert ([one.offset // 4096 for one in found.rows], found.complete) == ([44], False), "the newest always is"
