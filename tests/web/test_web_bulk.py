"""The bulk door: JSON lines of any length over plain HTTP, as an ETL tool sends them."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from serving import free_socket, served
from visitors import client_of

from mailwright.core.errors import MailwrightError, Transient
from mailwright.core.events import Tick
from mailwright.core.instants import Instant
from mailwright.web.app import create_app
from mailwright.web.errors import NotSignedIn

SERVER = {"Authorization": "Basic " + base64.b64encode(b"sk_server:").decode()}
LINES = SERVER | {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def door(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def line(n: int, **more: object) -> bytes:
    call = {"type": "track", "event": "Seen", "userId": f"user-{n}", "properties": {"n": n}, **more}
    return json.dumps(call).encode() + b"\n"


def test_an_etl_tool_streams_lines_and_may_send_them_again(fresh_shop: Shop) -> None:
    """In chunks whose borders are anywhere, gzipped, without message ids."""
    data = gzip.compress(b"".join(line(n) for n in range(3_000)) + b"\n" + line(3_000).strip())

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), 777):
            yield data[start : start + 777]

    bound = free_socket()
    with served(create_app(fresh_shop.context), bound):
        for _ in range(2):
            client = http.client.HTTPConnection("127.0.0.1", bound.getsockname()[1], timeout=60)
            headers = LINES | {"Content-Encoding": "gzip"}
            client.request("POST", "/v1/import?history=true", chunks(), headers, encode_chunked=True)
            answer = client.getresponse()
            assert (answer.status, json.loads(answer.read())) == (
                200,
                {"accepted": 3_001, "refused": [], "refused_count": 0},
            )
            client.close()
    events = fresh_shop.events()
    assert len(events) == 6_002
    assert len({event.message_id for event in events}) == 3_001
    assert all(event.history and event.imported for event in events)


def test_each_line_is_answered_for(fresh_shop: Shop, door: TestClient) -> None:
    body = b"".join(
        [
            line(1, messageId="m-1"),
            b"{half\n",
            b"\n",
            line(2, userId=None),
            b'{"a":1},{"b":2}\n',
            line(3, properties={"x": "x" * 40_000}),
            b'{"type":"track","event":"E","userId":"u","x":NaN,"messageId":"m"}\n',
            line(4),
        ]
    )
    answer = door.post("/v1/import", content=body, headers=LINES)
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["refused_count"]) == (200, 2, 5)
    assert sorted((one["index"], one["field"]) for one in told["refused"]) == [
        (1, ""),
        (2, "userId"),
        (3, ""),
        (4, ""),
        (5, ""),
    ]
    assert [event.identifiers[0].value for event in fresh_shop.events()] == ["user-1", "user-4"]
    answer = door.post("/v1/import", content=b"{half\nx", headers=LINES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ingest.refused")


def test_a_body_without_a_line_break_takes_little_memory(door: TestClient) -> None:
    body = gzip.compress(b"x" * (64 << 20))
    tracemalloc.start()
    answer = door.post("/v1/import", content=body, headers=LINES | {"Content-Encoding": "gzip"})
    assert "67,108,864 bytes" in answer.json()["refused"][0]["reason"]
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    torn = door.post("/v1/import", content=body[:-9], headers=LINES | {"Content-Encoding": "gzip"})
    assert (torn.status_code, torn.json()["error"]["code"]) == (400, "request.gzip")


def test_lines_give_way_to_live_events(fresh_shop: Shop, door: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwright.web.bulk._PAUSE_S", 0.0)
    fresh_shop.log.append([Tick()] * 1_000, Instant(1))
    answer = door.post("/v1/import", content=line(1), headers=LINES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "import.busy")
    assert int(answer.headers["retry-after"]) > 0
    fresh_shop.engine.down = Transient("engine.unreachable", "it does not run")
    assert door.post("/v1/import", content=line(1), headers=LINES).status_code == 200


def test_what_is_away_is_asked_again_and_says_what_is_in(
    fresh_shop: Shop, door: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is told 400 gives the batch up; 503 with Retry-After brings it again."""
    monkeypatch.setattr("mailwright.web.bulk.CHUNK_ITEMS", 2)
    put, n_puts = fresh_shop.context.log.put, 0
    fault: MailwrightError = Transient("log.full", "the disk is full")

    def full(*told: Any) -> Any:
        nonlocal n_puts
        n_puts += 1
        if n_puts > 1:
            raise fault
        return put(*told)

    monkeypatch.setattr(fresh_shop.context.log, "put", full)
    answer = door.post("/v1/import", content=b"".join(map(line, range(4))), headers=LINES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log.full")
    assert (answer.json()["accepted"], answer.headers["retry-after"]) == (2, "5")
    n_puts, fault = 0, NotSignedIn("key.unknown", "the key was revoked")
    answer = door.post("/v1/import", content=b"".join(map(line, range(4))), headers=LINES)
    assert (answer.status_code, answer.json()["accepted"]) == (401, 2)
    broken = LINES | {"Content-Encoding": "br"}
    assert door.post("/v1/import", content=line(1), headers=broken).status_code == 415


def test_only_a_server_key_may(door: TestClient) -> None:
    browser = {"Authorization": "Bearer pk_browser", "Content-Type": "application/x-ndjson"}
    assert door.post("/v1/import", content=line(1), headers=browser).status_code == 403
    nobody = {"Content-Type": "application/x-ndjson"}
    assert door.post("/v1/import", content=line(1), headers=nobody).status_code == 401
