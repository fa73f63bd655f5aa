"""State of the fold: any cut of the log gives the same, checkpoints give it back, parts of the log add up."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from fold_world import START, event, identifiers, rules, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fold_agreement import CONDITIONS, VALUES, Teller

from mailwright.core.errors import Corrupt
from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules.fold import Arrival, Fold, Rules

N = 3
EVERYBODY = [Person(number) for number in range(N)]
SEGMENTS = {f"s{place}": text for place, text in enumerate(CONDITIONS)}
SHOWN = sorted(VALUES)

seeds = st.integers(0, 2**32)


def kept() -> Rules:
    return rules(VALUES, SEGMENTS)


def play(fold: Fold, steps: list[tuple[Any, ...]], cut: Random | None = None) -> list[Any]:
    """The changes of every tick; with `cut`, events come in micro-batches of random sizes."""
    told: list[Any] = []
    for kind, what in steps:
        if kind == "events":
            while what:
                size = cut.randint(1, len(what)) if cut else len(what)
                fold.ingest(what[:size])
                what = what[size:]
        elif kind == "merge":
            fold.merge(*what)
        else:
            told.append(fold.tick(what, identifiers(N)))
    return told


def answers(fold: Fold) -> dict[str, Any]:
    return {name: fold.attribute(name, EVERYBODY) for name in SHOWN} | {
        name: fold.members(name).tolist() for name in SEGMENTS
    }


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_any_cut_into_micro_batches_gives_the_same_state(seed: int) -> None:
    steps = Teller(seed).story(10)
    whole, cut = Fold(kept(), shop()), Fold(kept(), shop())
    assert play(whole, steps) == play(cut, steps, Random(seed))
    assert whole.state_hash() == cut.state_hash()


def test_the_hash_sees_one_event_more() -> None:
    one, two = Fold(kept(), shop()), Fold(kept(), shop())
    one.ingest([Arrival(Offset(1), Person(0), event(1, stamp=START))])
    hashes = {one.state_hash(), two.state_hash()}
    one.tick(Instant(START + HOUR), identifiers(N))
    two.tick(Instant(START + HOUR), identifiers(N))
    assert len(hashes | {one.state_hash(), two.state_hash()}) == 4


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_loaded_fold_goes_on_like_the_one_that_was_dumped(seed: int) -> None:
    steps = Teller(seed).story(10)
    place = Random(seed).randrange(21)
    first, rest = steps[:place], steps[place:]
    undisturbed = Fold(kept(), shop())
    play(undisturbed, first)
    loaded = Fold.load(undisturbed.freeze().parts(), kept(), shop(), identifiers(N))
    assert loaded.state_hash() == undisturbed.state_hash()
    assert loaded.next_due() == undisturbed.next_due()
    assert play(loaded, rest) == play(undisturbed, rest)
    assert loaded.state_hash() == undisturbed.state_hash()
    assert answers(loaded) == answers(undisturbed)


def test_torn_bytes_are_refused() -> None:
    parts = Fold(kept(), shop()).freeze().parts()
    for name, data in parts.items():
        for torn in (b"", data[: len(data) // 2], b"\xc1" + data):
            with pytest.raises(Corrupt):
                Fold.load(parts | {name: torn}, kept(), shop())
        with pytest.raises(Corrupt):
            Fold.load({other: parts[other] for other in parts if other != name}, kept(), shop())


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_history_combined_with_later_is_all(seed: int) -> None:
    place = Random(seed).randrange(20)
    steps = [step for step in Teller(seed).story(12) if step[0] != "merge"]
    ticks = [what for kind, what in steps if kind == "tick"]
    everything, history, later = (Fold(kept(), shop()) for _ in range(3))
    play(everything, steps)
    play(history, [step for step in steps[:place] if step[0] == "events"])
    play(later, steps[place:])
    later.combine(history)
    for fold in (everything, later):
        fold.tick(Instant(ticks[-1] + 1), identifiers(N))
    assert approximately(answers(later), answers(everything))
    due = everything.next_due()
    if due is not None:
        for fold in (everything, later):
            fold.tick(due, identifiers(N))
        assert approximately(answers(later), answers(everything))


def approximately(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(a[name] == pytest.approx(b[name]) if _numbers(b[name]) else a[name] == b[name] for name in b)


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(value, float | int) for value in values)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_changed_rule_set_with_backfill_is_as_if_it_had_always_been_there(seed: int) -> None:
    place = Random(seed).randrange(1, 20)
    steps = [step for step in Teller(seed).story(12) if step[0] != "merge"]
    random = Random(seed)
    old = rules(
        {name: VALUES[name] for name in random.sample(SHOWN, 8)}
        | {"n_a": VALUES["n_a"], "kinds": VALUES["kinds"]}
        | {"last_kind": VALUES["last_kind"]},
        {"x": "did 'A' within 2 hours", "y": "did 'B' within 30 days"},
    )
    always, living = Fold(kept(), shop()), Fold(old, shop())
    play(always, steps)
    before, after = steps[:place], steps[place:]
    play(living, before)
    history = Fold(kept(), shop())
    play(history, [step for step in before if step[0] == "events"])
    replaced = Fold(kept(), shop(), replacing=living)
    assert replaced.missing_leaves()
    replaced.combine(history)
    assert replaced.missing_leaves() == []
    play(replaced, after)
    end = Instant(steps[-1][1] + 1)
    for fold in (always, replaced):
        fold.tick(end, identifiers(N))
    assert approximately(answers(replaced), answers(always))


def test_leaves_at_hand_are_taken_over() -> None:
    old = Fold(rules({"n": "count of 'A'"}, {"w": "did 'A' within 1 day"}), shop())
    old.ingest([Arrival(Offset(1), Person(0), event(1, stamp=START))])
    old.tick(Instant(START + HOUR), identifiers(N))
    new = Fold(rules({"n": "count of 'A'"}, {"v": "did 'A' within 2 hours"}), shop(), replacing=old)
    assert new.missing_leaves() == []
    changes = new.tick(Instant(START + HOUR), identifiers(N))
    assert [(change.person, change.segment, change.entered, change.cause) for change in changes] == [
        (0, "v", True, "definition")
    ]
    assert new.attribute("n", EVERYBODY) == [1, 0, 0]
    assert new.next_due() == START + 2 * HOUR


def test_a_longer_window_needs_the_past() -> None:
    old = Fold(rules({}, {"w": "did 'A' within 1 day"}), shop())
    old.ingest([Arrival(Offset(1), Person(0), event(1, stamp=START))])
    old.tick(Instant(START + 2 * DAY), identifiers(N))
    new = Fold(rules({}, {"w": "did 'A' within 1 day", "v": "did 'A' within 7 days"}), shop(), replacing=old)
    assert len(new.missing_leaves()) == 1
