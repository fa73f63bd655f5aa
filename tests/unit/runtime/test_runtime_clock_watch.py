"""The machine's clock jumps: seen, told to every process, and nothing moves until it is confirmed. Never stuck."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import START, World, at, defined, event, wait_for, world  # noqa: E402

from mailwright.core.events import Events, Tick  # noqa: E402
from mailwright.core.instants import HOUR, MINUTE, SECOND, Instant  # noqa: E402
from mailwright.runtime.clock_watch import ClockWatch, confirm, parted  # noqa: E402
from mailwright.runtime.engine import reads  # noqa: E402


class Machine:
    """A wall clock and a steady one, set by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 500 * SECOND

    def runs(self, micros: int) -> None:
        """Both go on."""
        self.wall, self.steady = Instant(self.wall + micros), self.steady + micros

    def jumps(self, micros: int) -> None:
        """Somebody sets the wall clock."""
        self.wall = Instant(self.wall + micros)

    def watch(self, meta: object) -> ClockWatch:
        return ClockWatch(meta, lambda: self.wall, lambda: self.steady)


class Meta(dict):
    """Small facts, in memory."""

    def put(self, key: str, value: str) -> None:
        self[key] = value


def seen(machine: Machine, watch: ClockWatch) -> bool:
    machine.runs(2 * SECOND)
    return watch.look() is not None


@pytest.mark.parametrize("by", [61 * SECOND, -61 * SECOND, 30 * HOUR])
def test_a_jump_is_told_until_it_is_confirmed(by: int) -> None:
    machine, meta = Machine(), Meta()
    watch, other = machine.watch(meta), machine.watch(meta)
    assert not seen(machine, watch)
    machine.jumps(by)
    assert seen(machine, watch)
    assert parted(meta).parted_micros == by
    assert seen(machine, other)
    machine.runs(HOUR)
    assert seen(machine, watch)
    assert machine.watch(meta).look() is not None  # also after a restart
    assert confirm(meta).parted_micros == by
    assert not seen(machine, watch)
    assert not seen(machine, other)
    assert confirm(meta) is None
    machine.jumps(-by)
    assert seen(machine, watch)


def test_corrections_and_sleep_are_no_jumps() -> None:
    machine = Machine()
    watch = machine.watch(Meta())
    for _ in range(20):
        machine.jumps(2 * SECOND)  # less than a minute in all
        assert not seen(machine, watch)
        machine.jumps(-2 * SECOND)
        machine.runs(8 * HOUR)  # a machine asleep: both clocks know
        assert not seen(machine, watch)


@pytest.mark.parametrize(("behind", "told"), [(0, False), (MINUTE, False), (MINUTE + 1, True)])
def test_a_clock_behind_the_log_at_a_start(behind: int, told: bool) -> None:
    machine, meta = Machine(), Meta()
    watch = machine.watch(meta)
    watch.compare(Instant(machine.wall + behind))
    assert (parted(meta) is not None) is told


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def ticks(there: World) -> list[Instant]:
    return [record.at for record in there.log.read(0, 1000) if isinstance(record.body, Tick)]


def test_no_ticks_while_it_has_jumped_and_ticks_again_when_confirmed(there: World) -> None:
    machine, wall = Machine(), there.wall
    there.append([(0, defined()), (0, Events([event(1, "ada")]))])
    watch = machine.watch(there.stored.meta)
    with there.running(there.engine(append_ticks=True, watch=watch)) as engine:
        wait_for(lambda: ticks(there), "no tick comes")
        machine.jumps(HOUR)
        machine.runs(2 * SECOND)
        status = wait_for(lambda: (s := engine.ask(reads.status).result(30)).clock and s, "it is not seen")
        wall.at = Instant(START + HOUR)  # not before: an engine that has just looked would append a tick of that time
        assert status.clock.parted_micros == HOUR
        before = ticks(there)
        there.log.append([Events([event(2, "bob", days=0)])], at(0.01))
        wait_for(lambda: engine.ask(reads.status).result(30).n_events == 2, "the event is not folded")
        threading.Event().wait(0.5)  # five times as long as a tick would take
        assert ticks(there) == before
        assert max(before) < START + HOUR
        confirm(there.stored.meta)
        machine.runs(2 * SECOND)
        wait_for(lambda: len(ticks(there)) > len(before), "no tick comes after it was confirmed")
        wait_for(lambda: engine.ask(reads.status).result(30).segments["customers"] == 2, "bob is not evaluated")
        assert engine.ask(reads.status).result(30).clock is None
    assert there.failures == []


def test_a_clock_that_was_set_back_does_not_stop_evaluation(there: World) -> None:
    """The log's time stands still until the clock has come that far again; what happens is evaluated all the same."""
    there.append([(1, defined()), (1, Events([event(1, "ada", days=1)]))])
    there.wall.at = at(0.5)
    with there.running(there.engine(append_ticks=True)) as engine:
        for number, user in enumerate(("bob", "cem"), 2):
            there.log.append([Events([event(number, user, days=0.5)])], there.wall.at)
            wait_for(
                lambda number=number: engine.ask(reads.status).result(30).segments.get("customers") == number,
                f"{user} is never evaluated",
            )
    assert set(ticks(there)) == {at(1)}
    assert there.failures == []
