"""Checkpoints: written while the engine goes on, manifest last; torn ones are passed over."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import (  # noqa: E402
    BLOBS,
    MORE_FILES,
    STORY,
    World,
    at,
    defined,
    event,
    fold,
    frozen,
    records,
    view,
    wait_for,
    world,
)

from mailwright.core.errors import Transient  # noqa: E402
from mailwright.core.events import PLACES, Events, Offset, Tick  # noqa: E402
from mailwright.runtime.engine import checkpoint, reads  # noqa: E402
from mailwright.runtime.engine.state import EngineState  # noqa: E402
from mailwright.stores.memory import MemoryBlobs  # noqa: E402

ALL = Offset(10**9 * PLACES)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


class Held:
    """Blobs that are stored only once `go` is set."""

    def __init__(self, blobs: object) -> None:
        self._blobs, self.go, self.n_waiting = blobs, threading.Event(), 0

    def put(self, data: bytes) -> str:
        self.n_waiting += 1
        assert self.go.wait(120)
        return self._blobs.put(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._blobs, name)


def numbers(there: World) -> list[int]:
    """The records at which checkpoints stand, newest first."""
    text = there.stored.meta.get("engine.checkpoints")
    return [one["number"] for one in msgspec.json.decode(text)] if text else []


def test_the_engine_answers_and_goes_on_while_one_is_written(there: World) -> None:
    held = Held(there.blobs)
    there.append(STORY[:5])
    with there.running(there.engine(checkpoint_events=1, blobs=held)) as engine:
        there.caught_up(engine)
        wait_for(lambda: held.n_waiting, "no checkpoint is begun")
        assert engine.ask(reads.status).result(60).n_persons == 2
        there.append(STORY[5:])
        state = there.caught_up(engine)
        assert view(state) == view(fold(records(STORY))[0])
        assert numbers(there) == []  # nothing counts before it is whole
        held.go.set()
        wait_for(lambda: numbers(there) == [5], "it is never written")
    again = EngineState(there.blobs.get)
    assert checkpoint.restore(again, there.blobs, there.stored.meta, ALL)
    assert again.fold.state_hash() == fold(records(STORY[:5]))[0].fold.state_hash()


def test_two_are_kept_and_equal_parts_are_one_blob() -> None:
    blobs, meta = MemoryBlobs(), Meta()
    state, _ = fold(records(STORY[:5]))
    checkpoint.save(state.freeze(), blobs, meta)
    n_one = len(blobs._blobs)
    quiet = [*STORY[:5], (0.4, Tick())]
    fold(records(quiet), state)
    checkpoint.save(state.freeze(), blobs, meta)
    assert len(blobs._blobs) - n_one <= 8  # who and what did not change: only counters, clocks and edges of windows
    for days in range(1, 4):
        quiet = [*quiet, (days, Events([event(100 + days, "ada", days=days)])), (days, Tick())]
        fold(records(quiet), state)
        checkpoint.save(state.freeze(), blobs, meta)
    kept = msgspec.json.decode(meta.get("engine.checkpoints"), type=list[checkpoint.Manifest])
    assert [one.number for one in kept] == [len(quiet), len(quiet) - 2]
    assert set(blobs._blobs) == {blob for one in kept for blob in one.parts.values()}


class Meta(dict):
    """Small facts, in memory."""

    def put(self, key: str, value: str) -> None:
        self[key] = value


def test_a_torn_newest_one_gives_way_to_the_one_before() -> None:
    blobs, meta = MemoryBlobs(), Meta()
    state, _ = fold(records(STORY[:5]))
    checkpoint.save(state.freeze(), blobs, meta)
    fold(records(STORY), state)
    checkpoint.save(state.freeze(), blobs, meta)
    newest, before = msgspec.json.decode(meta.get("engine.checkpoints"), type=list[checkpoint.Manifest])
    own = set(newest.parts.values()) - set(before.parts.values())
    for name in own:
        torn = MemoryBlobs()
        torn._blobs = {**blobs._blobs, name: blobs._blobs[name][:-3]}
        found = EngineState(torn.get)
        assert checkpoint.restore(found, torn, meta, ALL)
        assert found.number == before.number
        fold(records(STORY), found)
        assert found.fold.state_hash() == state.fold.state_hash()
    for name in newest.parts.values():
        blobs.delete(name)
    assert not checkpoint.restore(EngineState(blobs.get), blobs, meta, ALL)


def test_one_that_history_does_not_reach_is_passed_over() -> None:
    blobs, meta = MemoryBlobs(), Meta()
    state, _ = fold(records(STORY[:5]))
    checkpoint.save(state.freeze(), blobs, meta)
    early = state.upto
    fold(records(STORY), state)
    checkpoint.save(state.freeze(), blobs, meta)
    for upto, number in ((ALL, len(STORY)), (state.upto, len(STORY)), (Offset(state.upto - PLACES), 5), (early, 5)):
        found = EngineState(blobs.get)
        assert checkpoint.restore(found, blobs, meta, upto)
        assert found.number == number
    assert not checkpoint.restore(EngineState(blobs.get), blobs, meta, Offset(early - PLACES))


def test_what_is_frozen_does_not_change_any_more() -> None:
    """Bytes made late, after the state went on, are those made at once."""
    log = records([*STORY[:6], (1.0, defined(MORE_FILES, 2)), *STORY[6:]])
    state, _ = fold(log[:8])
    at_once, late = frozen(state), state.freeze()
    fold(log, state)
    assert dict(late.parts()) == at_once
    again = EngineState(BLOBS.get)
    again.restore(at_once)
    assert again.underway
    assert again.number == 8


def test_none_is_written_while_history_cannot_be(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = there.history.append

    def full(*_: object) -> None:
        raise Transient("history.disk_full", "no space left")

    monkeypatch.setattr(there.history, "append", full)
    there.append(STORY[:5])
    with there.running(there.engine(checkpoint_events=1)) as engine:
        there.caught_up(engine)
        wait_for(lambda: not engine._checkpoints.busy, "it waits for ever")
        assert numbers(there) == []
        monkeypatch.setattr(there.history, "append", whole)
        there.append(STORY[5:])
        there.caught_up(engine)
        wait_for(lambda: numbers(there), "none is written")
    assert there.failures == []
    assert there.history.query("SELECT count(*) AS n FROM events")["n"][0].as_py() == 8
    assert at(0) > 0
