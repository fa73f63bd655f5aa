"""Rules in SQL through the History port: its fence, its bound parameters, and people joined by a merge."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engine_world import FILES, fold
from sqlglot import exp

from mailwright.core.events import Defined, Event, Events, Identifier, LogRecord, Tick
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.rules.parse import parse
from mailwright.rules.sql.compile import Definitions
from mailwright.rules.sql.relations import everybody, of_history
from mailwright.rules.sql.run import ask
from mailwright.rules.sql.spark import dialect_named
from mailwright.rules.values import plain
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.stores.history_delta import DeltaHistory

START = parse_iso("2026-03-01T00:00:00Z")


def bought(number: int, *who: str, day: int, name: str = "Order Completed", total: float = 0.1) -> Event:
    at = Instant(START + day * DAY)
    return Event(
        message_id=str(number),
        source="web",
        type="track",
        name=name,
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("user_id" if each.isupper() else "anonymous_id", each) for each in who],
        properties={"total": total, "shop": "Zürich"},
    )


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    bodies = [
        (0, Defined(1, FILES)),
        (1, Events([bought(1, "a", day=1), bought(2, "B", day=1, total=5)])),
        (1, Tick()),
        (3, Events([bought(3, "A", "a", day=3, total=0.2)])),  # A turns out to be a
        (3, Tick()),
    ]
    log = [LogRecord(number, Instant(START + day * DAY), body) for number, (day, body) in enumerate(bodies, 1)]
    state, folded = fold(log)
    history = DeltaHistory(tmp_path)
    writer = HistoryWriter(history)
    writer.add(folded, state.upto)
    writer.flush()
    writer.stop()
    return history


@pytest.mark.parametrize(("day", "expected"), [(2, {0: 0.1, 1: 5}), (4, {0: 0.3, 1: 5})])
def test_everybody_at_an_instant(history: DeltaHistory, day: int, expected: dict[int, float]) -> None:
    rules = {
        "spent": parse("sum of 'Order Completed'.total"),
        "there": parse("did 'Order Completed' where shop contains 'ZÜR' and total between 0.1 and 0.2"),
        "days": parse("count of 'Order Completed' this month"),
    }
    relations = [
        *of_history(dialect_named("duckdb")),
        *everybody(exp.Placeholder(this="at"), exp.Placeholder(this="upto")),
    ]
    answers = ask(
        rules,
        Definitions({}, {}),
        ZoneInfo("Europe/Zurich"),
        history.query,
        relations=relations,
        parameters={"at": START + day * DAY, "upto": history.offset("events")},
    )
    assert {moment: plain(answer["spent"]) for moment, answer in answers.items()} == expected
    assert [answers[person]["there"] for person in sorted(answers)] == [True, False]
