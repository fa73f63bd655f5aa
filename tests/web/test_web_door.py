from __future__ import annotations

import base64
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from visitors import client_of

from mailwright.core.errors import Transient
from mailwright.core.events import Body, Items, Tick
from mailwright.core.instants import Instant
from mailwright.web.context import WebContext

SERVER = {"Authorization": "Basic " + base64.b64encode(b"sk_server:").decode()}
BROWSER = {"Authorization": "Bearer pk_browser"}
ORDER = {
    "event": "Order Completed",
    "userId": "household-1",
    "messageId": "m-1",
    "timestamp": "2017-12-28T12:00:00Z",
    "properties": {"total": 12.5},
}


@pytest.fixture
def door(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def _batch(*items: dict[str, Any]) -> dict[str, Any]:
    return {"batch": [{"type": "track", **item} for item in items]}


def test_an_accepted_call_is_in_the_log_when_the_answer_comes(fresh_shop: Shop, door: TestClient) -> None:
    answer = door.post("/v1/track", json=ORDER, headers=SERVER)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "refused": []})
    (event,) = fresh_shop.events()
    assert (event.name, event.source, event.message_id) == ("Order Completed", "till", "m-1")
    assert event.properties == {"total": 12.5}


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("identify", {"traits": {"email": "ann@example.com"}}),
        ("track", {"event": "Seen"}),
        ("page", {"name": "Home"}),
        ("screen", {"name": "Home"}),
        ("group", {"groupId": "g1"}),
        ("alias", {"previousId": "anonymous-1"}),
    ],
)
def test_every_call_of_the_spec_is_taken(fresh_shop: Shop, door: TestClient, call: str, extra: dict[str, Any]) -> None:
    answer = door.post(f"/v1/{call}", json={"userId": "u1", **extra}, headers=SERVER)
    assert answer.json()["accepted"] == 1, answer.text
    assert [event.type for event in fresh_shop.events()] == [call]


def test_personal_fields_do_not_reach_the_log_in_clear_text(fresh_shop: Shop, door: TestClient) -> None:
    door.post("/v1/identify", json={"userId": "u1", "traits": {"email": "canary@example.com"}}, headers=SERVER)
    (event,) = fresh_shop.events()
    assert "canary" not in str(event)
    assert fresh_shop.sealer.unseal(event.traits["email"]) == "canary@example.com"


def test_good_items_are_taken_and_bad_ones_told(fresh_shop: Shop, door: TestClient) -> None:
    answer = door.post("/v1/batch", json=_batch(ORDER, {"userId": "u", "messageId": "m-2"}), headers=SERVER)
    assert answer.status_code == 200
    told = answer.json()
    assert told["accepted"] == 1
    assert [(one["index"], one["field"]) for one in told["refused"]] == [(1, "event")]
    assert len(fresh_shop.events()) == 1


def test_a_request_with_nothing_good_is_400_and_appends_nothing(fresh_shop: Shop, door: TestClient) -> None:
    answer = door.post("/v1/batch", json=_batch({"userId": "u"}, {"userId": "v"}), headers=SERVER)
    assert answer.status_code == 400
    assert answer.json()["accepted"] == 0
    assert answer.json()["error"]["code"] == "ingest.refused"
    assert fresh_shop.log.last()[0] == 0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (SERVER, ORDER),
        ({"Authorization": "Bearer sk_server"}, ORDER),
        ({}, {**ORDER, "writeKey": "sk_server"}),
    ],
)
def test_the_write_key_comes_in_three_ways(door: TestClient, headers: dict[str, str], body: dict[str, Any]) -> None:
    assert door.post("/v1/track", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "key.missing"),
        ({"Authorization": "Bearer sk_other"}, "key.unknown"),
        ({"Authorization": "Basic !!"}, "key.missing"),
        ({"Authorization": "Digest x"}, "key.missing"),
    ],
)
def test_without_a_known_key_it_is_401(fresh_shop: Shop, door: TestClient, headers: dict[str, str], code: str) -> None:
    answer = door.post("/v1/track", json=ORDER, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert fresh_shop.log.last()[0] == 0


def test_only_a_server_key_imports_history(fresh_shop: Shop, door: TestClient) -> None:
    for query in ("", "?history=true"):
        refused = door.post(f"/v1/import{query}", json=_batch(ORDER), headers=BROWSER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "key.server")
        assert refused.json()["error"]["hint"] == "use an sk_ key"
    wrong_call = door.post("/v1/batch?history=true", json=_batch(ORDER), headers=SERVER)
    assert wrong_call.status_code == 400
    taken = door.post("/v1/import?history=true", json=_batch(ORDER), headers=SERVER)
    assert taken.json()["accepted"] == 1
    (event,) = fresh_shop.events()
    assert event.history
    assert event.known_at == event.stamp_at


def test_a_browsers_address_is_kept_sealed_and_a_servers_is_not_kept(fresh_shop: Shop, door: TestClient) -> None:
    door.post("/v1/track", json=ORDER, headers={**BROWSER, "User-Agent": "Firefox"})
    door.post("/v1/track", json=ORDER, headers={**SERVER, "User-Agent": "library"})
    browser, server = fresh_shop.events()
    assert browser.context["userAgent"] == "Firefox"
    assert fresh_shop.sealer.is_sealed(browser.context["ip"])
    assert not {"ip", "userAgent"} & server.context.keys()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"batch": 1}', b"\xff\xfe", b'{"batch": ' + b"[" * 5000])
def test_a_body_that_is_no_batch_is_400_with_one_shape(door: TestClient, body: bytes) -> None:
    answer = door.post("/v1/batch", content=body, headers=SERVER)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"].startswith("ingest.")
    assert error["message"]


# --- compressed and large bodies -------------------------------------------------------------------------------------


def test_gzip_is_taken(fresh_shop: Shop, door: TestClient) -> None:
    packed = gzip.compress(json.dumps(_batch(ORDER)).encode())
    answer = door.post("/v1/batch", content=packed, headers={**SERVER, "Content-Encoding": "gzip"})
    assert answer.json() == {"accepted": 1, "refused": []}


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_broken_gzip_is_400(door: TestClient, cut: int) -> None:
    packed = gzip.compress(json.dumps(_batch(ORDER)).encode())[:cut]
    answer = door.post("/v1/batch", content=packed, headers={**SERVER, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "request.gzip")


def test_a_gzip_bomb_is_413_and_never_inflated(door: TestClient) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)  # 200 MB in 195 KB, below the limit for bodies as sent
    tracemalloc.start()
    answer = door.post("/v1/batch", content=bomb, headers={**SERVER, "Content-Encoding": "gzip"})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert most < 8_000_000


def test_gzip_in_gzip_and_a_second_member_are_refused(door: TestClient) -> None:
    one = gzip.compress(json.dumps(_batch(ORDER)).encode())
    for body in (one + one, gzip.compress(one)):
        answer = door.post("/v1/batch", content=body, headers={**SERVER, "Content-Encoding": "gzip"})
        assert answer.status_code == 400


def test_other_encodings_are_415(door: TestClient) -> None:
    answer = door.post("/v1/batch", content=b"x", headers={**SERVER, "Content-Encoding": "br"})
    assert answer.status_code == 415


def test_a_large_body_is_413_with_and_without_a_declared_length(fresh_shop: Shop, door: TestClient) -> None:
    limit = fresh_shop.context.settings.limits.request_bytes
    declared = door.post("/v1/batch", content=bytes(limit + 1), headers=SERVER)
    streamed = door.post("/v1/batch", content=(bytes(1000) for _ in range(limit // 1000 + 2)), headers=SERVER)
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["error"]["code"] == "ingest.too_large"


# --- CORS, retries, catalog ------------------------------------------------------------------------------------------


def test_any_page_may_send(door: TestClient) -> None:
    preflight = door.options("/v1/track", headers={"Origin": "https://shop.example"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    sent = door.post("/v1/track", json=ORDER, headers={**BROWSER, "Origin": "https://shop.example"})
    assert sent.headers["access-control-allow-origin"] == "*"
    assert "set-cookie" not in sent.headers


class FullLog:
    """An event log on a full disk."""

    def put(self, bodies: list[Body], now: Instant) -> Future[list[int]]:
        raise Transient("log.disk_full", "no space left to write the log", "free space; it then goes on")


def test_a_full_disk_is_503_with_a_time_to_come_back(fresh_shop: Shop) -> None:
    values = {name: getattr(fresh_shop.context, name) for name in WebContext.__dataclass_fields__}
    fresh_shop.context = WebContext(**{**values, "log": FullLog()})
    answer = client_of(fresh_shop).post("/v1/track", json=ORDER, headers=SERVER)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "log.disk_full"


def test_items_enter_the_catalog_with_a_server_key_only(fresh_shop: Shop, door: TestClient) -> None:
    body = {
        "items": [
            {"catalog": "products", "item_id": "1", "facts": {"title": "Milk"}},
            {"catalog": "products", "item_id": "2", "facts": {"titel": "Eggs"}},
        ]
    }
    assert door.post("/v1/items", json=body, headers=BROWSER).status_code == 403
    answer = door.post("/v1/items", json=body, headers=SERVER)
    assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["refused"][0]["index"]) == (1, 1)
    (record,) = fresh_shop.log.read(0, 10)
    assert isinstance(record.body, Items)
    assert [item.facts for item in record.body.items] == [{"title": "Milk"}]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_the_door_takes_post_alone(door: TestClient, method: str) -> None:
    answer = door.request(method, "/v1/track")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "http.405"


# --- what would be too much ------------------------------------------------------------------------------------------


def test_an_import_waits_while_the_engine_is_behind_and_live_events_do_not(fresh_shop: Shop) -> None:
    door = client_of(fresh_shop)
    fresh_shop.log.append([Tick()] * 1_000, Instant(1))  # the engine has folded 900 of them
    answer = door.post("/v1/import", json=_batch(ORDER), headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "import.busy")
    assert int(answer.headers["retry-after"]) > 0
    assert door.post("/v1/batch", json=_batch(ORDER), headers=SERVER).status_code == 200
    fresh_shop.engine.down = Transient("engine.unreachable", "it does not run")
    assert door.post("/v1/import", json=_batch(ORDER), headers=SERVER).status_code == 200


DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
HOSTILE = {
    "a property of 40 KB": (json.dumps("x" * 40_000).encode(), "32,768 are taken"),
    "nested 5,000 deep": (DEEP, "nested"),
    "nested 100 deep": (b"[" * 100 + b"]" * 100, "nested deeper than 32"),
    "3,000 keys": (b"{" + b",".join(b'"%d":1' % n for n in range(3_000)) + b"}", "2,048 keys"),
    "a number of 300 digits": (b"9" * 300, "64 bits"),
    "a number beyond 64 bits": (b"18446744073709551616", "64 bits"),
    "an infinite number": (b"1e999", ""),
    "half a surrogate pair": (b'"\\ud800"', ""),
    "bytes that are no text": (b'"\xff"', "UTF-8"),
    "no JSON": (b"{a}", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_property_is_refused_by_item_at_little_cost(fresh_shop: Shop, door: TestClient, name: str) -> None:
    """The item says what is wrong, its neighbours are taken, and a batch of nothing but such items is cheap."""
    value, reason = HOSTILE[name]
    good = json.dumps({"type": "track", **ORDER}).encode()
    bad = b'{"type":"track","event":"E","userId":"u1","messageId":"m-2","properties":{"p":' + value + b"}}"
    answer = door.post("/v1/batch", content=b'{"batch":[' + good + b"," + bad + b"," + good + b"]}", headers=SERVER)
    assert answer.status_code == 200
    told = answer.json()
    assert told["accepted"] == 2
    assert [one["index"] for one in told["refused"]] == [1]
    assert reason in told["refused"][0]["reason"]
    assert [event.message_id for event in fresh_shop.events()] == ["m-1", "m-1"]
    n = min(490_000 // len(bad), 2_500)
    before = time.process_time()
    answer = door.post("/v1/batch", content=b'{"batch":[' + b",".join([bad] * n) + b"]}", headers=SERVER)
    assert time.process_time() - before < 2.0
    assert (answer.status_code, len(answer.json()["refused"])) == (400, n)


def test_a_property_of_10_mb_is_413_before_it_is_read(door: TestClient) -> None:
    body = json.dumps({**ORDER, "properties": {"p": "x" * 10_000_000}}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    assert door.post("/v1/track", content=body, headers=SERVER).status_code == 413
    answer = door.post("/v1/track", content=pieces(), headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "ingest.too_large")


def test_more_than_2500_items_are_413(fresh_shop: Shop, door: TestClient) -> None:
    small = b'{"type":"track","event":"E","userId":"u1"}'
    answer = door.post("/v1/batch", content=b'{"batch":[' + b",".join([small] * 2_501) + b"]}", headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "ingest.too_many")
    assert fresh_shop.log.last()[0] == 0
    answer = door.post("/v1/batch", content=b'{"batch":[' + b",".join([small] * 2_500) + b"]}", headers=SERVER)
    assert answer.json()["accepted"] == 2_500
