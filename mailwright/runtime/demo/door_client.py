"""The demo's shop as an ordinary client of the door: batches over HTTP, answers read."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec

from mailwright.core.errors import Permanent, Transient

MAX_CALLS = 2_000
MAX_BYTES = 450_000
"""A batch stays under the 500 KB and 2,500 events that the Segment API allows."""

PATIENCE_S = 60.0
RETRY_S = 0.5

READERS = 16
"""Reactions that are on their way at the same time: the log writes what comes together with one fsync."""


class DoorClient:
    """Posts calls in order; each method returns when the door has made them durable."""

    def __init__(self, base_url: str, write_key: str) -> None:
        token = base64.b64encode(f"{write_key}:".encode()).decode()
        self._http = httpx.Client(base_url=base_url, headers={"Authorization": f"Basic {token}"}, timeout=60.0)
        self._readers = ThreadPoolExecutor(READERS, "reader")
        self._encode = msgspec.json.Encoder().encode

    def close(self) -> None:
        """Close the connections."""
        self._readers.shutdown()
        self._http.close()

    def wait_until_ready(self) -> None:
        """Wait until the door answers.

        Raises:
            Transient: If it does not within a minute.
        """
        for _ in range(int(PATIENCE_S / 0.1)):
            try:
                if self._http.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise Transient(
            "demo.door", f"the door at {self._http.base_url} did not come up within {PATIENCE_S:.0f} seconds"
        )

    def calls(self, calls: Iterable[dict[str, Any]], *, history: bool) -> Iterator[int]:
        """Post Segment calls; yields the number of calls of each accepted batch."""
        path = "/v1/import?history=true" if history else "/v1/batch"
        for n, body in self._batches(calls, b'{"batch":['):
            self._post(path, body)
            yield n

    def items(self, items: Iterable[dict[str, Any]]) -> Iterator[int]:
        """Post catalog items; yields the number of items of each accepted batch."""
        for n, body in self._batches(items, b'{"items":['):
            self._post("/v1/items", body)
            yield n

    def react(self, paths: Iterable[str]) -> None:
        """Request addresses as mail clients and browsers do, side by side, without following redirects.

        Raises:
            Permanent: If one is answered with neither success nor a redirect.
        """
        for path, status in self._readers.map(self._get, paths):
            if status not in (200, 302):
                raise Permanent("demo.reaction", f"{path[:40]}... was answered with {status}")

    def _get(self, path: str) -> tuple[str, int]:
        headers = {"Authorization": "", "User-Agent": "Maple Grove reader"}
        return path, self._again(lambda: self._http.get(path, headers=headers)).status_code

    def _batches(self, rows: Iterable[dict[str, Any]], opening: bytes) -> Iterator[tuple[int, bytes]]:
        parts: list[bytes] = []
        size = 0
        for row in rows:
            part = self._encode(row)
            if parts and (len(parts) >= MAX_CALLS or size + len(part) > MAX_BYTES):
                yield len(parts), opening + b",".join(parts) + b"]}"
                parts, size = [], 0
            parts.append(part)
            size += len(part) + 1
        if parts:
            yield len(parts), opening + b",".join(parts) + b"]}"

    def _post(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        response = self._again(lambda: self._http.post(path, content=body, headers=headers))
        if response.status_code != 200:
            told = f"the door refused a batch with {response.status_code}: {response.text[:500]}"
            raise Permanent("demo.refused", told)
        self._all_accepted(response)

    def _again(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """What the door cannot take now, because it is full or being started anew, is offered again until it can."""
        why = ""
        for _ in range(int(PATIENCE_S / RETRY_S)):
            try:
                response = request()
            except httpx.TransportError as error:
                why = repr(error)
            else:
                if response.status_code not in (429, 503):
                    return response
                why = f"it answers {response.status_code}"
            time.sleep(RETRY_S)
        raise Transient("demo.door", f"the door takes nothing for {PATIENCE_S:.0f} seconds: {why}")

    @staticmethod
    def _all_accepted(response: httpx.Response) -> None:
        refused = response.json().get("refused", [])
        if refused:
            raise Permanent(
                "demo.refused", f"the door refused {len(refused)} items of a batch, the first: {refused[0]}"
            )
