"""Who enters a journey again, when people were merged or parted: all numbers of a person count, and only theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import at
from split_world import Told, told

from mailwright.core.events import Defined, Event, Events, Identifier, LogRecord, Person, PersonSplit, Tick
from mailwright.core.instants import Instant
from mailwright.runtime.engine.effects import tick_commit
from mailwright.stores.records_sql import SqlRecords

ADA, VISITOR = "user_id:ada", "anonymous_id:a1"


class Shop:
    """A journey that begins whenever somebody gets hot (for a day), its state and its records."""

    def __init__(self, records: SqlRecords, wait: str, reentry_after: str, exit_when: str = "") -> None:
        self.records, self.epoch = records, records.engine.take_over()
        self.history, self.number = Told(), 0
        self.state = told([], history=self.history)
        self.started: dict[str, tuple[Person, Instant]] = {}
        self.ended: dict[str, str] = {}
        leave = f"exit_when: {exit_when}\n" if exit_when else ""
        journey = (
            f"title: Nudge\ntrigger: {{enters: hot}}\nreentry_after: {reentry_after}\n{leave}steps: [wait: {wait}]\n"
        )
        files = {
            "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "Europe/Berlin"\n',
            "segments.yaml": "hot: {title: Hot, rule: did 'Hot' within 1 day}\n",
            "journeys/nudge.yaml": journey,
        }
        self.add(0, Defined(version=1, files=files))

    def add(self, day: float, body: Defined | Events | PersonSplit | Tick) -> None:
        self.number += 1
        record = LogRecord(self.number, at(day), body)
        changes = self.state.apply(record, self.history.folded)
        if isinstance(body, Tick):
            commit = tick_commit(self.state, self.records.engine, record.offset, record.at, changes)
            self.records.engine.commit_tick(self.epoch, commit)
            for run in commit.runs:
                self.started[run.run_id] = (run.person, run.started_at)
                if run.ended is not None:
                    self.ended[run.run_id] = run.ended

    def tell(self, day: float, name: str, *identifiers: str) -> None:
        """Something that happens, and the tick after it."""
        event = Event(
            message_id=f"m{self.number}",
            source="shop",
            type="track",
            name=name,
            stamp_at=at(day),
            received_at=at(day),
            known_at=at(day),
            identifiers=[Identifier(*each.split(":")) for each in identifiers],
        )
        self.add(day, Events([event]))
        self.add(day, Tick())

    def runs(self) -> list[tuple[Person, float]]:
        """(person, day) of every run that was ever begun, in order."""
        return sorted((person, (when - at(0)) / (at(1) - at(0))) for person, when in self.started.values())


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    made = SqlRecords.open(tmp_path / "records.sqlite")
    yield made
    made.close()


def merged(shop: Shop, day: float) -> None:
    """The visitor (#0) proves to be Ada (#1), whose number stays."""
    shop.tell(day, "Page", ADA, VISITOR)
    assert shop.state.identity.living() == [1]
    assert shop.state.identity.numbers(Person(1)) == [0, 1]


AGAIN = {
    "once only": ("1 hour", "never", []),
    "once only, and still inside": ("30 days", "never", []),
    "the pause is over, but still inside": ("30 days", "1 hour", []),
    "the pause is not over": ("1 hour", "10 days", []),
    "the pause is over": ("1 hour", "2 days", [(1, 3)]),
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_run_under_a_number_of_before_counts(records: SqlRecords, name: str) -> None:
    wait, reentry_after, again = AGAIN[name]
    shop = Shop(records, wait, reentry_after)
    shop.tell(0, "Hot", VISITOR)
    shop.tell(0.1, "Page", ADA)
    merged(shop, 0.2)
    assert shop.runs() == [(0, 0)], "a merge starts nothing"
    shop.add(2, Tick())
    shop.tell(3, "Hot", ADA)
    assert shop.runs() == [(0, 0), *again]


def test_without_the_merge_both_would_enter(records: SqlRecords) -> None:
    shop = Shop(records, "1 hour", "never")
    shop.tell(0, "Hot", VISITOR)
    shop.tell(3, "Hot", ADA)
    assert shop.runs() == [(0, 0), (1, 3)]


@pytest.mark.parametrize(("first", "then"), [(ADA, VISITOR), (VISITOR, ADA)])
def test_the_newest_run_of_all_numbers_counts(records: SqlRecords, first: str, then: str) -> None:
    shop = Shop(records, "1 hour", "6 days")
    shop.tell(-2, "Page", VISITOR)
    shop.tell(-2, "Page", ADA)
    shop.tell(0, "Hot", first)
    shop.tell(4, "Hot", then)
    merged(shop, 6)
    before = shop.runs()
    shop.tell(9, "Hot", ADA)  # 9 days after one of their runs, 5 after the other
    assert shop.runs() == before
    shop.add(10, Tick())
    shop.add(10.1, Tick())
    shop.tell(11, "Hot", ADA)
    assert shop.runs() == sorted([*before, (1, 11)])


def test_a_run_under_a_number_of_before_goes_on_and_is_left_by_the_rule(records: SqlRecords) -> None:
    """The rule is about the person as known now; the run stays under its number."""
    shop = Shop(records, "30 days", "1 hour", "did 'Bought' within 30 days")
    shop.tell(0, "Hot", VISITOR)
    shop.tell(0.1, "Page", ADA)
    merged(shop, 0.2)
    [run] = records.engine.open_runs("nudge", None)
    assert run.person == 0
    shop.tell(1, "Bought", ADA)
    assert records.engine.open_runs("nudge", None) == []
    assert list(shop.ended.values()) == ["exited: did 'Bought' within 30 days"]


@pytest.mark.parametrize(("wait", "reentry_after"), [("1 hour", "never"), ("30 days", "1 hour")])
def test_after_a_split_each_has_the_runs_of_their_own_numbers(
    records: SqlRecords, wait: str, reentry_after: str
) -> None:
    shop = Shop(records, wait, reentry_after)
    shop.tell(0, "Hot", VISITOR)
    shop.tell(0.1, "Page", ADA)
    merged(shop, 0.2)
    shop.add(1, PersonSplit(person=1, merge=1, reason="a shared laptop", by="test"))
    shop.add(1.5, Tick())
    assert shop.state.identity.living() == [0, 1]
    shop.tell(3, "Hot", VISITOR)
    shop.tell(3.1, "Hot", ADA)
    assert shop.runs() == [(0, 0), (1, 3.1)], "the visitor was inside; Ada never"


def test_what_began_under_the_number_that_stayed_is_its_own_after_a_split(records: SqlRecords) -> None:
    shop = Shop(records, "1 hour", "never")
    shop.tell(0, "Page", VISITOR)
    shop.tell(0.1, "Page", ADA)
    merged(shop, 0.2)
    shop.tell(1, "Hot", VISITOR)  # it is the visitor's browser, but they are one
    assert shop.runs() == [(1, 1)]
    shop.add(2, PersonSplit(person=1, merge=1, reason="a shared laptop", by="test"))
    shop.add(2.5, Tick())
    shop.tell(4, "Hot", VISITOR)
    shop.tell(4.1, "Hot", ADA)
    assert shop.runs() == [(0, 4), (1, 1)]
