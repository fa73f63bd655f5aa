"""The event log: durable appends per second beside what the disk itself allows."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailwright.core.events import Event, Events, Identifier, encode_body
from mailwright.core.instants import Instant
from mailwright.stores.log_records import pack
from mailwright.stores.log_sqlite import SqliteEventLog

SECONDS = 2.0


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and the limit measured in the same run."""
    fsyncs = _fsyncs_per_second()
    batch, single = _orders(100), _orders(1)
    measured = [
        _row("appends of one event, one thread", _appends(single, 1), "appends/s", fsyncs),
        _row("appends of one event, 64 threads", _appends(single, 64), "appends/s", fsyncs),
        _row("events in batches of 100, one thread", 100 * _appends(batch, 1), "events/s", fsyncs),
        _row("events in batches of 100, 16 threads", 100 * _appends(batch, 16), "events/s", fsyncs),
        _row("events read back, batches of 100", _reads(batch), "events/s", fsyncs),
    ]
    return [*measured, _packing(batch), _packing(single)]


def _row(what: str, figure: float, unit: str, fsyncs: float) -> dict[str, object]:
    beside = f"4 KB written to a plain file with fdatasync: {fsyncs:,.0f}/s"
    return {"what": what, "on": "SQLite WAL, synchronous=FULL", "figure": round(figure), "unit": unit, "beside": beside}


def _packing(body: Events) -> dict[str, object]:
    plain, packed = len(encode_body(body)), len(pack(body).data)
    n = len(body.events)
    return {
        "what": f"size of a record of {n} event{'s'[: n > 1]}",
        "on": "zstd level 1 where it makes the record smaller",
        "figure": packed,
        "unit": "bytes",
        "beside": f"{plain:,} bytes of MessagePack",
    }


def _orders(n: int) -> Events:
    return Events([_order(place) for place in range(n)])


def _order(place: int) -> Event:
    at = Instant(1_700_000_000_000_000 + place * 1_234_567)
    products = [
        {"product_id": str(800_000 + (place * 7 + k * 13) % 90_000), "quantity": 1 + k % 3, "price": 0.99 + k}
        for k in range(1 + place % 9)
    ]
    return Event(
        message_id=f"order-{place * 104_729 % 1_000_003}",
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("userId", str(place * 31 % 2_469))],
        properties={"order_id": str(place), "total": 12.5 + place, "products": products},
    )


def _fsyncs_per_second() -> float:
    """What one thread can make durable on this disk, in a file that is as large already, as a WAL soon is."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "plain").open("wb", buffering=0) as file:
        file.write(b"-" * 4096 * 1_000)
        os.fsync(file.fileno())
        places = itertools.cycle(range(1_000))

        def sync() -> None:
            os.pwrite(file.fileno(), b"x" * 4096, 4096 * next(places))
            os.fdatasync(file.fileno())

        return _per_second([sync])


def _appends(body: Events, n_threads: int) -> float:
    with _new_log() as log:
        return _per_second([lambda: _append(log, body)] * n_threads)


def _append(log: SqliteEventLog, body: Events) -> None:
    log.append([body], Instant(1))


def _reads(body: Events) -> float:
    """As the engine reads: some records at a time, let go before the next."""
    with _new_log() as log:
        for _ in range(20):
            log.append([body] * 50, Instant(1))
        started = time.perf_counter()
        for after in range(0, 1_000, 20):
            log.read(after, 20)
        return 1_000 * len(body.events) / (time.perf_counter() - started)


@contextmanager
def _new_log() -> Iterator[SqliteEventLog]:
    with tempfile.TemporaryDirectory() as folder, SqliteEventLog(Path(folder) / "log.sqlite") as log:
        yield log


def _per_second(works: list[Callable[[], None]]) -> float:
    """Calls per second of all works together, each in a thread of its own."""
    ends = time.perf_counter() + SECONDS
    counts = [0] * len(works)

    def run(place: int) -> None:
        while time.perf_counter() < ends:
            works[place]()
            counts[place] += 1

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:45} {row['figure']:>12,} {row['unit']:10} ({row['beside']})")
