"""EngineRecords: one engine commits each tick once."""

from dataclasses import replace

import pytest
from records_cases import LEASE, queue, request, told

from mailwright.core.commits import JourneyRun, TickCommit, Transition
from mailwright.core.errors import Conflict
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.messages import MessageState
from mailwright.stores.records.messages import message_id

RUN = JourneyRun(
    run_id="r1",
    journey="win_back",
    version=1,
    person=Person(1),
    started_at=Instant(10),
    step="first",
    due_at=Instant(10),
)


def commit(records, **effects) -> None:
    epoch = records.engine.take_over()
    offset = Offset(records.engine.applied() + 4096)
    records.engine.commit_tick(epoch, TickCommit(offset=offset, at=Instant(50), **effects))


def test_epochs_rise_from_one(records):
    assert records.engine.applied() == 0
    assert [records.engine.take_over() for _ in range(3)] == [1, 2, 3]
    assert records.engine.applied() == 0


def test_a_tick_is_written_once(records):
    epoch = records.engine.take_over()
    tick = TickCommit(
        offset=Offset(8192),
        at=Instant(50),
        requests=[request("k")],
        runs=[RUN],
        transitions=[
            Transition(
                offset=Offset(8192), at=Instant(50), person=Person(1), segment="vip", entered=True, cause="event"
            )
        ],
        occurrences=[("weekly", "2026-11-02T09:00:00Z")],
    )
    records.engine.commit_tick(epoch, tick)
    assert records.engine.applied() == 8192
    changed = replace(
        tick, requests=[request("other")], runs=[replace(RUN, step="changed")], occurrences=[("late", "x")]
    )
    for offset in (8192, 4096):
        records.engine.commit_tick(epoch, replace(changed, offset=Offset(offset)))
    assert records.engine.applied() == 8192
    assert [one.send_key for one in records.messages.page(before=None, limit=10)] == ["k"]
    assert records.engine.open_runs("win_back", [Person(1)]) == [RUN]
    assert records.engine.last_occurrence("late") is None


@pytest.mark.parametrize("stale", [0, 1, 3])
def test_an_engine_of_another_epoch_cannot_commit(records, stale):
    assert [records.engine.take_over(), records.engine.take_over()] == [1, 2]
    with pytest.raises(Conflict, match=f"epoch {stale}"):
        records.engine.commit_tick(stale, TickCommit(offset=Offset(1), at=Instant(1), requests=[request("k")]))
    assert records.engine.applied() == 0
    assert records.messages.open_count() == 0


def test_nobody_commits_before_taking_over(records):
    with pytest.raises(Conflict):
        records.engine.commit_tick(0, TickCommit(offset=Offset(1), at=Instant(1)))


def test_a_tick_that_fails_half_way_writes_nothing(records):
    epoch = records.engine.take_over()
    broken = replace(RUN, step=None)
    with pytest.raises(Conflict):
        records.engine.commit_tick(
            epoch, TickCommit(offset=Offset(1), at=Instant(1), requests=[request("k")], runs=[broken])
        )
    assert records.engine.applied() == 0
    assert records.messages.open_count() == 0


def test_due_runs_are_those_that_run_and_are_due(records):
    runs = [
        replace(RUN, run_id="b", due_at=Instant(10)),
        replace(RUN, run_id="a", due_at=Instant(10)),
        replace(RUN, run_id="c", due_at=Instant(5)),
        replace(RUN, run_id="later", due_at=Instant(11)),
        replace(RUN, run_id="waits", due_at=None),
        replace(RUN, run_id="ended", ended="completed", ended_at=Instant(9)),
        replace(RUN, run_id="elsewhere", journey="replenish"),
    ]
    commit(records, runs=runs)
    assert [run.run_id for run in records.engine.due_runs("win_back", Instant(10))] == ["c", "a", "b"]
    commit(
        records, runs=[replace(RUN, run_id="c", step="next", due_at=Instant(99)), replace(RUN, run_id="a", ended="x")]
    )
    assert [run.run_id for run in records.engine.due_runs("win_back", Instant(10))] == ["b"]
    assert [run.run_id for run in records.engine.due_runs("win_back", Instant(99))] == ["b", "later", "c"]


def test_open_and_last_runs_of_people(records):
    runs = [
        replace(RUN, run_id="1 old", person=Person(1), started_at=Instant(1), ended="completed", ended_at=Instant(2)),
        replace(RUN, run_id="1 new", person=Person(1), started_at=Instant(7), due_at=None),
        replace(RUN, run_id="2", person=Person(2), started_at=Instant(3), ended="exited: vip", ended_at=Instant(4)),
        replace(RUN, run_id="3", person=Person(3), journey="replenish"),
    ]
    commit(records, runs=runs)
    people = [Person(n) for n in range(20_000)]
    assert [run.run_id for run in records.engine.open_runs("win_back", people)] == ["1 new"]
    assert [run.run_id for run in records.engine.open_runs("win_back", None)] == ["1 new"]
    assert records.engine.open_runs("win_back", []) == []
    assert records.engine.last_runs("win_back", people) == {1: 7, 2: 3}
    assert records.engine.last_runs("win_back", []) == {}
    assert records.engine.open_runs("win_back", [Person(2), Person(3)]) == []


def test_the_newest_occurrence_counts(records):
    assert records.engine.last_occurrence("weekly") is None
    commit(records, occurrences=[("weekly", "2026-11-09T09:00:00Z"), ("weekly", "2026-11-02T09:00:00Z")])
    commit(records, occurrences=[("weekly", "2026-11-09T09:00:00Z"), ("other", "2027-01-01T00:00:00Z")])
    assert records.engine.last_occurrence("weekly") == "2026-11-09T09:00:00Z"


def test_only_queued_messages_are_cancelled(records):
    queue(records, request("claimed", queued_at=1), request("queued"))
    records.messages.claim(Instant(10), 1, "w", **LEASE)
    commit(records, cancelled=[("claimed", "left"), ("queued", "left vip"), ("unknown", "left")])
    assert records.messages.by_id(message_id("claimed")).state == MessageState.CLAIMED
    cancelled = records.messages.by_id(message_id("queued"))
    assert (cancelled.state, cancelled.reason, cancelled.finished_at) == (MessageState.CANCELLED, "left vip", 50)
    ((name, properties),) = told(records)
    assert (name, properties["reason"], properties["message_id"]) == ("Email Cancelled", "left vip", cancelled.id)
    assert [one.send_key for one in records.messages.claim(Instant(99), 9, "w", **LEASE)] == []


def test_a_request_of_the_tick_that_cancels_it_is_cancelled(records):
    commit(records, requests=[request("k")], cancelled=[("k", "left")])
    assert records.messages.by_id(message_id("k")).state == MessageState.CANCELLED
