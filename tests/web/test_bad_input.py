"""Whatever is sent: an answer per item, nothing good lost, nothing twice, no 5xx, bounded memory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import resource
import zlib
from concurrent.futures import Future
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from visitors import client_of

from mailwright.ingest.limits import LIMITS
from mailwright.web import door as door_module
from mailwright.web.app import create_app

SERVER = {"Authorization": "Basic " + base64.b64encode(b"sk_server:").decode()}
GOOD = {"type": "track", "userId": "u1", "event": "Seen", "messageId": "good"}


@pytest.fixture
def door(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def raw_batch(*items: str) -> bytes:
    return ('{"batch": [' + ", ".join(items) + "]}").encode()


GOOD_TEXT = json.dumps(GOOD)


def item(**changed: Any) -> str:
    return json.dumps({"type": "track", "userId": "u2", "event": "Bad", **changed})


# One item each, beside a good one: (the item as text, the field that is told, a word of the reason)
BAD_ITEMS = {
    "NaN": ('{"type": "track", "userId": "u", "event": "E", "properties": {"a": NaN}}', "", "NaN"),
    "Infinity": ('{"type": "track", "userId": "u", "event": "E", "properties": {"a": -Infinity}}', "", "JSON"),
    "lone surrogate": (r'{"type": "track", "userId": "u", "event": "E", "properties": {"a": "\ud800"}}', "", "JSON"),
    "deep": (item(properties={}).replace("{}", '{"a":' * 2000 + "1" + "}" * 2000), "", "nested"),
    "10,000 keys": (item(properties={f"k{n}": 1 for n in range(2049)}), "", "keys"),
    "huge number": (item(properties={}).replace("{}", '{"a": 1' + "0" * 30 + "}"), "", "64 bits"),
    "huge exponent": (item(properties={}).replace("{}", '{"a": 1e999}'), "properties", "out of range"),
    "1970": (item(timestamp="1970-01-01T00:00:00Z"), "timestamp", "long ago"),
    "2100": (item(timestamp="2100-01-01T00:00:00Z"), "timestamp", "future"),
    "no moment": (item(timestamp="yesterday"), "timestamp", "yesterday"),
    "list for object": (item(properties=[1]), "properties", "object"),
    "context a number": (item(context=5), "context", "object"),
    "nobody": (item(userId=None), "userId", "nobody"),
    "unknown call": (item(type="trak"), "type", "track"),
    "text": ('"x"', "", "object"),
    "null": ("null", "", "object"),
    "long id": (item(messageId="m" * 257), "messageId", "257 characters"),
    "forged seal": (item(properties={"a": {"sealed": "x", "hash": "y"}}), "", "reserved"),
    "too large": (item(properties={"a": "x" * LIMITS.event_bytes}), "", "bytes"),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_item_is_told_and_spoils_no_other(fresh_shop: Shop, door: TestClient, name: str) -> None:
    text, field, word = BAD_ITEMS[name]
    answer = door.post("/v1/batch", content=raw_batch(GOOD_TEXT, text), headers=SERVER)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["accepted"] == 1
    ((index, place, reason),) = [(one["index"], one["field"], one["reason"]) for one in told["refused"]]
    assert (index, place.startswith(field), word in reason) == (1, True, True), told
    assert [event.message_id for event in fresh_shop.events()] == ["good"]


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_alone_it_is_400(fresh_shop: Shop, door: TestClient, name: str) -> None:
    answer = door.post("/v1/batch", content=raw_batch(BAD_ITEMS[name][0]), headers=SERVER)
    assert answer.status_code == 400
    assert fresh_shop.events() == []
    told = answer.json()
    assert (told["code"], told["message"]) == (told["error"]["code"], told["error"]["message"])


def test_of_half_a_bad_batch_the_good_half_is_in(fresh_shop: Shop, door: TestClient) -> None:
    items = [
        json.dumps({**GOOD, "messageId": f"m{n}"}) if n % 2 == 0 else list(BAD_ITEMS.values())[n % len(BAD_ITEMS)][0]
        for n in range(100)
    ]
    told = door.post("/v1/batch", content=raw_batch(*items), headers=SERVER).json()
    assert told["accepted"] == 50
    assert [one["index"] for one in told["refused"]] == list(range(1, 100, 2))
    assert [event.message_id for event in fresh_shop.events()] == [f"m{n}" for n in range(0, 100, 2)]


# --- exactly at the limits -------------------------------------------------------------------------------------------


def event_of(n_bytes: int, message_id: str = "m") -> str:
    text = json.dumps({**GOOD, "messageId": message_id, "properties": {"x": ""}}, separators=(",", ":"))
    return text.replace('"x":""', '"x":"' + "x" * (n_bytes - len(text)) + '"')


@pytest.mark.parametrize(("n_bytes", "accepted"), [(LIMITS.event_bytes, 1), (LIMITS.event_bytes + 1, 0)])
def test_an_event_has_32_kb_and_no_byte_more(door: TestClient, n_bytes: int, accepted: int) -> None:
    text = event_of(n_bytes)
    assert len(text) == n_bytes
    for path, body in (("batch", raw_batch(text)), ("track", text.encode())):
        told = door.post(f"/v1/{path}", content=body, headers=SERVER).json()
        assert told["accepted"] == accepted
        assert accepted or "at most 32,768" in told["refused"][0]["reason"]


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_a_batch_has_500_kb_and_no_byte_more(door: TestClient, more: int, status: int) -> None:
    items = [event_of(30_000, f"m{n}") for n in range(17)]
    body = raw_batch(*items)
    body += b" " * (LIMITS.request_bytes - len(body) + more)
    assert len(body) == 500 * 1024 + more
    for content, encoding in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        answer = door.post("/v1/batch", content=content, headers=SERVER | encoding)
        assert answer.status_code == status, answer.text[:200]


@pytest.mark.parametrize(("n", "status"), [(2500, 200), (2501, 413)])
def test_a_batch_has_2500_events_and_none_more(door: TestClient, n: int, status: int) -> None:
    body = raw_batch(*([GOOD_TEXT] * n))
    assert door.post("/v1/batch", content=body, headers=SERVER).status_code == status


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (gzip.compress(raw_batch(GOOD_TEXT), mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400),  # cut off
        (raw_batch(GOOD_TEXT), {"Content-Encoding": "gzip"}, 400),
        (zlib.compress(raw_batch(GOOD_TEXT)), {"Content-Encoding": "deflate"}, 415),
        (b"\xef\xbb\xbf" + raw_batch(GOOD_TEXT), {}, 400),  # a BOM: RFC 8259 forbids it
        (raw_batch(GOOD_TEXT).decode().encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, 400),
        ("Grüße".join([" ", " "]).encode("latin-1"), {}, 400),
        (b"batch=1&x=2", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"", {}, 400),
        (b"null", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"batch": ' + b'[{"a":' * 30_000, {}, 400),
    ],
)
def test_a_body_that_cannot_be_read_is_a_clear_4xx(
    fresh_shop: Shop, door: TestClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = door.post("/v1/batch", content=body, headers=SERVER | headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert fresh_shop.events() == []


def test_a_text_that_is_no_utf8_is_told_at_its_item(fresh_shop: Shop, door: TestClient) -> None:
    latin = b'{"type":"track","userId":"u","event":"E","context":{"a":"Gr\xfc\xdfe"}}'
    answer = door.post("/v1/batch", content=b'{"batch":[' + GOOD_TEXT.encode() + b"," + latin + b"]}", headers=SERVER)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert "UTF-8" in answer.json()["refused"][0]["reason"]


def test_a_gzip_bomb_fills_no_memory(door: TestClient) -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"0" * (1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(400)) + packer.flush()
    assert len(bomb) < LIMITS.request_bytes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = door.post("/v1/batch", content=bomb, headers=SERVER | {"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_message_id_sent_again_with_another_body_is_one_event(fresh_shop: Shop, door: TestClient) -> None:
    """Both are in the log; the engine takes the first (tests/unit/ingest/test_ingest_dedupe.py)."""
    for total in (1, 2):
        body = {**GOOD, "properties": {"total": total}}
        assert door.post("/v1/track", json=body, headers=SERVER).json()["accepted"] == 1
    sent = fresh_shop.events()
    assert len({(event.source, event.message_id) for event in sent}) == 1
    assert [event.properties["total"] for event in sent] == [1, 2]


# --- under the framework ---------------------------------------------------------------------------------------------


def asked(shop: Shop, headers: list[tuple[bytes, bytes]], chunks: list[bytes]) -> tuple[int, dict[str, Any]]:
    """What the application answers to a request whose body comes in those chunks."""
    app, waiting, sent = create_app(shop.context), list(chunks), list[Any]()

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/batch",
        "raw_path": b"/v1/batch",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "app": app,
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


KEYED = [(b"authorization", SERVER["Authorization"].encode())]


def test_a_slow_body_without_a_length_is_taken(fresh_shop: Shop) -> None:
    body = raw_batch(GOOD_TEXT)
    status, told = asked(fresh_shop, KEYED, [body[n : n + 1] for n in range(len(body))])
    assert (status, told["accepted"]) == (200, 1)


def test_an_endless_body_is_cut_off(fresh_shop: Shop) -> None:
    status, _ = asked(fresh_shop, KEYED, [b"x" * 65_536] * 100)
    assert status == 413


def test_a_hundred_thousand_headers_are_no_5xx(fresh_shop: Shop) -> None:
    many = [(b"x-%d" % n, b"y") for n in range(100_000)]
    status, _ = asked(fresh_shop, [*many, *KEYED], [raw_batch(GOOD_TEXT)])
    assert status == 200


def test_lying_lengths_are_no_5xx(fresh_shop: Shop) -> None:
    for length in (b"-1", b"x", b"9" * 5_000, b"\xff"):
        status, _ = asked(fresh_shop, [*KEYED, (b"content-length", length)], [raw_batch(GOOD_TEXT)])
        assert status in (200, 413)


def test_under_pressure_it_is_429_and_nothing_is_lost(fresh_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "MOST_WAITING", 3)
    log, app = fresh_shop.context.log, create_app(fresh_shop.context)
    statuses: list[tuple[int, str]] = []
    reading: list[int] = []
    writing: list[tuple[Future[list[int]], Any]] = []

    def put(*told: Any) -> Future[list[int]]:
        writing.append((Future(), told))
        return writing[-1][0]

    monkeypatch.setattr(log, "put", put)  # the disk is slow: it answers when all have come

    async def one(number: int, gate: asyncio.Event) -> None:
        async def receive() -> Any:
            reading.append(number)
            await gate.wait()
            body = raw_batch(json.dumps({**GOOD, "messageId": f"m{number}"}))
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                statuses.append((message["status"], headers.get(b"retry-after", b"").decode()))

        scope = {"type": "http", "method": "POST", "path": "/v1/batch", "query_string": b"", "headers": KEYED}
        await app({**scope, "client": None}, receive, send)

    async def all_at_once() -> None:
        gate = asyncio.Event()
        running = [asyncio.create_task(one(number, gate)) for number in range(5)]
        while len(reading) < 5:
            await asyncio.sleep(0)
        gate.set()
        while len(writing) + len(statuses) < 5:
            await asyncio.sleep(0)
        for done, told in writing:
            done.set_result(log.append(*told))
        await asyncio.gather(*running)

    asyncio.run(all_at_once())
    assert sorted(statuses) == [(200, "")] * 3 + [(429, "5")] * 2
    assert len(fresh_shop.events()) == 3


def test_idle_connections_shut_out_nobody_and_are_ended(fresh_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "MOST_WAITING", 3)
    monkeypatch.setattr(door_module, "MOST_WAITING_BYTES", 100_000)
    monkeypatch.setattr("mailwright.web.bodies.BODY_S", 0.5)
    app, good = create_app(fresh_shop.context), raw_batch(GOOD_TEXT)
    scope = {"type": "http", "method": "POST", "path": "/v1/batch", "query_string": b"", "client": None}

    async def one(headers: list[tuple[bytes, bytes]], first: list[bytes]) -> tuple[int, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def receive() -> Any:
            if not first:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": first.pop(), "more_body": headers is not KEYED}

        async def send(message: Any) -> None:
            sent.append(message)

        await app({**scope, "headers": headers}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"])

    async def all_at_once() -> None:
        zipped = [(b"content-encoding", b"gzip")]
        kinds = [(zipped, []), (zipped, [gzip.compress(b"{}")[:5]]), ([(b"content-length", b"99999")], [b"{"])]
        idle = [asyncio.create_task(one(list(headers), list(first))) for headers, first in kinds * 5]
        await asyncio.sleep(0)
        assert (await one(KEYED, [good]))[0] == 200
        for status, headers in await asyncio.gather(*idle):
            assert (status, headers[b"connection"]) == (408, b"close")

    asyncio.run(all_at_once())


def test_bytes_that_wait_are_bounded(fresh_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "MOST_WAITING_BYTES", 1_000)
    status, _ = asked(fresh_shop, KEYED, [b"x" * 600] * 2)
    assert status == 429


@pytest.mark.parametrize("path", ["/v1/batch", "/w/nothing"])
def test_who_names_no_source_is_told_before_the_body_comes(fresh_shop: Shop, path: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    app = create_app(fresh_shop.context)
    unknown = [(b"authorization", b"Bearer sk_unknown"), (b"host", b"testserver")]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(app({**scope, "headers": unknown, "client": ("127.0.0.1", 1), "app": app}, receive, send))
    assert sent[0]["status"] == (401 if path == "/v1/batch" else 404)
