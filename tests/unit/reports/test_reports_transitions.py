"""Transitions read across the seam between what the engine remembers and what History holds."""

from __future__ import annotations

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from engine_world import STORY, World, world

from mailwright.core.errors import NotFound
from mailwright.core.events import Events, Offset, Tick
from mailwright.core.transitions import START, Cursor, SegmentChange
from mailwright.reports.transitions import growth, latest_transitions, transitions_after
from mailwright.runtime.engine.loop import Engine
from mailwright.runtime.engine.recent import Recent
from mailwright.runtime.engine.socket import EngineClient, EngineServer


@pytest.fixture
def there(tmp_path: Path):
    """A world that has lived through the story, its engine, and a client of it; History holds everything."""
    with world(tmp_path) as made:
        made.append(STORY)
        engine = made.engine()
        server = EngineServer(engine, tmp_path / "engine.sock")
        client = EngineClient(tmp_path / "engine.sock")
        with made.running(engine):
            made.caught_up(engine)
            client.flush_history()
            yield made, engine, client
        client.close()
        server.close()


def everything(made: World, client: EngineClient, limit: int, segments: list[str] | None = None) -> list[SegmentChange]:
    found: list[SegmentChange] = []
    cursor = START
    for _ in range(200):
        page = transitions_after(client, made.history, cursor, segments, limit)
        assert page.cursor >= cursor
        found += page.changes
        cursor = page.cursor
        if not page.more:
            return found
    raise AssertionError("it never ends")


def forget(engine: Engine, cursor: Cursor) -> None:
    """The engine remembers only what comes after `cursor`."""

    def cut(state) -> None:
        rows = [row for row in state.recent._rows if row.cursor > cursor]
        state.recent = Recent(cursor)
        state.recent._rows = rows
        state.recent.upto = Cursor(state.tick_offset)

    engine.ask(cut).result(30)


def test_the_story_is_told(there: tuple[World, Engine, EngineClient]) -> None:
    made, _, client = there
    told = [(each.first_identifier, each.segment, each.entered, each.cause) for each in everything(made, client, 100)]
    assert told[:4] == [
        ("user_id:ada", "customers", True, "event"),
        ("user_id:ada", "recent", True, "event"),
        ("user_id:bob", "customers", True, "event"),
        ("user_id:bob", "recent", True, "event"),
    ]
    assert ("user_id:ada", "big", False, "time") in told


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("segments", [None, ["recent", "big"]])
def test_any_seam_and_any_page_give_the_same_list(
    there: tuple[World, Engine, EngineClient], limit: int, segments: list[str] | None
) -> None:
    made, engine, client = there
    whole = everything(made, client, 100, segments)
    assert whole
    every = everything(made, client, 100)
    for seam in [START, *(each.cursor for each in every), Cursor(Offset(10**9))]:
        forget(engine, max(seam, START))
        assert everything(made, client, limit, segments) == whole, seam
        newest = latest_transitions(client, made.history, "recent", 4)
        assert newest == [each for each in reversed(every) if each.segment == "recent"][:4], seam


def test_what_neither_has_is_waited_for_and_not_skipped(there: tuple[World, Engine, EngineClient]) -> None:
    made, engine, client = there
    made.append([(12, Events([])), (12.1, Tick())])
    made.caught_up(engine)
    forget(engine, Cursor(Offset(2**40)))  # as if very much had happened since History's newest chunk
    page = transitions_after(client, made.history, Cursor(Offset(12 * 4096)), None, 10)
    assert (page.changes, page.more) == ([], False)
    assert page.cursor <= Cursor(made.history.offset("events"))


def test_growth_counts_days_and_causes(there: tuple[World, Engine, EngineClient]) -> None:
    made, engine, client = there
    now = engine.state.at
    grown = growth(made.history, "recent", ZoneInfo("UTC"), now)
    mine = [each for each in everything(made, client, 100) if each.segment == "recent"]
    assert grown.days[0] == "2026-03-01"
    assert sum(grown.entered) == sum(each.entered for each in mine)
    assert sum(grown.left) == sum(not each.entered for each in mine)
    assert grown.size[-1] == client.status().segments["recent"]
    assert grown.causes["time"][1] > 0
    assert growth(made.history, "none", ZoneInfo("UTC"), now).days == []


def test_overlap_counts_those_in_both(there: tuple[World, Engine, EngineClient]) -> None:
    _, _, client = there
    members = {name: set(client.members(name, None, 100)) for name in ("customers", "recent", "big")}
    found = client.overlap("customers", ["recent", "big"])
    assert found == {name: len(members["customers"] & members[name]) for name in ("recent", "big")}
    with pytest.raises(NotFound, match="custmers"):
        client.overlap("custmers", [])
