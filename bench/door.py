"""The door: HTTP to the durable log, acknowledged after its fsync, beside msgspec's decoding alone."""

from __future__ import annotations

import random
import time

import msgspec

from bench._load import call
from bench._served import Generator, Load, Served, served

SECONDS = 10.0


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what was measured beside it in the same run."""
    decoded = _decoded_per_second()
    with served(["door"]) as door:
        _measure(door, 100, 8, 2.0)  # first requests compile, connect and fill caches
        batches, cpu_us = _measure(door, 100, 8, SECONDS)
        single, _ = _measure(door, 1, 1, SECONDS / 2)
        many, _ = _measure(door, 1, 64, SECONDS / 2)
    beside = f"msgspec decode of the same events alone: {decoded:,.0f}/s"
    return [
        _row("HTTP batches of 100 to durable log", "one door process, 8 connections", batches.per_second, "events/s",
             f"{beside}; the door took {cpu_us:.1f} us of processor an event"),
        _row("latency of a batch of 100, p50", "8 connections", batches.latency_ms(0.5), "ms",
             f"p99 {batches.latency_ms(0.99):.1f} ms"),
        _row("single call to durable log, p50", "one connection", single.latency_ms(0.5), "ms",
             f"p99 {single.latency_ms(0.99):.1f} ms"),
        _row("single calls to durable log", "64 connections", many.per_second, "events/s",
             f"p50 {many.latency_ms(0.5):.1f} ms, p99 {many.latency_ms(0.99):.1f} ms"),
    ]  # fmt: skip


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    shown = round(figure) if figure > 100 else round(figure, 2)
    return {"what": what, "on": on, "figure": shown, "unit": unit, "beside": beside}


def _measure(door: Served, batch: int, connections: int, seconds: float) -> tuple[Load, float]:
    """What a generator saw, and the door's processor time per event in microseconds."""
    before = door.cpu_s("door")
    load = Generator(door, seconds=seconds, batch=batch, connections=connections).result()
    return load, (door.cpu_s("door") - before) / load.n_events * 1e6


def _decoded_per_second() -> float:
    """The same batches as plain objects, on one core, nothing kept."""
    rng = random.Random(7)
    at = "2026-11-22T09:30:00.000Z"
    calls = [[call(rng, 500_000, f"{n}-{place:012d}", at) for place in range(100)] for n in range(50)]
    bodies = [msgspec.json.encode({"batch": each}) for each in calls]
    decode = msgspec.json.Decoder().decode
    n, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1.0:
        for body in bodies:
            decode(body)
        n += len(bodies) * 100
    return n / (time.perf_counter() - started)


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:40} {row['figure']:>12,} {row['unit']:10} ({row['beside']})")
