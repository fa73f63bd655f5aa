"""``python -m bench._load JSON``: sends events to a door over plain sockets and prints what it saw as JSON.

Bodies are made beforehand with room for message ids, so that the generator takes little of the machine it shares.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

import uvloop

NAMES = ("Product Viewed",) * 7 + ("Product Added",) * 3 + ("Cart Viewed", "Order Completed")
SHARES = (0.5, 0.95, 0.99, 1.0)
_CATEGORIES = ("Shoes", "Shirts", "Coats", "Hats", "Bags", "Toys", "Books", "Garden")
_TEMPLATES = 512


def call(rng: random.Random, people: int, message_id: str, at: str) -> dict[str, Any]:
    """A small track call as the Segment libraries send it, about 330 bytes; one in twelve is an order."""
    product = {
        "product_id": f"p{rng.randrange(10_000)}",
        "category": rng.choice(_CATEGORIES),
        "price": round(rng.random() * 100, 2),
        "quantity": rng.randrange(1, 5),
    }
    event, products = rng.choice(NAMES), [product] * rng.randrange(1, 4)
    order = {"order_id": f"o{rng.randrange(10**9)}", "total": product["price"] * len(products), "products": products}
    return {
        "type": "track",
        "messageId": message_id,
        "userId": f"household-{rng.randrange(people)}",
        "event": event,
        "timestamp": at,
        "properties": order if event == "Order Completed" else product,
        "context": {"library": {"name": "analytics-python", "version": "2.2.3"}},
    }


def filled(order: dict[str, Any], n_bytes: int) -> dict[str, Any]:
    """A call made an order of as many different products as fit into so many bytes of JSON."""
    products: list[dict[str, Any]] = []
    properties = {"order_id": "o1", "total": 9.5, "products": products}
    left = n_bytes - len(json.dumps(order | {"event": "Order Completed", "properties": properties})) - len("%012d")
    for number in itertools.count():
        product = {"product_id": f"p{number}", "category": _CATEGORIES[number % 8], "name": f"Product {number * 7919}",
                   "price": number % 90 + 0.5, "quantity": 1 + number % 4}  # fmt: skip
        left -= len(json.dumps(product)) + len(", ")
        if left < 0:
            break
        products.append(product)
    return order | {"event": "Order Completed", "properties": properties}


class _Requests:
    """Whole HTTP requests, each with message ids that were never sent before."""

    def __init__(self, asked: dict[str, Any]) -> None:
        rng = random.Random(7)
        self._batch = asked["batch"]
        self._ids = itertools.count()
        self._run = f"{time.time_ns():x}"
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        n_templates = _TEMPLATES // 8 if asked["event_bytes"] else _TEMPLATES
        templates = [self._template(rng, asked, at) for _ in range(n_templates)]
        self._templates = itertools.cycle(templates)

    def _template(self, rng: random.Random, asked: dict[str, Any], at: str) -> bytes:
        place = f"{self._run}-%012d"
        calls = [call(rng, asked["people"], place, at) for _ in range(self._batch)]
        if asked["event_bytes"]:
            calls = [filled(each, asked["event_bytes"]) for each in calls]
        body = json.dumps({"batch": calls} if self._batch > 1 else calls[0]).encode()
        key = base64.b64encode(f"{asked['key']}:".encode()).decode()
        head = (
            f"POST /v1/{'batch' if self._batch > 1 else 'track'} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Basic {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) + (12 - len('%012d')) * self._batch}\r\n\r\n"
        )
        return head.encode() + body

    def next(self) -> bytes:
        return next(self._templates) % tuple(itertools.islice(self._ids, self._batch))


async def _one(asked: dict[str, Any], requests: _Requests, starts: float, latencies: list[float]) -> int:
    """One connection: a request after the other, or each at its time, until the end. Returns requests answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked["port"])
    ends = starts + asked["seconds"]
    pause = asked["connections"] * asked["batch"] / asked["rate"] if asked["rate"] else 0.0
    due = starts + random.random() * pause
    n = 0
    while (now := time.monotonic()) < ends:
        if pause:
            if due > now:
                await asyncio.sleep(due - now)
            sent_at, due = due, due + pause  # what waits behind a slow answer is late, too
        else:
            sent_at = now
        writer.write(requests.next())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {head!r} {answer!r}")
        latencies.append((time.monotonic() - sent_at) * 1_000)
        n += 1
    writer.close()
    return n


async def _all(asked: dict[str, Any]) -> dict[str, Any]:
    requests = _Requests(asked)
    latencies: list[float] = []
    starts = time.monotonic() + 0.1
    counts = await asyncio.gather(*(_one(asked, requests, starts, latencies) for _ in range(asked["connections"])))
    seconds = time.monotonic() - starts
    latencies.sort()
    shares = {str(share): latencies[min(int(share * len(latencies)), len(latencies) - 1)] for share in SHARES}
    return {"n_events": sum(counts) * asked["batch"], "seconds": seconds, "latencies_ms": shares}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_all(json.loads(sys.argv[1])))))
