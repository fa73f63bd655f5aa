"""A restart: the checkpoint of a million people is loaded, and a million events with a tick every 100 ms read again."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mailwright.core.errors import Transient
from mailwright.core.events import PLACES, Body, Defined, Event, Events, Identifier, Offset, Tick
from mailwright.core.instants import HOUR, SECOND, Instant
from mailwright.core.ports import TickCommit
from mailwright.runtime.engine import checkpoint, reads
from mailwright.runtime.engine.backfill import Job, Tell
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.installing import Order
from mailwright.runtime.engine.loop import Engine, Pace
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.stores.blobs_folder import FolderBlobs
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.log_sqlite import SqliteEventLog
from mailwright.stores.records_sql import SqlRecords

PEOPLE = 1_000_000
EVENTS = 1_000_000
PER_TICK = 500
"""Events between two ticks of 100 ms: 5,000 a second."""

START = Instant(1_790_000_000 * SECOND)
FILES = {
    "mailwright.toml": '[project]\nname = "Bench"\ntime_zone = "Europe/Berlin"\n',
    "attributes.yaml": (
        "orders: {title: O, value: count of 'Order Completed'}\n"
        "spend: {title: S, value: sum of 'Order Completed'.total within 30 days}\n"
        "last_total: {title: L, value: last of 'Order Completed'.total}\n"
    ),
    "segments.yaml": (
        "customers: {title: C, rule: orders >= 1}\n"
        "recent: {title: R, rule: did 'Order Completed' within 3 days}\n"
        "big: {title: B, rule: spend > 100 and in segment recent}\n"
        "lapsed: {title: L, rule: orders >= 1 and not did 'Order Completed' within 10 days}\n"
        "gold: {title: G, rule: trait plan = 'gold'}\n"
    ),
}


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what stands beside it."""
    with tempfile.TemporaryDirectory() as name, _stores(Path(name)) as (log, records, history, blobs):
        size, freeze_s, write_s = _prepare(log, records, history, blobs)
        engine = Engine(
            log=log,
            records=records,
            history=HistoryWriter(history),
            blobs=blobs,
            clock=_Standing(),
            append_ticks=False,
            pace=Pace(checkpoint_s=10**6, checkpoint_events=10**9, history_s=60),
            backfill=_no_job,
        )
        started, cpu = time.perf_counter(), time.process_time()
        thread = threading.Thread(target=engine.run)
        thread.start()
        answered = _answering(engine)
        wall_s, cpu_s = answered - started, time.process_time() - cpu
        engine.stop()
        thread.join()
    on = f"{PEOPLE:,} people; {EVENTS:,} events in ticks of {PER_TICK} to read again"
    return [
        _row("restart until the engine answers", on, wall_s, "s", f"{cpu_s:.1f} s of processor time; target 30 s"),
        _row("stand-still for a checkpoint", f"{PEOPLE:,} people", freeze_s, "s", "the rest is a thread's"),
        _row("a checkpoint written", f"{PEOPLE:,} people", write_s, "s", f"{size / 1e6:,.0f} MB"),
    ]


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    return {"what": what, "on": on, "figure": round(figure, 2), "unit": unit, "beside": beside}


def _no_job(order: Order, tell: Tell) -> Job:
    raise AssertionError(f"version {order.version} is not in force {tell}")


class _Standing:
    def now(self) -> Instant:
        return START


@contextlib.contextmanager
def _stores(folder: Path) -> Iterator[tuple[SqliteEventLog, SqlRecords, DeltaHistory, FolderBlobs]]:
    with SqliteEventLog(folder / "log.sqlite") as log:
        records = SqlRecords.open(folder / "records.sqlite")
        try:
            yield log, records, DeltaHistory(folder / "history"), FolderBlobs(folder / "blobs")
        finally:
            records.close()


def _prepare(
    log: SqliteEventLog, records: SqlRecords, history: DeltaHistory, blobs: FolderBlobs
) -> tuple[int, float, float]:
    """Fill the log and checkpoint it before the last million events: bytes, seconds stood still, seconds to write."""
    log.append([Defined(1, FILES)], START)
    for first in range(0, PEOPLE, 2_000):
        log.append([Events([_event(n, n, HOUR) for n in range(first, min(first + 2_000, PEOPLE))])], START)
    log.append([Tick()], START)
    state = EngineState(blobs.get)
    while found := log.read(state.number, 16):
        for record in found:
            state.apply(record, Folded())
    before = time.perf_counter()
    frozen = state.freeze()
    freeze_s = time.perf_counter() - before
    writer = HistoryWriter(history)
    writer.add(Folded(), state.upto)
    writer.stop()
    before = time.perf_counter()
    checkpoint.save(frozen, blobs, records.meta)
    write_s = time.perf_counter() - before
    number = PEOPLE
    for tick in range(EVENTS // PER_TICK):
        at = Instant(START + tick * SECOND // 10)
        bodies: list[Body] = [Events([_event(number + n, (number + n) * 7919, at - START) for n in range(PER_TICK)])]
        number += PER_TICK
        log.append([*bodies, Tick()], at)
    epoch = records.engine.take_over()
    last = log.last()[0]
    records.engine.commit_tick(epoch, TickCommit(offset=Offset(last * PLACES), at=START))
    size = sum(path.stat().st_size for path in Path(blobs._folder).rglob("*") if path.is_file())
    return size, freeze_s, write_s


def _event(number: int, user: int, after: int) -> Event:
    stamp = Instant(START + after - HOUR)
    return Event(
        message_id=f"m{number}",
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=stamp,
        received_at=stamp,
        known_at=stamp,
        identifiers=[Identifier("user_id", f"u{user % PEOPLE}")],
        properties={"order_id": f"o{number}", "total": number % 90 + 0.5},
    )


def _answering(engine: Engine) -> float:
    """When the engine first answers."""
    while True:
        try:
            engine.ask(reads.status).result(300)
        except Transient:
            time.sleep(0.05)
        else:
            return time.perf_counter()


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:45} {row['figure']:>12,} {row['unit']:10} ({row['beside']})")
