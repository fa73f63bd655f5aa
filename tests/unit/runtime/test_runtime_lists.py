"""Lists from the log: live from the next tick, by any identifier of a person, kept over checkpoints and merges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from engine_world import event, fold, frozen, records
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.events import Body, Defined, Event, Events, Identifier, ListChanged, Tick, decode_body, encode_body
from mailwright.rules.fold import Change
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.past import Past
from mailwright.stores.history_delta import DeltaHistory

SEGMENTS = """
guests:
  title: Guests
  rule: in list guests
buyers:
  title: Guests who bought
  rule: in segment guests and did 'Order Completed'
"""
DEFINED = Defined(1, {"segments.yaml": SEGMENTS})


def told(**more: Any) -> ListChanged:
    return ListChanged(name="guests", source="test", **more)


def named(number: int, *identifiers: str, name: str = "Product Viewed", days: float = 0) -> Event:
    pairs = [each.partition(":") for each in identifiers]
    return msgspec.structs.replace(
        event(number, "x", name, days=days), identifiers=[Identifier(kind, value) for kind, _, value in pairs]
    )


def run(*bodies: tuple[float, Body]) -> tuple[EngineState, list[Change], Folded]:
    state, folded = fold(records([(0, DEFINED), *bodies]))
    return state, [change for _, _, change in folded.changes], folded


def test_a_change_shows_at_the_next_tick_with_its_cause() -> None:
    _, changes, _ = run(
        (1, Events([named(1, "user_id:1"), named(2, "user_id:2")])),
        (1, Tick()),
        (2, told(added=["user_id:2", "user_id:9"])),
        (2, Tick()),
        (3, told(removed=["user_id:2"])),
        (3, Tick()),
    )
    assert changes == [Change(1, "guests", True, "list"), Change(1, "guests", False, "list")]


def test_who_appears_later_is_on_it_by_what_happened() -> None:
    _, changes, _ = run((1, told(added=["user_id:1"])), (1, Tick()), (2, Events([named(1, "user_id:1")])), (2, Tick()))
    assert changes == [Change(0, "guests", True, "event")]


def test_an_identifier_that_a_person_gets_later_counts() -> None:
    _, changes, _ = run(
        (1, told(added=["email:abc"])),
        (1, Events([named(1, "user_id:1")])),
        (1, Tick()),
        (2, Events([named(2, "user_id:1", "email:abc")])),
        (2, Tick()),
    )
    assert [(change.segment, change.entered) for change in changes] == [("guests", True)]


def test_one_identifier_of_two_keeps_a_person_on_the_list() -> None:
    _, changes, _ = run(
        (1, Events([named(1, "user_id:1", "email:abc")])),
        (1, told(added=["user_id:1", "email:abc"])),
        (1, Tick()),
        (2, told(removed=["email:abc"])),
        (2, Tick()),
        (3, told(removed=["user_id:1"])),
        (3, Tick()),
    )
    assert [change.entered for change in changes] == [True, False]


def test_a_replacement_in_several_records_moves_nobody_who_stays() -> None:
    _, changes, _ = run(
        (1, Events([named(n, f"user_id:{n}") for n in range(3)])),
        (1, told(added=["user_id:0", "user_id:1"])),
        (1, Tick()),
        (2, told(added=["user_id:2"], replaced=True)),
        (2, told(added=["user_id:1"])),
        (2, Tick()),
    )
    assert changes[2:] == [Change(0, "guests", False, "list"), Change(2, "guests", True, "list")]


def test_an_old_log_and_an_empty_change_can_be_read() -> None:
    assert decode_body(encode_body(told())) == told()


# --- any story -------------------------------------------------------------------------------------------------------

IDENTIFIERS = st.sampled_from([f"{kind}:{n}" for kind in ("user_id", "email", "anonymous_id") for n in range(3)])
BODIES = st.one_of(
    st.lists(IDENTIFIERS, min_size=1, max_size=2, unique_by=lambda each: each.partition(":")[0]).map(tuple),
    st.builds(
        ListChanged,
        name=st.just("guests"),
        added=st.lists(IDENTIFIERS, max_size=3),
        removed=st.lists(IDENTIFIERS, max_size=3),
        replaced=st.booleans(),
    ),
    st.just(Tick()),
)


def story(drawn: Sequence[Any]) -> list[tuple[float, Body]]:
    bodies: list[tuple[float, Body]] = [(0, DEFINED)]
    for number, each in enumerate(drawn):
        if isinstance(each, tuple):
            each = Events([named(number, *each, name="Order Completed", days=number)])
        bodies.append((number, each))
    return [*bodies, (len(drawn), Tick())]


@settings(deadline=None)
@given(st.lists(BODIES, max_size=14), st.data())
def test_membership_is_that_of_the_identifiers_also_after_a_checkpoint(drawn: list[Any], data: st.DataObject) -> None:
    bodies = story(drawn)
    state, _ = fold(records(bodies))
    listed: set[str] = set()
    for _, body in bodies:
        if isinstance(body, ListChanged):
            listed = (set() if body.replaced else listed - set(body.removed)) | set(body.added)
    people = state.living()
    keys = {person: {f"{one.kind}:{one.value}" for one in state.identity.identifiers(person)} for person in people}
    inside = state.fold.members("guests")
    assert {person for person in people if inside[person]} == {p for p in people if keys[p] & listed}

    log = records(bodies)
    ticks = [place for place, record in enumerate(log) if isinstance(record.body, Tick)]
    cut = data.draw(st.sampled_from(ticks)) + 1
    first, _ = fold(log[:cut])
    second = EngineState(lambda name: b"")
    second.restore(frozen(first))
    again, _ = fold(log[cut:], second)
    assert frozen(again) == frozen(state)


def test_history_has_who_came_and_left(tmp_path: Path) -> None:
    state, _, folded = run(
        (1, told(added=["user_id:1", "email:a"])), (2, told(added=["user_id:1"], replaced=True)), (2, Tick())
    )
    history = DeltaHistory(tmp_path)
    writer = HistoryWriter(history)
    writer.add(folded, state.upto)
    writer.flush()
    writer.stop()
    rows = history.query('SELECT list, identifier, added FROM lists ORDER BY "offset", identifier').to_pylist()
    assert [(row["identifier"], row["added"]) for row in rows] == [
        ("email:a", True),
        ("user_id:1", True),
        ("email:a", False),
    ]


def test_the_past_knows_who_was_on_a_list(tmp_path: Path) -> None:
    state, _, folded = run(
        (1, Events([named(1, "user_id:1"), named(2, "user_id:2", "email:b")])),
        (1, told(added=["email:b", "email:nobody"])),
        (1, Tick()),
        (2, told(removed=["email:b"], added=["user_id:1"])),
        (2, Tick()),
    )
    writer = HistoryWriter(DeltaHistory(tmp_path))
    writer.add(folded, state.upto)
    writer.stop()
    past = Past(DeltaHistory(tmp_path))
    for tick, expected in zip(past.ticks(), ([False, True], [True, False]), strict=True):
        made = past.fill(state.project.rules, tick.at, tick.offset)
        assert made.members("guests").tolist() == expected
        assert past.lists_at(tick.offset, past.graph_at(tick.offset))["guests"] == {f"user_id:{2 - expected[0]}"}
