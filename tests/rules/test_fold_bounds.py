"""Work is bounded by what changed: deadlines, dirty segments, held events, checkpoints, and input without measure."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import numpy as np
import pytest
from fold_world import START, event, identifiers, rules, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fold_agreement import CONDITIONS, VALUES, Teller
from test_fold_state import play

from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold import Arrival, Fold, segments
from mailwright.rules.fold.cells import FOREVER, VOLATILE
from mailwright.rules.fold.deadlines import Deadlines
from mailwright.rules.fold.lines import ListLine

N = 4
untils = st.one_of(st.just(FOREVER), st.just(VOLATILE), st.integers(1, 3 * DAY), st.sampled_from([5, DAY, DAY + 1]))
looks = st.tuples(
    st.integers(0, DAY // 2), st.lists(st.tuples(st.integers(0, N - 1), untils), max_size=4), st.booleans()
)


@settings(max_examples=200, deadline=None)
@given(st.lists(looks, max_size=20), st.integers(0, N - 1))
def test_deadlines_tell_everybody_who_is_due_and_nobody_else(told: list[Any], gone: int) -> None:
    deadlines, until, at = Deadlines(), dict.fromkeys(range(N), int(FOREVER)), 0
    for place, (pause, looked, reload) in enumerate(told):
        at += pause
        expected = {person for person, when in until.items() if when <= at}
        assert set(np.concatenate(deadlines.due(Instant(at))).tolist()) == expected
        seen = dict.fromkeys(expected, int(FOREVER)) | {p: int(when) for p, when in looked if when > at or when < 0}
        persons = np.array(sorted(seen), dtype=np.int64)
        deadlines.settle(persons, np.array([seen[p] for p in sorted(seen)], dtype=np.int64), Instant(at), N)
        until |= seen
        if place == 3:
            deadlines.merge(Person((gone + 1) % N), Person(gone))
            until[gone] = int(FOREVER) if until[gone] != VOLATILE else until[gone]
        if reload:
            state = deadlines.dump()
            deadlines = Deadlines()
            deadlines.load(state)
        dated = [when for when in until.values() if when not in (FOREVER, VOLATILE)]
        assert deadlines.next_due() == min(dated, default=None)
        assert deadlines.volatile == (VOLATILE in until.values())


def test_deadlines_that_moved_do_not_pile_up() -> None:
    deadlines, one = Deadlines(), np.zeros(1, np.int64)
    for at in range(20_000):
        deadlines.settle(one, one + DAY + at, Instant(at), 1)
    assert len(deadlines._calendar) < 5_000
    assert deadlines.next_due() == DAY + 19_999


def arrive(fold: Fold, *happened: tuple[int, int, dict[str, Any]]) -> None:
    fold.ingest([Arrival(Offset(n), Person(person), event(n, **more)) for n, person, more in happened])


def test_only_segments_that_read_what_happened_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a": "did 'A' within 1 day", "b": "did 'B' within 2 days", "c": "in segment a and did 'C'", "d": "did 'D'"}
    fold = Fold(rules({}, texts), shop())
    looked: list[tuple[str, list[int]]] = []
    evaluate = segments.Segments._evaluate

    def spy(self: Any, segment: Any, frame: Any, alive: Any) -> Any:
        looked.append((segment.name, frame.persons.tolist()))
        return evaluate(self, segment, frame, alive)

    monkeypatch.setattr(segments.Segments, "_evaluate", spy)
    tick = lambda at: (looked.clear(), fold.tick(Instant(START + at), identifiers(3)))  # noqa: E731
    tick(0)
    assert [name for name, _ in looked] == ["a", "b", "c", "d"]
    arrive(fold, (1, 2, {"name": "A", "stamp": START}), (2, 1, {"name": "other", "stamp": START}))
    tick(1)
    assert looked == [("a", [2]), ("c", [2])]
    tick(DAY - 1)
    assert looked == []
    tick(DAY)
    assert looked == [("a", [2]), ("c", [2])]
    arrive(fold, (3, 0, {"name": "other", "stamp": START + DAY, "context": {"timezone": "Asia/Kolkata"}}))
    tick(DAY + 1)
    assert looked == [(name, [0]) for name in "abcd"]


def test_events_that_wait_cost_a_tick_nothing() -> None:
    fold = Fold(rules({"n": "count of 'A'"}, {"s": "did 'A' within 1 hour"}), shop())
    arrive(fold, *((n, n % 3, {"stamp": START + DAY + n, "known": START}) for n in range(100)))
    fold.tick(START, identifiers(3))
    held = fold._inbox.held
    arrive(fold, (200, 0, {"stamp": START + 1}))
    assert [change.person for change in fold.tick(Instant(START + 1), identifiers(3))] == [0]
    assert fold._inbox.held is held
    assert fold.next_due() == START + 1 + HOUR
    fold.tick(Instant(START + DAY + 49), identifiers(3))
    assert fold.attribute("n", [Person(n) for n in range(3)]) == [18, 17, 16]
    assert fold.next_due() == START + DAY + 50


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_a_frozen_fold_does_not_change_while_the_fold_goes_on(seed: int) -> None:
    steps = Teller(seed).story(8)
    place = Random(seed).randrange(12)
    kept = rules(VALUES, {f"s{n}": text for n, text in enumerate(CONDITIONS)})
    fold, same = Fold(kept, shop()), Fold(kept, shop())
    play(fold, steps[:place])
    play(same, steps[:place])
    frozen = fold.freeze()
    parts = fold.freeze().parts()
    play(fold, steps[place:])
    assert frozen.parts() == parts
    assert parts == same.freeze().parts()


def test_days_that_did_not_change_are_the_same_bytes() -> None:
    fold = Fold(rules({}, {"s": "did 'A' within 90 days"}), shop())
    for day in range(30):
        arrive(fold, (day, day % 3, {"stamp": START + day * DAY}))
        fold.tick(Instant(START + day * DAY), identifiers(3))
    before = fold.freeze().parts()
    arrive(fold, (100, 0, {"stamp": START + 29 * DAY + 1}))
    fold.tick(Instant(START + 29 * DAY + 1), identifiers(3))
    after = fold.freeze().parts()
    days = {name for name in before if name.startswith("leaf/") and name.count("/") == 3}
    assert len(days) >= 4
    assert len({name for name in days if before[name] != after[name]}) == 1


def test_a_person_with_a_million_events() -> None:
    values = {
        "n": "count of 'A'",
        "w": "count of 'A' within 30 days",
        "s": "sum of 'A'.total within 7 days",
        "kinds": "distinct of 'A'.kind",
        "last": "last of 'A'.kind",
    }
    fold = Fold(rules(values, {"often": "did 'A' at least 1000000 times within 30 days", "u": "did 'A' today"}), shop())
    robot = event(1, stamp=START, properties={"total": 0.5, "kind": "hat"})
    for first in range(0, 1_000_000, 100_000):
        fold.ingest([Arrival(Offset(n), Person(0), robot) for n in range(first, first + 100_000)])
        fold.tick(START, identifiers(1))
    assert fold.attribute("s", [Person(0)]) == [500_000]
    assert fold.sizes() == {"often": 1, "u": 1}
    started = time.process_time()
    for n in range(10):
        arrive(fold, (10**6 + n, 0, {"stamp": START + n, "properties": {"total": 1, "kind": "cap"}}))
        fold.tick(Instant(START + n), identifiers(1))
    assert (time.process_time() - started) / 10 < 0.5
    assert fold.attribute("kinds", [Person(0)]) == [2]
    fold.tick(Instant(START + 30 * DAY + 10), identifiers(1))
    assert fold.sizes() == {"often": 0, "u": 0}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 5), st.sampled_from("xyz")), max_size=15))
def test_a_list_is_cut_as_if_it_were_looked_through(told: list[tuple[str, int, str]]) -> None:
    node = s.ListOf(add="A", remove="B", clear="C", path=("kind",))
    line, slow = ListLine(node, shop().facts), ListLine(node, shop().facts)
    for n, (name, at, kind) in enumerate(told):
        happened = event(n, name, stamp=START + at, properties={"kind": kind})
        line.take(n, happened)
        slow.take(n, happened)
        slow._cut()
        assert line.dump() == slow.dump()


def test_a_property_of_ten_megabytes() -> None:
    values = {"last": "last of 'A'.text", "n": "count of 'A' where text contains 'needle'", "each": "count of 'A'.many"}
    fold = Fold(rules(values, {}), shop())
    text, many = "x" * 10_000_000 + "needle", ["y" * 20] * 300_000
    started = time.process_time()
    arrive(fold, (1, 0, {"stamp": START, "properties": {"text": text, "many": many}}))
    fold.tick(START, identifiers(1))
    assert time.process_time() - started < 2
    assert fold.attribute("last", [Person(0)]) == [text]
    assert fold.attribute("n", [Person(0)]) + fold.attribute("each", [Person(0)]) == [1, 300_000]


def test_a_clock_that_jumps_back_moves_no_deadline() -> None:
    fold = Fold(rules({}, {"idle": "time since last 'A' > 3 hours", "w": "did 'A' within 1 day"}), shop())
    arrive(fold, (1, 0, {"stamp": START}))
    fold.tick(Instant(START + HOUR), identifiers(1))
    due, before = fold.next_due(), fold.state_hash()
    assert fold.tick(Instant(START - 10 * DAY), identifiers(1)) == []
    assert fold.next_due() == due == START + 3 * HOUR
    assert fold.state_hash() == before
    arrive(fold, (2, 0, {"stamp": START + 2 * HOUR, "known": START - DAY}))
    assert fold.tick(START, identifiers(1)) == []
    assert fold.next_due() == START + 2 * HOUR


@pytest.mark.parametrize(("score", "limit"), [("-1", "2"), ("1", "-2")])
def test_a_score_on_the_other_side_of_zero_never_passes_its_limit(score: str, limit: str) -> None:
    fold = Fold(rules({}, {"s": f"score {{'A': {score}}} half-life 6 hours > {limit}"}), shop())
    arrive(fold, (1, 0, {"stamp": START}))
    fold.tick(START, identifiers(1))
    assert fold.sizes() == {"s": int(score == "1")}
    assert fold.next_due() is None
