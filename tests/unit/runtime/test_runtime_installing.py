"""A definition on its way: whatever happens meanwhile, in the end all is as if it had been there from the start."""

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

_RULES = Path(__file__).parents[2] / "rules"
sys.path[:0] = [str(Path(__file__).parent), str(_RULES)]

from engine_world import (  # noqa: E402
    BLOBS,
    FILES,
    MORE_FILES,
    STORY,
    at,
    defined,
    event,
    fold,
    frozen,
    installed,
    records,
    view,
    with_installed,
)
from fold_world import identifiers, rules, shop  # noqa: E402
from test_fold_agreement import CONDITIONS, VALUES, N, Teller  # noqa: E402
from test_fold_state import answers, approximately, kept, play  # noqa: E402

from mailwright.core.events import Body, Events, Identifier, Tick  # noqa: E402
from mailwright.core.instants import DAY, Instant  # noqa: E402
from mailwright.rules.fold import Fold  # noqa: E402
from mailwright.runtime.engine.installing import Underway  # noqa: E402
from mailwright.runtime.engine.state import EngineState  # noqa: E402


def some_rules(random: Random) -> Any:
    """A few of all the rules, which the old version has."""
    names = [*random.sample(sorted(VALUES), 8), "n_a", "kinds", "last_kind", "n_shoes"]
    return rules({name: VALUES[name] for name in names}, {f"s{n}": CONDITIONS[n] for n in random.sample(range(9), 3)})


def past_of(steps: Sequence[tuple[str, Any]], leaves: Sequence[str]) -> Fold:
    """What the job makes of the steps before a definition, with the people as they were then."""
    past = Fold.of_leaves(kept(), shop(), leaves)
    for kind, what in steps:
        if kind == "events":
            past.ingest(what)
        elif kind == "merge":
            past.merge(*what)
    ticks = [what for kind, what in steps if kind == "tick"]
    if ticks:
        past.count(ticks[-1], N)
    return Fold.load(past.freeze().parts(), kept(), shop())


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_every_leaf_is_as_if_it_had_always_been_there(seed: int) -> None:
    """Random stories with late and future events and merges, defined and installed anywhere in them."""
    random, steps = Random(seed), Teller(seed).story(14)
    d = random.randrange(len(steps))
    s = random.randrange(d, len(steps))
    always, living = Fold(kept(), shop()), Fold(some_rules(random), shop())
    play(always, steps)
    play(living, steps[:d])
    underway = Underway(
        version=2,
        defined=1,
        counted_at=None,
        files={},
        project=SimpleNamespace(rules=kept()),
        shadow=living.beside(kept(), shop()),
    )
    for kind, what in steps[d:s]:
        play(living, [(kind, what)])
        if kind == "events":
            underway.ingest(what)
        elif kind == "merge":
            underway.merge(*what)
        else:
            underway.tick(what, N)
    found = underway.installed(past_of(steps[:d], underway.order.leaves), living, shop())
    assert found.missing_leaves() == []
    play(found, steps[s:])
    last = [what for kind, what in steps if kind == "tick"][-1]
    for end in (Instant(last + 1), Instant(last + 40 * DAY)):
        for each in (always, found):
            each.tick(end, identifiers(N))
        assert approximately(answers(found), answers(always))
    assert leaves_hash(found, always) == leaves_hash(always, found)


def leaves_hash(fold: Fold, other: Fold) -> dict[str, Any]:
    """The state of every leaf that both keep: a longer window of before may have left one of them a longer queue."""
    shared = set(fold.leaves()) & set(other.leaves())
    return {key: value for key, value in fold._stores.digest() if key in shared}


# --- in the engine's state -------------------------------------------------------------------------------------------


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[tuple[float, Body]], int, int]:
    """Log bodies with people who merge, late and future events; and where another version is defined and installed."""
    bodies: list[tuple[float, Body]] = [(0, defined())]
    users, names = st.sampled_from(["ada", "bob", "cem"]), st.sampled_from(["Order Completed", "Product Viewed", ""])
    linked = st.sampled_from([[], [], [Identifier("anonymous_id", "a1")], [Identifier("anonymous_id", "a2")]])
    number = 0
    for day in range(1, draw(st.integers(3, 8))):
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            name, also = draw(names), draw(linked)
            made = event(number, draw(users), name, days=day + draw(st.sampled_from([0, -2, 2.2])), also=also)
            if also and draw(st.booleans()):  # a visitor who may turn out to be somebody
                made = msgspec.structs.replace(made, identifiers=also)
            properties = {"total": draw(st.integers(0, 90))} if name else {}
            made = msgspec.structs.replace(made, received_at=at(day), properties=properties)
            bodies.append((day, Events([msgspec.structs.replace(made, known_at=at(day))])))
        bodies.append((day + 0.5, Tick()))
    d = draw(st.integers(1, len(bodies)))
    return bodies, d, draw(st.integers(d, len(bodies)))


def by_protocol(bodies: list[tuple[float, Body]], d: int, s: int) -> list[tuple[float, Body]]:
    """The bodies with a version defined before place `d` and installed before place `s` of them."""
    days = bodies[d - 1][0]
    late = [*bodies[:d], (days, defined(MORE_FILES, 2)), *bodies[d:]]
    return with_installed(late, s + 1, bodies[s - 1][0])


@settings(max_examples=40, deadline=None)
@given(logs())
def test_applied_late_by_the_protocol_or_at_once_from_the_start(story: tuple[Any, int, int]) -> None:
    bodies, d, s = story
    end = [(20.0, Tick()), (40.0, Tick())]
    late, _ = fold(records([*by_protocol(bodies, d, s), *end]))
    early, _ = fold(records([(0.0, defined(MORE_FILES, 2)), *bodies[1:], *end]))
    assert (late.version, late.underway) == (2, None)
    assert view(late) == view(early)


@settings(max_examples=20, deadline=None)
@given(logs(), st.integers(0, 40))
def test_a_restart_anywhere_on_the_way_changes_nothing(story: tuple[Any, int, int], place: int) -> None:
    log = records([*by_protocol(*story), (20.0, Tick())])
    whole, _ = fold(log)
    before, _ = fold(log[: place % len(log)])
    again = EngineState(BLOBS.get)
    again.restore(frozen(before))
    fold(log, again)
    assert again.fold.state_hash() == whole.fold.state_hash()
    assert view(again) == view(whole)


LATE = [*STORY[:6], (1.0, defined(MORE_FILES, 2)), *STORY[6:10]]
"""Defined at day 1, not installed by day 2.1: two ticks come meanwhile."""


def test_meanwhile_the_old_version_goes_on() -> None:
    (found, told), (undisturbed, wanted) = fold(records(LATE)), fold(records(STORY[:10]))
    assert (found.version, found.underway and found.underway.version) == (1, 2)
    assert found.project.segments.keys() == undisturbed.project.segments.keys()
    assert view(found) == view(undisturbed)
    assert [change for *_, change in told.changes] == [change for *_, change in wanted.changes]
    assert [row[2:] for row in told.definitions] == [(1, FILES, True), (2, MORE_FILES, False)]


def test_it_is_in_force_from_the_record_on_and_evaluated_at_the_tick() -> None:
    bodies = [*LATE, (2.15, installed(records(LATE)))]
    state, told = fold(records(bodies))
    assert (state.version, state.underway) == (2, None)
    assert told.definitions[-1][2:] == (2, None, True)
    assert state.fold.sizes()["lookers"] == 0
    _, told = fold(records([*bodies, (2.2, Tick())]))
    causes = {(c.segment, c.cause) for _, when, c in told.changes if when == at(2.2)}
    assert ("lookers", "definition") in causes
    assert ("vip", "definition") in causes


def test_a_newer_version_takes_the_place_of_one_on_its_way() -> None:
    first = installed(records(LATE))
    newest = MORE_FILES | {"segments.yaml": "seen: {title: Seen, rule: did 'Product Viewed'}\n"}
    bodies = [*LATE, (2.1, defined(newest, 3)), (2.12, first)]
    state, _ = fold(records(bodies))
    assert (state.version, state.underway and state.underway.version) == (1, 3)  # the first one's past is no news
    state, _ = fold(records([*with_installed(bodies, len(bodies), 2.15), (2.2, Tick())]))
    assert (state.version, state.fold.sizes()) == (3, {"seen": 1})


def test_back_to_the_version_in_force_ends_the_one_on_its_way() -> None:
    first = installed(records(LATE))
    state, _ = fold(records([*LATE, (2.1, defined(FILES, 3)), (2.12, first), (2.2, Tick())]))
    assert (state.version, state.underway) == (3, None)
    assert "lookers" not in state.fold.sizes()


def test_records_that_come_twice_count_once() -> None:
    bodies = [*LATE, (2.1, defined(MORE_FILES, 2))]
    done = installed(records(LATE))
    once = [*bodies, (2.15, done), (2.2, Tick())]
    twice = [*once, (2.3, done), (2.4, defined(MORE_FILES, 2)), (2.5, Tick())]
    (one, _), (two, told) = fold(records(once)), fold(records(twice))
    assert two.version == 2
    assert two.underway is None
    assert view(two) == view(one)
    assert len(told.definitions) == 3


@pytest.mark.parametrize("blob", ["0" * 64, BLOBS.put(b"something else"), BLOBS.put(b"mailwright past 1\ntorn")])
def test_a_blob_that_cannot_be_read_leaves_the_old_version_in_force(blob: str) -> None:
    record = installed(records(LATE))
    lost = msgspec.structs.replace(record, blob=blob)
    state, _ = fold(records([*LATE, (2.12, lost)]))
    assert (state.version, state.underway and state.underway.version) == (1, 2)
    state, _ = fold(records([*LATE, (2.12, lost), (2.15, record), (2.2, Tick())]))
    assert (state.version, state.underway) == (2, None)


def test_what_was_merged_meanwhile_is_merged_in_the_past_too() -> None:
    visit = msgspec.structs.replace(
        event(20, "x", "Product Viewed", days=0.1), identifiers=[Identifier("anonymous_id", "a9")]
    )
    told = event(21, "dora", "", days=1, also=[Identifier("anonymous_id", "a9")])
    bodies: list[tuple[float, Body]] = [
        (0, defined()),
        (0.1, Events([visit, event(22, "dora", "Product Viewed", days=0.1)])),
        (0.2, Tick()),
        (0.3, defined(MORE_FILES, 2)),
        (1, Events([told])),
        (1.1, Tick()),
    ]
    state, _ = fold(records([*with_installed(bodies, len(bodies), 1.2), (1.3, Tick())]))
    assert state.underway is None
    assert state.fold.sizes()["lookers"] == 1
