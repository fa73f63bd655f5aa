"""An import gives way while the engine is behind, and never puts more before it than two of its own records."""

from types import SimpleNamespace

import pytest

from mailwright.core.errors import Transient
from mailwright.core.events import PLACES, Tick
from mailwright.core.instants import Instant
from mailwright.runtime.giving_way import MAX_BEHIND, Turns, behind
from mailwright.stores.memory import MemoryEventLog


class Engine:
    """Has folded the log up to record `folded`; after a pause `step` records more. `down` is raised instead."""

    def __init__(self, log, step=1):
        self.log, self.step, self.folded, self.down, self.pauses = log, step, 0, None, 0

    def status(self):
        if self.down is not None:
            raise self.down
        return SimpleNamespace(offset=(self.folded + 1) * PLACES - 1)

    def pause(self, seconds):
        assert 0 < seconds < 0.1
        self.pauses += 1
        if self.pauses > 2 and self.down is not None:
            self.down = None
        self.folded = min(self.folded + self.step, self.log.last()[0])


@pytest.fixture
def engine():
    return Engine(MemoryEventLog())


def put(engine, n=1):
    return engine.log.append([Tick()] * n, Instant(1))[-1]


def test_how_far_the_engine_is_behind(engine):
    put(engine, 5)
    engine.folded = 3
    assert behind(engine.log, engine) == 2
    engine.folded = 9  # it read more since the log was asked
    assert behind(engine.log, engine) == 0


def test_while_live_events_wait_the_import_waits(engine):
    put(engine, MAX_BEHIND + 10)
    turns = Turns(engine.log, engine, engine.pause)
    turns.wait()
    assert (engine.pauses, engine.folded) == (10, 10)


def test_at_most_two_records_of_an_import_wait_for_the_engine(engine):
    engine.step = 0
    turns = Turns(engine.log, engine, engine.pause)
    for _ in range(2):
        turns.wait()
        turns.sent(put(engine))
    assert engine.pauses == 0
    engine.step = 1
    turns.wait()
    assert (engine.pauses, engine.folded) == (1, 1)


def test_without_an_engine_an_import_goes_on(engine):
    engine.down = Transient("engine.unreachable", "none runs")
    put(engine, 1_000)
    turns = Turns(engine.log, engine, engine.pause)
    for _ in range(5):
        turns.wait()
        turns.sent(put(engine))
    assert engine.pauses == 0


def test_while_the_engine_reads_its_log_again_an_import_waits(engine):
    engine.down = Transient("engine.recovering", "reading")
    with pytest.raises(Transient):
        behind(engine.log, engine)
    Turns(engine.log, engine, engine.pause).wait()
    assert engine.pauses == 3
