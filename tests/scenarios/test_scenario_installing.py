"""Engine and job killed with SIGKILL while definitions come in force and checkpoints are written.

The oracles: an undisturbed fold of the very same log, and one whose last definitions were there from its start.
"""

import os
import random
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "unit" / "runtime")]

from engine_world import fold, view  # noqa: E402
from running_project import SETTINGS, Served, Shop, done, make_project, opened, order, serving, wait_until  # noqa: E402

from mailwright.core.errors import Transient  # noqa: E402
from mailwright.core.events import PLACES, Defined, Installed, LogRecord  # noqa: E402
from mailwright.core.facts import EngineStatus  # noqa: E402
from mailwright.core.instants import MINUTE, Instant, format_iso, parse_iso  # noqa: E402
from mailwright.runtime.engine.state import EngineState  # noqa: E402
from mailwright.runtime.installation import Installation  # noqa: E402
from mailwright.runtime.project.versions import apply, plan  # noqa: E402

pytestmark = pytest.mark.slow

PEOPLE = 50
ENGINE_KILLS = 3  # each restart waits longer than the one before
NEW = {
    2: ("spend_45d", "sum of 'Order Completed'.total within 45 days"),
    3: ("biggest", "max of 'Order Completed'.total"),
    4: ("average_60d", "average of 'Order Completed'.total within 60 days"),
}


def grandchildren(served: Served, name: str) -> list[int]:
    """Pids of the engine's children that run the command `name`."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        engine = served.children().get("engine")
        for listed in Path(f"/proc/{engine}/task").glob("*/children") if engine else ():
            for pid in listed.read_text().split():
                if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"):
                    found.append(int(pid))
    return found


def status(there: Installation) -> EngineStatus | None:
    try:
        return there.engine.status()
    except Transient:
        return None


class Days:
    """The shop's days: orders of people who were visitors before, minute by minute."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self._shop, self._rng = shop, rng
        self._at = parse_iso("2026-11-03T08:00:00Z")
        self._number = 0
        self.n_events = 0

    def go_on(self) -> None:
        calls = []
        for _ in range(self._rng.randrange(5, 30)):
            self._number += 1
            user = f"user-{self._rng.randrange(PEOPLE)}"
            call = order(user, self._number, total=float(self._rng.randrange(200)))
            late = self._at - self._rng.choice([0, 0, 1, 50 * 24 * 60]) * MINUTE
            call["timestamp"] = format_iso(Instant(late))
            if self._rng.random() < 0.3:  # a visitor, who will turn out to be that user
                call = {**call, "anonymousId": f"visitor-{user}"}
                call.pop("userId")
            elif self._rng.random() < 0.3:
                call = {**call, "anonymousId": f"visitor-{user}"}
            calls.append(call)
        self._shop.move_clock(format_iso(self._at))
        self._shop.batch(calls)
        self.n_events += len(calls)
        self._at = Instant(self._at + MINUTE)
        self._shop.tick(format_iso(self._at))


def test_definitions_come_in_force_whatever_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    folder = make_project(tmp_path / "shop", SETTINGS + "[engine]\ncheckpoint_s = 1\nhistory_s = 1\n")
    killed: Counter[str] = Counter()
    with serving(folder) as served, opened(folder) as there:
        days = Days(Shop(there, served), rng)
        for _ in range(5):
            days.go_on()
        for version, (name, value) in NEW.items():
            with (folder / "attributes.yaml").open("a") as file:
                file.write(f'{name}: {{title: {name}, value: "{value}"}}\n')
            assert apply(there, plan(there)).version == version
            for _ in range(2):
                days.go_on()
                wait_until("nothing is on its way", lambda version=version: on_its_way(there, version))
                killed.update(kill(served, rng, engine_too=killed["engine"] < ENGINE_KILLS))
            wait_until(f"version {version} is in force", lambda version=version: in_force(there, version))
            days.go_on()
        days.go_on()
        print(f"seed {seed}: killed {dict(killed)}")
        found, log = wait_until("the engine has folded all", lambda: settled(there))
        there.engine.flush_history()
        undisturbed, folded = fold(log, EngineState(there.blobs.get))
        asked = 'SELECT "offset" AS place FROM events WHERE "offset" < $end'
        told = there.history.query(asked, {"end": (log[-1].number + 1) * PLACES})["place"].to_pylist()
    assert found == undisturbed.fold.state_hash()
    assert undisturbed.version == len(NEW) + 1
    assert sorted(told) == [offset for offset, *_ in folded.events]
    assert len([one for one in folded.events if one[3].source == "shop"]) == days.n_events
    assert killed["engine"] + killed["backfill"] >= 3
    always, _ = fold(from_the_start(log))
    assert view(undisturbed) == view(always)


def test_a_rule_on_a_property_that_no_rule_read_before_comes_in_force(tmp_path: Path) -> None:
    """Its columns are then known to History's table by an append without rows, and to no file of events."""
    folder = make_project(tmp_path / "shop", SETTINGS + "[engine]\nhistory_s = 1\n")
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.batch([in_currency(order("ann", 1, total=20.0), "EUR"), in_currency(order("ann", 2, total=5.0), "USD")])
        shop.tick("2026-11-02T09:00:00Z")
        there.engine.flush_history()
        for name, currency in (("euros", "EUR"), ("dollars", "USD")):
            told = f"sum of 'Order Completed'.total where currency = '{currency}'"
            with (folder / "attributes.yaml").open("a") as file:
                file.write(f'{name}: {{title: {name}, value: "{told}"}}\n')
            assert "is in force" in done("apply", "--project", str(folder))
            shop.batch([in_currency(order("ann", 10 + len(name), total=1.0), currency)])  # files with and without them
            there.engine.flush_history()
        shop.tick("2026-11-02T10:00:00Z")
        ann = there.engine.find("user_id", "ann")
        assert ann is not None
        values = there.engine.facts([ann])[ann].attributes
    assert (values["euros"].value, values["dollars"].value) == (21, 6)


def in_currency(call: dict[str, Any], currency: str) -> dict[str, Any]:
    return {**call, "properties": {**call["properties"], "currency": currency}}


def settled(there: Installation) -> tuple[str, list[LogRecord]] | None:
    """The engine's state hash and the log that it follows from; None while mails still bring events into it."""
    number = there.log.last()[0]
    if there.engine.status().offset < number * PLACES:
        return None
    found = there.engine._call(str, "state_hash")
    return (found, there.log.read(0, 10**6)) if there.log.last()[0] == number else None


def on_its_way(there: Installation, version: int) -> bool:
    """Whether the engine has the version on its way, or in force already."""
    found = status(there)
    return bool(found and (found.installing or found.version >= version))


def in_force(there: Installation, version: int) -> bool:
    found = status(there)
    return bool(found and found.version == version)


def kill(served: Served, rng: random.Random, *, engine_too: bool) -> list[str]:
    """End the job, or the engine, at some moment within the next second and a half; what was ended."""
    threading.Event().wait(rng.uniform(0, 1.5))
    jobs = grandchildren(served, "backfill")
    if jobs and (rng.random() < 0.5 or not engine_too):
        with suppress(ProcessLookupError):
            os.kill(jobs[0], signal.SIGKILL)
        return ["backfill"]
    if engine_too:
        served.kill("engine")
        return ["engine"]
    return []


def from_the_start(log: list[LogRecord]) -> list[LogRecord]:
    """The same log as if the last definitions had been the first."""
    last = [record.body for record in log if isinstance(record.body, Defined)][-1]
    first = next(record for record in log if isinstance(record.body, Defined))
    rest = [record for record in log if not isinstance(record.body, Defined | Installed)]
    return sorted([*rest, LogRecord(first.number, first.at, last)], key=lambda record: record.number)
