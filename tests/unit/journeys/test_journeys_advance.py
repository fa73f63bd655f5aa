"""Step tables on a virtual clock: what happens to the people of a journey, hour by hour."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mailwright.core.commits import JourneyRun, Transition
from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant, format_iso, parse_iso
from mailwright.journeys.advance import Advance, Journey, advance, run_id
from mailwright.journeys.definitions import JourneyDefinition
from mailwright.journeys.requests import send_key

T0 = parse_iso("2017-12-01T12:00:00Z")
ANN, BOB = Person(1), Person(2)


def journey(**changes: Any) -> Journey:
    plain = {
        "title": "Win back",
        "trigger": {"enters": "lapsed"},
        "reentry_after": "60 days",
        "exit_when": "did Order Completed within 1 day",
        "steps": [
            {"name": "hello", "mail": {"template": "win_back"}, "send_by": "6 hours"},
            {"wait": "7 days"},
            {"name": "again", "mail": {"template": "win_back"}},
        ],
    } | changes
    return Journey(name="win_back", version=3, definition=msgspec.convert(plain, JourneyDefinition))


class World:
    """Rows as Records would keep them, and a clock that the test moves."""

    def __init__(self, flow: Journey) -> None:
        self.flow = flow
        self.at = T0
        self.runs: dict[str, JourneyRun] = {}

    def tick(
        self, *changes: tuple[Person, str, bool, str], hours: float = 0, exits: frozenset[Person] = frozenset()
    ) -> Advance:
        self.at = Instant(self.at + int(hours * HOUR))
        runs = list(self.runs.values())
        open_runs = [run for run in runs if run.ended is None]
        done = advance(
            self.flow,
            open_runs=[run for run in open_runs if run.person in {c[0] for c in changes} | exits],
            last_started={
                person: max(r.started_at for r in runs if r.person == person) for person in {r.person for r in runs}
            },
            transitions=[
                Transition(offset=Offset(1), at=self.at, person=p, segment=s, entered=e, cause=c)
                for p, s, e, c in changes
            ],
            due_runs=[run for run in open_runs if run.due_at is not None and run.due_at <= self.at],
            at=self.at,
            exits=exits,
        )
        self.runs |= {run.run_id: run for run in done.runs}
        return done


def steps(done: Advance) -> list[tuple[Person, str]]:
    return [(wanted.person, wanted.step) for wanted in done.requests]


def ends(done: Advance) -> list[str | None]:
    return [run.ended for run in done.runs]


ENTERS = (ANN, "lapsed", True, "event")


def test_the_whole_way_with_its_wait_to_the_microsecond() -> None:
    world = World(journey())
    first = world.tick(ENTERS)
    assert steps(first) == [(ANN, "hello")]
    assert [(run.step, run.due_at) for run in first.runs] == [("again", T0 + 7 * DAY)]
    assert world.tick(hours=7 * 24 - 1) == Advance()
    last = world.tick(hours=1)
    assert steps(last) == [(ANN, "again")]
    assert ends(last) == ["completed"]
    assert world.tick(hours=1) == Advance()


def test_a_request_carries_what_the_sender_needs() -> None:
    wanted = World(journey()).tick(ENTERS).requests[0]
    assert wanted.origin == "journey:win_back"
    assert wanted.occurrence == format_iso(T0)
    assert wanted.purpose == "marketing"
    assert (wanted.queued_at, wanted.send_by_at) == (T0, T0 + 6 * HOUR)
    assert wanted.send_key == send_key(
        origin="journey:win_back", step="hello", occurrence="2017-12-01T12:00:00Z", person=ANN
    )


@pytest.mark.parametrize(
    ("change", "starts"),
    [
        ((ANN, "lapsed", True, "event"), True),
        ((ANN, "lapsed", True, "time"), True),
        ((ANN, "lapsed", True, "import"), False),
        ((ANN, "lapsed", True, "definition"), False),
        ((ANN, "lapsed", True, "merge"), False),
        ((ANN, "lapsed", True, "split"), False),
        ((ANN, "lapsed", False, "event"), False),
        ((ANN, "vip", True, "event"), False),
    ],
)
def test_what_starts_a_run(change: tuple[Person, str, bool, str], starts: bool) -> None:
    assert bool(World(journey()).tick(change).runs) is starts


def test_leaving_a_segment_can_start_one() -> None:
    world = World(journey(trigger={"leaves": "active"}))
    assert not world.tick((ANN, "active", True, "event")).runs
    assert world.tick((ANN, "active", False, "time")).runs


def test_nobody_is_in_twice_at_once() -> None:
    world = World(journey(reentry_after="1 hour"))
    world.tick(ENTERS)
    assert not world.tick(ENTERS, hours=48).runs


@pytest.mark.parametrize(("hours", "enters"), [(60 * 24 - 1, False), (60 * 24, True)])
def test_entering_again_only_after_the_pause(hours: int, enters: bool) -> None:
    world = World(journey(steps=[{"mail": {"template": "win_back"}}]))
    assert ends(world.tick(ENTERS)) == ["completed"]
    assert bool(world.tick(ENTERS, hours=hours).runs) is enters


def test_never_again() -> None:
    world = World(journey(steps=[{"mail": {"template": "win_back"}}], reentry_after="never"))
    world.tick(ENTERS)
    assert not world.tick(ENTERS, hours=10_000).runs


def test_exit_takes_effect_at_once_and_cancels_what_is_queued() -> None:
    world = World(journey())
    asked = world.tick(ENTERS, (BOB, "lapsed", True, "event"))
    left = world.tick(hours=1, exits=frozenset({ANN}))
    assert ends(left) == ["exited: did Order Completed within 1 day"]
    assert left.cancelled == ((asked.requests[0].send_key, "exited"),)
    assert steps(world.tick(hours=7 * 24)) == [(BOB, "again")]


def test_exit_wins_over_a_step_that_falls_due_at_the_same_tick() -> None:
    world = World(journey())
    world.tick(ENTERS)
    done = world.tick(hours=7 * 24, exits=frozenset({ANN}))
    assert not done.requests
    assert len(done.runs) == 1


def test_who_meets_the_exit_rule_does_not_enter() -> None:
    assert World(journey()).tick(ENTERS, exits=frozenset({ANN})) == Advance()


def test_a_run_may_end_with_a_wait_during_which_the_exit_still_works() -> None:
    flow = journey(steps=[{"name": "only", "mail": {"template": "win_back"}}, {"wait": "2 days"}])
    world = World(flow)
    assert ends(world.tick(ENTERS)) == [None]
    assert len(world.tick(hours=1, exits=frozenset({ANN})).cancelled) == 1
    other = World(flow)
    other.tick(ENTERS)
    assert ends(other.tick(hours=48)) == ["completed"]


def test_a_wait_after_a_gap_counts_from_the_tick_that_reached_it() -> None:
    world = World(journey(steps=[{"wait": "1 day"}, {"name": "a", "mail": {"template": "t"}}, {"wait": "1 day"}]))
    assert not world.tick(ENTERS).requests
    late = world.tick(hours=24 * 5)
    assert steps(late) == [(ANN, "a")]
    assert late.runs[0].due_at == T0 + 6 * DAY


def test_a_step_that_the_new_version_lacks_ends_the_run() -> None:
    world = World(journey())
    world.tick(ENTERS)
    world.flow = replace(journey(steps=[{"name": "other", "mail": {"template": "t"}}]), version=4)
    done = world.tick(hours=24 * 7)
    assert ends(done) == ["step removed: again"]
    assert not done.requests


def test_the_same_tick_again_gives_the_same_rows() -> None:
    assert World(journey()).tick(ENTERS) == World(journey()).tick(ENTERS)


def test_ids_differ_where_anything_differs() -> None:
    ids = {run_id("a", ANN, T0), run_id("b", ANN, T0), run_id("a", BOB, T0), run_id("a", ANN, Instant(T0 + 1))}
    assert len(ids) == 4
    keys = {
        send_key(origin=o, step=s, occurrence="x", person=p)
        for o, s, p in [("a", "b", ANN), ("ab", "", ANN), ("a", "b", BOB), ('a","b', "", ANN)]
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trigger": {}}, "either 'enters' or 'leaves'"),
        ({"trigger": {"enters": "a", "leaves": "b"}}, "either"),
        ({"steps": []}, "steps"),
        ({"steps": [{"wait": "soon"}]}, "not a duration"),
        ({"steps": [{"wait": "1 day", "mail": {"template": "t"}}]}, "either 'mail' or 'wait'"),
        ({"steps": [{"name": "x", "wait": "1 day"}, {"name": "x", "wait": "1 day"}]}, "same name"),
        ({"steps": [{"name": "end", "wait": "1 day"}]}, "'end'"),
        ({"reentry_after": "soon"}, "not a duration"),
    ],
)
def test_a_journey_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        journey(**changes)
