"""The pure fold of the log: cuts, checkpoints and new definitions change nothing of what is true."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent)]

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
    records,
    view,
    with_installed,
)

from mailwright.core.errors import InvalidInput, NotFound, Transient  # noqa: E402
from mailwright.core.events import Event, Events, Identifier, Tick  # noqa: E402
from mailwright.core.previews import Count  # noqa: E402
from mailwright.rules.parse import parse  # noqa: E402
from mailwright.rules.syntax import to_json  # noqa: E402
from mailwright.runtime.engine import reads  # noqa: E402
from mailwright.runtime.engine.state import EngineState  # noqa: E402


def test_the_story_as_told_by_hand() -> None:
    state, folded = fold(records(STORY))
    assert state.fold.sizes() == {"customers": 3, "recent": 0, "big": 0}
    assert (state.n_events, state.n_duplicates) == (8, 1)
    changes = [(at_, change.person, change.segment, change.entered) for _, at_, change in folded.changes]
    assert changes == [
        (at(0.3), 0, "customers", True),
        (at(0.3), 0, "recent", True),
        (at(0.3), 1, "customers", True),
        (at(0.3), 1, "recent", True),
        (at(1.2), 0, "big", True),
        (at(2.2), 3, "customers", True),
        (at(2.2), 3, "recent", True),
        (at(9), 0, "recent", False),
        (at(9), 0, "big", False),
        (at(9), 1, "recent", False),
        (at(9), 3, "recent", False),
    ]


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[float, list[Event] | None]]:
    """Ticks (None) and the events before each, in order of time."""
    names = st.sampled_from(["Order Completed", "Product Viewed", ""])
    users = st.sampled_from(["ada", "bob", "cem"])
    anonymous = st.sampled_from([[], [Identifier("anonymous_id", "a1")], [Identifier("anonymous_id", "a2")]])
    story: list[tuple[float, list[Event] | None]] = []
    for day in range(draw(st.integers(1, 5))):
        told = draw(st.lists(st.tuples(st.integers(0, 30), users, names, anonymous, st.integers(0, 90)), max_size=8))
        story.append(
            (
                day,
                [
                    event(number, user, name, days=day, also=also, properties={"total": total} if name else {})
                    for number, user, name, also, total in told
                ],
            )
        )
        story.append((day + 0.5, None))
    return story


def cut(story: list[tuple[float, list[Event] | None]], sizes: list[int]) -> list:
    """The story as log bodies, its events in records of these sizes, over and over."""
    bodies = [(0, defined())]
    place = 0
    for days, events in story:
        if events is None:
            bodies.append((days, Tick()))
            continue
        left = list(events)
        while left:
            size = sizes[place % len(sizes)]
            place += 1
            bodies.append((days, Events(left[:size])))
            left = left[size:]
    return bodies


@settings(max_examples=60, deadline=None)
@given(stories(), st.lists(st.integers(1, 4), min_size=1, max_size=5), st.lists(st.integers(1, 9), min_size=1))
def test_any_cut_into_records_gives_the_same(story: list, one: list[int], other: list[int]) -> None:
    found, other_found = (fold(records(cut(story, sizes))) for sizes in (one, other))
    assert view(found[0]) == view(other_found[0])
    changes = [[(when, *change) for _, when, change in folded.changes] for _, folded in (found, other_found)]
    assert changes[0] == changes[1]


@pytest.mark.parametrize("place", range(len(STORY) + 1))
def test_a_state_restored_anywhere_goes_on_as_if_nothing_had_been(place: int) -> None:
    log = records(STORY)
    whole, _ = fold(log)
    before, _ = fold(log[:place])
    again = EngineState(BLOBS.get)
    again.restore(frozen(before))
    assert again.fold.state_hash() == before.fold.state_hash()
    fold(log, again)
    assert again.fold.state_hash() == whole.fold.state_hash()
    assert view(again) == view(whole)
    assert reads.status(again) == reads.status(whole)


@pytest.mark.parametrize("place", range(1, len(STORY)))
def test_definitions_applied_later_know_what_happened_before(place: int) -> None:
    """As if they had been there from the start, once the next tick has come."""
    late = [*STORY[:place], (STORY[place - 1][0], defined(MORE_FILES, 2)), *STORY[place:], (9.1, Tick())]
    late = with_installed(late, len(late) - 1, 9.05)
    early = [(0.0, defined(MORE_FILES)), *STORY[1:], (9.1, Tick())]
    (found, _), (wanted, _) = fold(records(late)), fold(records(early))
    assert view(found) == view(wanted)
    assert found.fold.sizes() == {"customers": 3, "recent": 0, "big": 0, "lookers": 1, "vip": 1}


def test_entering_by_a_new_definition_says_so() -> None:
    late = [*STORY[:5], (0.3, defined(MORE_FILES, 2)), (0.4, Tick())]
    late = with_installed(late, 6, 0.3)
    _, folded = fold(records(late))
    assert [(c.person, c.segment, c.cause) for _, when, c in folded.changes if when == at(0.4)] == [
        (0, "vip", "definition")
    ]


def test_removed_definitions_are_gone() -> None:
    less = FILES | {"segments.yaml": "customers: {title: Customers, rule: orders >= 1}\n"}
    state, _ = fold(records([*STORY[:8], (1.2, defined(less, 2)), *STORY[8:]]))
    assert state.fold.sizes() == {"customers": 3}
    with pytest.raises(NotFound, match="no segment 'recent'"):
        reads.members(state, "recent", None, 10)


def test_reads() -> None:
    state, _ = fold(records(STORY))
    assert reads.members(state, "customers", None, 2) == [0, 1]
    assert reads.members(state, "customers", 1, 2) == [3]
    with pytest.raises(NotFound, match="did you mean 'customers'"):
        reads.members(state, "custumers", None, 2)
    with pytest.raises(Transient, match="has no condition"):
        reads.facts(state, [0], ["campaign:x:audience"])
    assert list(reads.facts(state, [0, 99, -1], [])) == [0]
    facts = reads.facts(state, [0], [])[0]
    assert facts.attributes["orders"].value == 2
    assert facts.traits["plan"].value == "gold"
    assert facts.first_identifier == "user_id:ada"


def test_a_merged_number_answers_with_the_survivor() -> None:
    anonymous = Identifier("anonymous_id", "a1")
    first = event(1, "ada", also=[])
    visitor = Event(
        message_id="m2",
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=at(0),
        received_at=at(0),
        known_at=at(0),
        identifiers=[anonymous],
    )
    both = event(3, "ada", "", also=[anonymous])
    state, _ = fold(
        records([(0, defined()), (0, Events([first, visitor])), (0, Tick()), (1, Events([both])), (1, Tick())])
    )
    assert state.living() == [0]
    facts = reads.facts(state, [0, 1], [])
    assert facts[1].person == 0
    assert facts[1].attributes["orders"].value == 2
    assert reads.status(state).n_persons == 1


def test_a_preview_says_who_would_enter_and_leave_and_changes_nothing() -> None:
    state, _ = fold(records(STORY))
    before = state.fold.state_hash()
    rule = to_json(parse("orders >= 1 and not trait plan = 'silver' and orders < 2"))
    found = reads.preview(state, rule, "customers", 10)
    inside = {n for n, one in reads.facts(state, state.living(), []).items() if one.attributes["orders"].value == 1}
    members = set(reads.members(state, "customers", None, 100))
    assert found.missing
    plain = reads.preview(state, to_json(parse("orders = 1")), "customers", 10)
    assert (plain.exact, plain.size, set(plain.sample)) == (True, Count.of(len(inside)), inside)
    assert plain.entering == Count.of(len(inside - members))
    assert set(plain.leaving_sample) == members - inside
    assert plain.n_persons == len(state.living())
    assert reads.preview(state, to_json(parse("orders = 1")), None, 1).leaving is None
    assert len(reads.preview(state, to_json(parse("orders = 1")), None, 1).sample) == 1
    assert reads.preview(state, to_json(parse("orders = 1")), "not yet", 9).entering == plain.size
    with pytest.raises(InvalidInput, match="custmers"):
        reads.preview(state, to_json(parse("in segment custmers")), None, 1)
    assert state.fold.state_hash() == before
