"""The door: HTTP to the durable log, acknowledged after its fsync, beside msgspec's decoding alone.

Once without a tracking plan, and once with one that holds every event to a JSON Schema.
"""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from base64 import b64encode

import msgspec

from bench._load import NAMES, call
from bench._served import Generator, Load, Served, served

SECONDS = 10.0
BIG, SMALL_ONES = 32_000, 20
"""Bytes of an event close to the limit of 32 KiB, and how many small ones it may cost as much as."""

SINGLE_TARGET = 5_000
_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_PRODUCT = {
    "type": "object",
    "required": ["product_id", "price"],
    "properties": {
        "product_id": {"type": "string", "pattern": "^p[0-9]+$"},
        "category": _TEXT,
        "name": _TEXT,
        "price": {"type": "number", "minimum": 0},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
}
_ORDER = {
    "type": "object",
    "required": ["order_id", "total", "products"],
    "properties": {
        "order_id": {"type": "string", "pattern": "^o[0-9]+$"},
        "total": {"type": "number", "minimum": 0},
        "products": {"type": "array", "minItems": 1, "items": _PRODUCT},
    },
}


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what was measured beside it in the same run."""
    return [*_without_plan(), *_with_plan()]


def _without_plan() -> list[dict[str, object]]:
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


def _with_plan() -> list[dict[str, object]]:
    """Every event held to a JSON Schema, its nested products too; one that is not as it says is refused."""
    schemas = {name: {"schema": _ORDER if name == "Order Completed" else _PRODUCT} for name in sorted(set(NAMES))}
    plan = json.dumps({"unknown_events": "block", "violation": "block", "events": schemas})  # JSON is YAML
    with served(["door"], {"tracking-plan.yaml": plan}) as door:
        assert _refused(door), "the plan is not in force"
        _measure(door, 100, 8, 2.0)
        batches, cpu_us = _measure(door, 100, 8, SECONDS)
        many, many_us = _measure(door, 1, 64, SECONDS / 2)
        twenty, twenty_us = _measure(door, SMALL_ONES, 8, SECONDS / 2)
        _measure(door, 1, 8, 1.0, BIG)
        big, big_us = _measure(door, 1, 8, SECONDS / 2, BIG)
    on = "every event held to a JSON Schema"
    small = f"{SMALL_ONES} small ones in a batch {twenty_us * SMALL_ONES:,.0f} us, as single calls"
    return [
        _row("HTTP batches of 100, validated", f"{on}, 8 connections", batches.per_second, "events/s",
             f"the door took {cpu_us:.1f} us of processor an event; p50 {batches.latency_ms(0.5):.1f} ms"),
        _row("single calls, validated", f"{on}, 64 connections", many.per_second, "events/s",
             f"target {SINGLE_TARGET:,}/s; {many_us:.0f} us of processor a call; p99 {many.latency_ms(0.99):.1f} ms"),
        _row("one event of 32 KB, validated", f"{on}, an order of some 300 products, 8 connections", big_us,
             "us of processor", f"{small} {many_us * SMALL_ONES:,.0f} us"),
        _row("events of 32 KB, validated", f"{on}, 8 connections", big.per_second, "events/s",
             f"p50 {big.latency_ms(0.5):.1f} ms; batches of {SMALL_ONES}: {twenty.per_second / SMALL_ONES:,.0f}/s, p50 "
             f"{twenty.latency_ms(0.5):.1f} ms"),
    ]  # fmt: skip


def _refused(door: Served) -> bool:
    """Whether an event that is not as the plan says is turned away."""
    bad = {"type": "track", "messageId": "bad", "userId": "household-1", "event": NAMES[0], "properties": {"price": -1}}
    headers = {"Authorization": "Basic " + b64encode(f"{door.key}:".encode()).decode()}
    url = f"http://127.0.0.1:{door.port}/v1/track"
    request = urllib.request.Request(url, json.dumps(bad).encode(), headers | {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(json.load(answer).get("refused"))
    except urllib.error.HTTPError as error:
        return error.code == 400


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    shown = round(figure) if figure > 100 else round(figure, 2)
    return {"what": what, "on": on, "figure": shown, "unit": unit, "beside": beside}


def _measure(door: Served, batch: int, connections: int, seconds: float, event_bytes: int = 0) -> tuple[Load, float]:
    """What a generator saw, and the door's processor time per event in microseconds."""
    before = door.cpu_s("door")
    asked = Generator(door, seconds=seconds, batch=batch, connections=connections, event_bytes=event_bytes)
    load = asked.result()
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
