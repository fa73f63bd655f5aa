"""Expressions that are asked once, of the leaves at hand: the same answers as rules that are kept live."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from fold_world import START, event, identifiers, rules, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fold_agreement import CONDITIONS, VALUES, Teller, written
from test_fold_state import play

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules.fold import Arrival, Fold
from mailwright.rules.parse import parse

N = 3
EVERYBODY = [Person(number) for number in range(N)]
seeds = st.integers(0, 2**32)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_what_is_asked_once_is_what_is_kept(seed: int) -> None:
    steps, kept = Teller(seed).story(8), rules(VALUES, written(seed), {"c": Random(seed).choice(CONDITIONS)})
    fold = Fold(kept, shop())
    play(fold, steps)
    before = fold.state_hash()
    for name, node in kept.segments.items():
        assert fold.missing_for(node) == []
        assert fold.holding(node).tolist() == fold.members(name).tolist()
    for name, node in kept.attributes.items():
        assert fold.value(node, EVERYBODY) == fold.attribute(name, EVERYBODY)
    assert fold.state_hash() == before


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_nothing_changes_before_it_is_due(seed: int) -> None:
    steps, kept = Teller(seed).story(6), rules(VALUES, written(seed))
    fold = Fold(kept, shop())
    play(fold, [step for step in steps if step[0] != "events" or all(_punctual(each) for each in step[1])])
    at = Instant(max(what for kind, what in steps if kind == "tick"))
    held = {name: (fold.holding(node), fold.due(node, EVERYBODY)) for name, node in kept.segments.items()}
    for pause in (1, HOUR - 1, HOUR, 3 * HOUR, DAY, 3 * DAY):
        at = Instant(at + pause)
        fold.tick(at, identifiers(N))
        for name, node in kept.segments.items():
            was, due = held[name]
            for person, now in enumerate(fold.holding(node).tolist()):
                until = due[person]
                assert now == was[person] or (until is not None and until <= at), (name, node)


def _punctual(arrival: Arrival) -> bool:
    return arrival.event.stamp_at <= arrival.event.received_at


def living(**segments: str) -> Fold:
    fold = Fold(rules({"n": "count of 'A'"}, segments), shop())
    fold.ingest([Arrival(Offset(1), Person(0), event(1, stamp=START, properties={"total": 3}))])
    return fold


def test_a_shorter_window_is_read_from_the_rows_at_hand() -> None:
    fold = living(w="did 'A' within 7 days")
    shorter = parse("did 'A' within 2 hours")
    assert fold.holding(shorter).tolist() == []
    for after, holds in ((0, True), (2 * HOUR - 1, True), (2 * HOUR, False)):
        fold.tick(Instant(START + after), identifiers(2))
        assert fold.holding(shorter).tolist() == [holds, False]
    assert fold.missing_for(shorter) == []
    assert fold.due(parse("did 'A' within 7 days"), [Person(0), Person(1)]) == [START + 7 * DAY, None]


@pytest.mark.parametrize("text", ["did 'A' within 8 days", "sum of 'A'.total", "did 'B'", "last of 'A'.kind = 'x'"])
def test_what_is_not_kept_is_told(text: str) -> None:
    fold = living(w="did 'A' within 7 days")
    fold.tick(START, identifiers(2))
    node = parse(text)
    before = fold.state_hash()
    assert len(fold.missing_for(node)) == 1
    asks: list[Any] = [fold.holding, lambda node: fold.value(node, EVERYBODY), lambda node: fold.due(node, EVERYBODY)]
    for ask in asks:
        with pytest.raises(NotFound, match="not kept live"):
            ask(node)
    assert fold.state_hash() == before


def test_what_does_not_exist_is_refused() -> None:
    fold = living(w="did 'A' within 7 days")
    for text in ("in segment ww", "nn > 1"):
        with pytest.raises(InvalidInput, match="there is no"):
            fold.missing_for(parse(text))


def test_a_merged_person_is_in_nothing() -> None:
    fold = living()
    fold.tick(START, identifiers(2))
    fold.merge(Person(1), Person(0))
    fold.tick(START, identifiers(2))
    assert fold.holding(parse("everyone")).tolist() == [False, True]
