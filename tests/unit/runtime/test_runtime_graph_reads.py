"""What the engine tells of a person's merges while it stands still for it: much, but never without bound."""

from __future__ import annotations

import pytest
from engine_world import BLOBS

from mailwright.core.events import Event, Identifier, Offset
from mailwright.core.instants import Instant
from mailwright.profiles import parting
from mailwright.profiles.merge_book import NOT_UNDONE
from mailwright.profiles.parting import Parting
from mailwright.runtime.engine.graph_reads import MOVES_TOLD, graph
from mailwright.runtime.engine.state import EngineState

AT = Instant(0)
N = MOVES_TOLD + 30


@pytest.fixture
def hub() -> EngineState:
    """A user who is one with many browsers, each of which brought an address of its own."""
    state = EngineState(BLOBS.get)
    told = [["user_id:hub"]]
    for number in range(N):
        told += [[f"email:{number}", f"anonymous_id:{number}"], ["user_id:hub", f"anonymous_id:{number}"]]
    for place, names in enumerate(told):
        event = Event(
            message_id=f"m{place}",
            source="shop",
            type="track",
            stamp_at=AT,
            received_at=AT,
            known_at=AT,
            identifiers=[Identifier(*name.split(":")) for name in names],
        )
        state.identity.resolve(event, Offset(place + 1), AT)
    return state


def test_what_a_merge_would_move_is_told_of_the_newest_and_is_what_a_split_moves(hub):
    found = graph(hub, 0).merges
    assert [merge.moves is None for merge in found] == [True] * (N - MOVES_TOLD) + [False] * MOVES_TOLD
    for merge in found[-3:]:
        asked = hub.identity.parting(found[0].into, merge.number, [])
        assert isinstance(asked, Parting)
        assert merge.moves == [hub.identity.key(row) for row in asked.moved]
    part = hub.identity.part(asked, Offset(10**6), AT)
    again = graph(hub, 0).merges
    assert (again[-1].undone, again[-1].moves) == (True, [])
    assert [merge.moves is None for merge in again].count(True) == N - MOVES_TOLD - 1
    assert hub.identity.book.get(found[-1].number).undone != NOT_UNDONE
    assert graph(hub, part).merges[-1].moves == []


def test_the_tree_of_a_person_is_made_once_a_read(hub, monkeypatch):
    made: list[int] = []
    init = parting.Tree.__init__
    monkeypatch.setattr(parting.Tree, "__init__", lambda self, *told: (made.append(1), init(self, *told))[1])
    graph(hub, 0)
    assert len(made) == 1
