"""The demo's stages in order. Each remembers that it is done, so a demo that was killed goes on where it was."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mailwright.core.errors import Transient
from mailwright.core.instants import Instant
from mailwright.runtime.demo.door_client import DoorClient
from mailwright.runtime.demo.driver import HOURS, Driver, calls_by_time
from mailwright.runtime.demo.reader import Reader
from mailwright.runtime.demo.report import NOTE, make_report, write_report
from mailwright.runtime.demo.shop import CUT_AT, Shop
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.versions import apply, current_project, plan
from mailwright.runtime.supervisor import Child, Supervisor
from mailwright.runtime.training import measure_all, train_all
from mailwright.runtime.write_keys import create_key

PATIENCE_S, PAUSE_S = 300.0, 0.1

_STAGE = "demo.stage."
_TIMINGS = "demo.timings"
_SEGMENTS = "demo.segments"
FINISHED = "demo.finished"
HOUSEHOLDS = "demo.households"


class Show(Protocol):
    """What the demo tells the person who started it."""

    def bar(self, what: str, total: int) -> Callable[[int], None]:
        """A progress bar; returns the function that advances it."""
        ...

    def say(self, text: str) -> None:
        """One line."""
        ...

    def segments(self, rows: list[tuple[str, int, int]]) -> None:
        """Segments: title, size, people in all."""
        ...

    def models(self, rows: list[dict[str, Any]]) -> None:
        """Models: name, passed, gate, metrics."""
        ...


class Demo:
    """One run of the demo over an installation whose processes run."""

    def __init__(self, there: Installation, base_url: str, supervisor: Supervisor, show: Show) -> None:
        self._there = there
        self._meta = there.records.meta
        self._base_url = base_url
        self._supervisor = supervisor
        self._show = show

    def run(self) -> dict[str, Any]:
        """Do what is left to do; returns the report."""
        key = create_key(self._there.records.sources, "demo", server=True, now=self._there.wall.now())
        door = DoorClient(self._base_url, key)
        try:
            door.wait_until_ready()
            self._wait_for_engine()
            driver = Driver(self._there, door, self._supervisor.check)
            shop = Shop(self._households())
            self._show.say("Reading the shop's year")
            before, after = calls_by_time(shop)
            with self._stage("import"):
                self._import(driver, shop, before)
            self._tell_segments()
            with self._stage("train"):
                self._train()
            self._tell_models()
            with self._stage("play"):
                reader = Reader(mailbox(self._there.settings.folder), shop.visits())
                driver.play(after, reader, self._show.bar("Playing the last four weeks (hours)", HOURS))
            with self._stage("report"):
                report = self._report()
        finally:
            door.close()
        self._meta.put(FINISHED, "yes")
        return report

    def _wait_for_engine(self) -> None:
        """Wait until the engine has read its log again, if an earlier run left one."""
        for _ in range(int(PATIENCE_S / PAUSE_S)):
            try:
                self._there.engine.status()
            except Transient:
                self._supervisor.check()
                time.sleep(PAUSE_S)
            else:
                return
        raise Transient("demo.engine", f"the engine did not catch up with its log in {PATIENCE_S:.0f} seconds")

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Time a stage; what an earlier, broken-off run spent on it is added."""
        started = time.monotonic()
        yield
        spent = self.timings()
        spent[name] = spent.get(name, 0.0) + time.monotonic() - started
        self._meta.put(_TIMINGS, msgspec.json.encode(spent).decode())

    def timings(self) -> dict[str, float]:
        """Seconds per stage so far."""
        return msgspec.json.decode(self._meta.get(_TIMINGS) or "{}", type=dict[str, float])

    def _households(self) -> int | None:
        """How many households play; fixed when the demo is made, so that a resumed one is the same."""
        told = self._meta.get(HOUSEHOLDS)
        return int(told) if told else None

    def _once(self, name: str, work: Callable[[], None]) -> None:
        if self._meta.get(_STAGE + name) is None:
            work()
            self._meta.put(_STAGE + name, "done")

    def _import(self, driver: Driver, shop: Shop, before: list[tuple[Instant, dict[str, Any]]]) -> None:
        show = self._show
        self._once(
            "products", lambda: driver.tell_products(shop, show.bar("Catalog: products", shop.count("products")))
        )
        self._once(
            "people",
            lambda: driver.tell_people(shop, show.bar("Households, with their consent", shop.count("households"))),
        )
        self._once("past", lambda: driver.tell_past(before, show.bar("Baskets, coupons, campaigns", len(before))))
        self._once("first_tick", lambda: driver.tick(CUT_AT))
        self._once("segments", self._keep_segments)
        self._meta.put("demo.note", NOTE)

    def _train(self) -> None:
        self._there.engine.flush_history()
        bar = self._show.bar("Training models", len(current_project(self._there)[1].models))
        self._once("models", lambda: train_all(self._there, lambda _: bar(1)))

    def _keep_segments(self) -> None:
        """Keep the sizes as the live weeks begin: a demo that is resumed later shows the same."""
        status = self._there.engine.status()
        _, project = current_project(self._there)
        rows = [(one.title, status.segments[name], status.n_persons) for name, one in project.segments.items()]
        self._meta.put(_SEGMENTS, msgspec.json.encode(rows).decode())

    def _tell_segments(self) -> None:
        self._show.segments(msgspec.json.decode(self._meta.get(_SEGMENTS) or "[]", type=list[tuple[str, int, int]]))

    def _tell_models(self) -> None:
        newest = {version.name: version for version in self._there.records.models.all()}
        self._show.models(
            [
                {"name": one.name, "passed": one.passed, "gate": one.gate, "metrics": one.metrics}
                for one in newest.values()
            ]
        )

    def _report(self) -> dict[str, Any]:
        bar = self._show.bar("Measuring and reporting", 2)
        self._there.engine.flush_history()
        _, project = current_project(self._there)
        measured = measure_all(self._there.history, project.models, CUT_AT)
        bar(1)
        report = make_report(self._there, project, measured, self.timings())
        write_report(report, self._there.settings.folder)
        bar(1)
        return report


def prepare(there: Installation, households: int | None) -> None:
    """Put the demo's definitions in force and fix how many households play, unless both is done."""
    if households is not None and there.records.meta.get(HOUSEHOLDS) is None:
        there.records.meta.put(HOUSEHOLDS, str(households))
    planned = plan(there)
    if planned.differences:
        apply(there, planned)


def receiver(folder: Path, listener: socket.socket) -> Child:
    """The receiving SMTP server beside the demo, on a port that nobody can take: its ledger is what really arrived."""
    fd = listener.fileno()
    command = [
        sys.executable,
        "-m",
        "mailwright.delivery.receiver",
        "--fd",
        str(fd),
        "--folder",
        str(mailbox(folder)),
    ]
    return Child("receiving server", command, (fd,), quiet=True)


def mailbox(folder: Path) -> Path:
    """Where the receiving server keeps what it was handed."""
    return folder / "mailbox"
