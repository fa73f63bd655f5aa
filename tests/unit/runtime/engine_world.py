"""A small shop for engine tests: definitions, events and the real stores in a folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailwright.core.errors import Transient
from mailwright.core.events import (
    Body,
    Defined,
    Event,
    Events,
    Identifier,
    Installed,
    Item,
    Items,
    LogRecord,
    Person,
    Tick,
)
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.rules.fold import Arrival, Fold
from mailwright.runtime.engine import reads
from mailwright.runtime.engine.backfill import Report, Tell, backfill
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.installing import Order, packed_past
from mailwright.runtime.engine.loop import Engine, Pace
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.project.load import load_project
from mailwright.stores.blobs_folder import FolderBlobs
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.log_sqlite import SqliteEventLog
from mailwright.stores.memory import MemoryBlobs
from mailwright.stores.records_sql import SqlRecords

START = parse_iso("2026-03-01T00:00:00Z")
PATIENCE_S = 120.0

FILES = {
    "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "Europe/Berlin"\n',
    "attributes.yaml": (
        "orders: {title: Orders, value: count of 'Order Completed'}\n"
        "spend: {title: Spend, value: sum of 'Order Completed'.total within 5 days}\n"
    ),
    "segments.yaml": (
        "customers: {title: Customers, rule: orders >= 1}\n"
        "recent: {title: Recent, rule: did 'Order Completed' within 3 days}\n"
        "big: {title: Big, rule: spend > 100 and in segment recent}\n"
    ),
}
MORE_FILES = FILES | {
    "attributes.yaml": FILES["attributes.yaml"] + "views: {title: Views, value: count of 'Product Viewed'}\n",
    "segments.yaml": FILES["segments.yaml"]
    + "lookers: {title: Lookers, rule: views > 1}\nvip: {title: VIP, rule: trait plan = 'gold'}\n",
}


def at(days: float) -> Instant:
    """Days after the start."""
    return Instant(START + int(days * DAY))


def event(number: int, user: str, name: str = "Order Completed", *, days: float = 0, **more: Any) -> Event:
    """A track event, or an identify if `name` is empty, of that message number."""
    return Event(
        message_id=f"m{number}",
        source="shop",
        type="track" if name else "identify",
        name=name,
        stamp_at=at(days),
        received_at=at(days),
        known_at=at(days),
        identifiers=[Identifier("user_id", user), *more.pop("also", [])],
        **more,
    )


def records(bodies: Sequence[tuple[float, Body]]) -> list[LogRecord]:
    """Log records of (days, body)."""
    return [LogRecord(number, at(days), body) for number, (days, body) in enumerate(bodies, 1)]


BLOBS = MemoryBlobs()
"""What `fold` reads the past of definitions from, and `installed` puts it into."""


def fold(log: Sequence[LogRecord], state: EngineState | None = None) -> tuple[EngineState, Folded]:
    """Fold records into a state, a new one unless given."""
    state = state or EngineState(BLOBS.get)
    folded = Folded()
    for record in log:
        if record.number > state.number:
            state.apply(record, folded)
    return state, folded


def frozen(state: EngineState) -> dict[str, bytes]:
    """All parts of a checkpoint."""
    return dict(state.freeze().parts())


def installed(log: Sequence[LogRecord]) -> Installed:
    """The record that puts the newest definition of the log in force, if it is still on its way.

    Its past is folded here in the plainest way, from the log itself with the people as they were then.
    """
    underway = fold(log)[0].underway
    assert underway, "everything is in force"
    order = underway.order
    before, folded = fold([record for record in log if record.number < order.defined])
    past = Fold.of_leaves(load_project(order.files).rules, before.catalog, order.leaves)
    past.ingest([Arrival(offset, before.identity.current(person), event) for offset, _, person, event in folded.events])
    if order.counted_at is not None:
        past.count(order.counted_at, before.identity.n_persons)
    return Installed(version=order.version, defined=order.defined, blob=BLOBS.put(packed_past(past.freeze())))


def with_installed(bodies: Sequence[tuple[float, Body]], at_place: int, days: float) -> list[tuple[float, Body]]:
    """The bodies with an `Installed` before the one at `at_place`, if the newest definition before it needs one."""
    log = records(bodies[:at_place])
    if fold(log)[0].underway is None:
        return list(bodies)
    return [*bodies[:at_place], (days, installed(log)), *bodies[at_place:]]


def view(state: EngineState) -> dict[str, Any]:
    """Everything that can be asked of a state, but for places in the log."""
    people = [Person(n) for n in range(state.identity.n_persons)]
    facts = reads.facts(state, people, [])
    shown = ("person", "first_identifier", "identifiers", "traits", "attributes", "segments", "n_events")
    return {
        "people": {n: {name: getattr(one, name) for name in shown} for n, one in facts.items()},
        "living": state.living(),
        "sizes": state.fold.sizes(),
        "events": state.n_events,
        "duplicates": state.n_duplicates,
    }


def defined(files: dict[str, str] = FILES, version: int = 1) -> Defined:
    return Defined(version=version, files=files)


STORY: list[tuple[float, Body]] = [
    (0, defined()),
    (0, Items([Item(catalog="products", item_id="p1", stamp_at=at(0), facts={"price": 2.5})])),
    (0.1, Events([event(1, "ada", properties={"total": 60}), event(2, "bob", properties={"total": 10})])),
    (0.2, Events([event(3, "ada", "", days=0.2, traits={"plan": "gold"}), event(2, "bob", properties={"total": 10})])),
    (0.3, Tick()),
    (1, Events([event(4, "ada", days=1, properties={"total": 70}), event(5, "cem", "Product Viewed", days=1)])),
    (1.1, Events([event(6, "cem", "Product Viewed", days=1.1)])),
    (1.2, Tick()),
    (2, Events([event(7, "anon-1", days=2, properties={"total": 5})])),
    (2.1, Events([event(8, "cem", "", days=2.1, also=[Identifier("anonymous_id", "a1")])])),
    (2.2, Tick()),
    (9, Tick()),
]


class ThreadJob:
    """A job in a thread of this process."""

    def __init__(self, work: Callable[[], str], tell: Tell) -> None:
        self._work, self._tell = work, tell
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._tell(Report(blob=self._work()))
        except Exception as error:  # noqa: BLE001 whatever it is, the engine is told
            self._tell(Report(failure=str(error)))

    def stop(self) -> None:
        self._tell = lambda report: None


class SetClock:
    """A clock that is set by hand."""

    def __init__(self, now: Instant = START) -> None:
        self.at = now

    def now(self) -> Instant:
        return self.at


@dataclass
class World:
    """The stores of one installation, and engines over them."""

    folder: Path
    log: SqliteEventLog
    stored: SqlRecords
    history: DeltaHistory
    blobs: FolderBlobs
    wall: SetClock = field(default_factory=SetClock)
    failures: list[BaseException] = field(default_factory=list)

    def backfill(self, order: Order, tell: Tell) -> str:
        """The job; a test may put another in its place."""
        return backfill(order, self.history, self.blobs, tell)

    def engine(self, *, checkpoint_events: int = 10**9, **more: Any) -> Engine:
        return Engine(**{**self._parts(checkpoint_events), **more})

    def _parts(self, checkpoint_events: int) -> dict[str, Any]:
        return dict(
            log=self.log,
            records=self.stored,
            history=HistoryWriter(self.history),
            blobs=self.blobs,
            clock=self.wall,
            append_ticks=False,
            pace=Pace(checkpoint_s=10**6, checkpoint_events=checkpoint_events, history_s=10**6),
            backfill=lambda order, tell: ThreadJob(lambda: self.backfill(order, tell), tell),
        )

    @contextmanager
    def running(self, engine: Engine) -> Iterator[Engine]:
        """The engine in a thread of its own; what ends it goes to `failures`."""

        def run() -> None:
            try:
                engine.run()
            except BaseException as error:  # noqa: BLE001 - told by `failures`
                self.failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield engine
        finally:
            engine.stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def append(self, bodies: Sequence[tuple[float, Body]]) -> None:
        for days, body in bodies:
            self.log.append([body], at(days))

    def caught_up(self, engine: Engine) -> EngineState:
        """The engine's state once it has folded all of the log."""

        def there() -> bool:
            try:  # the engine first: it may itself append what it is then to fold
                return engine.ask(lambda state: state.number).result(30) == self.log.last()[0]
            except Transient:  # it reads its log again
                return False

        wait_for(there, "the engine does not catch up")
        return engine.state


@contextmanager
def world(folder: Path) -> Iterator[World]:
    log, stored = SqliteEventLog(folder / "log.sqlite"), SqlRecords.open(folder / "records.sqlite")
    try:
        yield World(folder, log, stored, DeltaHistory(folder / "history"), FolderBlobs(folder / "blobs"))
    finally:
        stored.close()
        log.close()


def wait_for(holds: Callable[[], Any], what: str) -> Any:
    """The first true answer of `holds`; fails with `what` after `PATIENCE_S` without one."""
    until = time.monotonic() + PATIENCE_S
    while not (answer := holds()):
        assert time.monotonic() < until, what
        threading.Event().wait(0.01)
    return answer
