"""The live engine behind the door: sustained rate, time to visible membership, reads, exits by time, imports beside."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench._served import Generator, Load, Served, served
from mailwright.core.events import PLACES, Person
from mailwright.core.instants import Instant, to_datetime

SUSTAINED_S = 60.0
RATE = 60_000
BESIDE = 5_000
SOON_S = 10
WATCHED = "recent_buyers"
_SEGMENTS = f"""\
customers:
  title: Customers
  rule: orders >= 1
{WATCHED}:
  title: Ordered a moment ago
  rule: did 'Order Completed' within {SOON_S} seconds
newcomers:
  title: Newcomers
  rule: orders = 1 and did 'Order Completed' within 14 days
lapsed_30d:
  title: Lapsed for 30 days
  rule: did 'Order Completed' and not did 'Order Completed' within 30 days
browsers:
  title: Looked at three things in a day
  rule: did 'Product Viewed' at least 3 times within 1 day
"""


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what was measured beside it in the same run."""
    with served(["door", "engine"], {"segments.yaml": _SEGMENTS}) as live:
        _order(live, "first")
        _seen(live, "first", True)
        return [*_beside_5k(live), _beside_an_import(live), *_sustained(live)]


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    shown = round(figure) if figure > 100 else round(figure, 3)
    return {"what": what, "on": on, "figure": shown, "unit": unit, "beside": beside}


# --- sustained -------------------------------------------------------------------------------------------------------


def _sustained(live: Served) -> list[dict[str, object]]:
    before = {name: live.cpu_s(name) for name in ("door", "engine")}
    n_before = live.engine().status().n_events
    with _sampled(lambda: _lag(live), 1.0) as lags:
        load = Generator(live, seconds=SUSTAINED_S, batch=100, connections=24, rate=RATE).result()
    folded = live.engine().status().n_events - n_before
    cpu = {name: (live.cpu_s(name) - before[name]) / load.n_events * 1e6 for name in before}
    half = len(lags) // 2
    early, late = _share(lags[2:half], 0.5), _share(lags[half:], 0.5)
    on = f"door and engine as processes, batches of 100 asked for at {RATE:,}/s for {SUSTAINED_S:.0f} s"
    told = f"door {cpu['door']:.1f} us and engine {cpu['engine']:.1f} us of processor an event"
    return [
        _row("HTTP to visible membership, sustained", on, folded / load.seconds, "events/s",
             f"acknowledged {load.per_second:,.0f}/s; {told}"),
        _row("how far evaluation lies behind, second half", on, late, "s",
             f"first half {early:.2f} s, most {max(lags, default=0.0):.2f} s: it grows if the first is much larger"),
    ]  # fmt: skip


def _lag(live: Served) -> float:
    """Seconds between now and the newest event that the last tick evaluated; 0 if it evaluated all there are."""
    status = live.engine().status()
    if status.tick_offset // PLACES >= live.there.log.last()[0] - 1:
        return 0.0
    record = live.there.log.read(max(status.tick_offset // PLACES - 1, 0), 1)
    return (live.there.wall.now() - record[0].at) / 1e6


@contextmanager
def _sampled(measure: Callable[[], float], every_s: float) -> Iterator[list[float]]:
    samples: list[float] = []
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(every_s):
            samples.append(measure())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield samples
    finally:
        stopping.set()
        thread.join()


# --- beside a steady stream ------------------------------------------------------------------------------------------


def _beside_5k(live: Served) -> list[dict[str, object]]:
    stream = Generator(live, seconds=45, batch=10, connections=8, rate=BESIDE)
    time.sleep(2)
    with ThreadPoolExecutor(4) as pool:
        shown = [each for found in pool.map(lambda n: _probes(live, f"shown-{n}", 40), range(4)) for each in found]
    reads = _reads(live, 800)
    late = _exits(live, 12)
    load = stream.result()
    on = f"beside {load.per_second:,.0f} events/s"
    return [
        _row("event to visible membership, p99", on, _share(shown, 0.99) * 1e3, "ms",
             f"p50 {_share(shown, 0.5) * 1e3:.0f} ms, {len(shown)} events, asked for every 5 ms"),
        _row("read of a profile with its segments, p95", on, _share(reads, 0.95) * 1e3, "ms",
             f"p50 {_share(reads, 0.5) * 1e3:.1f} ms, {len(reads)} reads"),
        _row("exit caused by time alone, latest", on, max(late), "s after due", f"{len(late)} exits, seen every 5 ms"),
    ]  # fmt: skip


def _order(live: Served, user: str) -> Instant:
    """Send an order; returns its stamp."""
    at = live.there.wall.now()
    call = {
        "messageId": f"{user}-{at}",
        "userId": user,
        "event": "Order Completed",
        "timestamp": to_datetime(at).isoformat(),
        "properties": {"order_id": user, "total": 1, "products": []},
    }
    answer = httpx.post(f"http://127.0.0.1:{live.port}/v1/track", json=call, auth=(live.key, ""), timeout=60)
    answer.raise_for_status()
    return at


def _seen(live: Served, user: str, inside: bool) -> Person:
    """Wait until the user is, or is no longer, in the watched segment."""
    engine, person = live.engine(), None
    try:
        while True:
            person = engine.find("user_id", user) if person is None else person
            if person is not None and (WATCHED in engine.facts([person])[person].segments) == inside:
                return person
            time.sleep(0.005)
    finally:
        engine.close()


def _probes(live: Served, name: str, n: int) -> list[float]:
    """Seconds from sending an order to its being seen, one after another."""
    taken = []
    for place in range(n):
        started = time.monotonic()
        user = f"{name}-{place}-{time.time_ns()}"
        _order(live, user)
        _seen(live, user, True)
        taken.append(time.monotonic() - started)
    return taken


def _reads(live: Served, n: int) -> list[float]:
    engine, taken = live.engine(), []
    people = [Person(place % 500) for place in range(n)]
    for person in people:
        started = time.monotonic()
        engine.facts([person])
        engine.members(WATCHED, None, 50)
        taken.append((time.monotonic() - started) / 2)
        time.sleep(0.005)
    engine.close()
    return taken


def _exits(live: Served, n: int) -> list[float]:
    """Seconds from the due instant to the exit being seen."""

    def one(place: int) -> float:
        time.sleep(place * 0.37)
        user = f"exit-{place}-{time.time_ns()}"
        due = _order(live, user) + SOON_S * 1_000_000
        _seen(live, user, True)
        _seen(live, user, False)
        return (live.there.wall.now() - due) / 1e6

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


# --- an import beside ------------------------------------------------------------------------------------------------


def _beside_an_import(live: Served) -> dict[str, object]:
    alone = _stream(live)
    path = live.folder / "old.csv"
    _write_rows(path, 200_000)
    command = [sys.executable, "-m", "mailwright", "import", str(path), "--project", str(live.folder)]
    command += ["--as", "track", "--event", "Product Viewed", "--history", "--source", "old"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    n_before = live.engine().status().n_events
    while running.poll() is None and live.engine().status().n_events < n_before + 1_000:
        time.sleep(0.05)  # it checks the whole file first
    with ThreadPoolExecutor(1) as pool:
        probes = pool.submit(_probes, live, "beside-import", 40)
        beside, shown = _stream(live), probes.result()
    ended = running.poll() is not None
    running.terminate()
    running.wait()
    return _row("live requests while an import runs, p95", "single calls at 500/s", beside.latency_ms(0.95), "ms",
                f"without it {alone.latency_ms(0.95):.1f} ms; membership visible after {_share(shown, 0.95) * 1e3:.0f}"
                f" ms (p95){'; the import ended before' if ended else ''}")  # fmt: skip


def _stream(live: Served) -> Load:
    return Generator(live, seconds=8, batch=1, connections=4, rate=500).result()


def _write_rows(path: Path, n: int) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user_id", "timestamp", "product_id", "category"])
        for place in range(n):
            out.writerow([f"old-{place % 20_000}", "2026-01-05T10:00:00Z", f"p{place % 1_000}", "Shoes"])


def _share(values: Sequence[float], share: float) -> float:
    """What a share of the values does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:45} {row['figure']:>10,} {row['unit']:12} ({row['beside']})")
