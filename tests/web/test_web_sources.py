"""Sources: keys, OAuth, violations, quarantine, by API and by page."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fastapi.testclient import TestClient
from seeded_definitions import ShopProject
from seeded_shop import Shop
from visitors import OURS, client_of, sign_in

from mailwright.core.instants import HOUR, Instant
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.runtime import write_keys
from mailwright.runtime.collected import Collected
from mailwright.runtime.write_keys import Sources, create_client, create_key

SERVER = {"Authorization": "Bearer sk_server"}
ADDRESS = "ann@example.com"
PLAN = TrackingPlan(
    events={
        "Order Completed": EventPlan(
            schema={
                "properties": {"total": {"type": "number"}, "email": {"type": "string"}, "order_id": {}},
                "required": ["order_id"],
            },
            violation="quarantine",
        )
    }
)
BAD: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "messageId": "m-1",
    "timestamp": "2017-12-28T12:00:00Z",
    "properties": {"total": "12.50", "ordr": "o1", "email": ADDRESS},
}
PATCH = [
    {"op": "rename", "field": "properties.ordr", "to": "properties.order_id"},
    {"op": "cast", "field": "properties.total", "to": "number"},
]


@pytest.fixture
def planned(fresh_shop: Shop) -> Shop:
    """A shop whose plan holds bad orders back, and that counts."""
    project = ShopProject(tracking_plan=PLAN)
    collected = Collected(fresh_shop.records.sources, fresh_shop.context.clock, fresh_shop.log)
    fresh_shop.context = replace(fresh_shop.context, project=project, collected=collected)
    return fresh_shop


def send(door: TestClient, *items: dict[str, Any]) -> dict[str, Any]:
    answer = door.post("/v1/batch", json={"batch": list(items)}, headers=SERVER)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# --- quarantine ------------------------------------------------------------------------------------------------------


def test_a_held_event_is_told_kept_once_and_no_secret(planned: Shop) -> None:
    door = client_of(planned)
    for _ in range(2):
        told = send(door, BAD, {**BAD, "messageId": "m-2", "properties": {"order_id": "o2"}})
        assert (told["accepted"], told["refused"]) == (1, [])
        assert {(one["index"], one["field"]) for one in told["quarantined"]} == {
            (0, "properties.total"),
            (0, "properties.order_id"),
        }
    (item,) = door.get("/v1/quarantine", headers=SERVER).json()["items"]
    assert {one["field"] for one in item["reasons"]} == {"properties.total", "properties.order_id"}
    stored = planned.records.quarantine.get(item["id"])
    assert stored is not None
    assert ADDRESS not in stored.body
    assert "12.50" not in str(stored.reasons)


def test_mended_and_replayed_it_is_the_event_that_it_should_have_been(planned: Shop) -> None:
    door = client_of(planned)
    send(door, BAD)
    (item,) = door.get("/v1/quarantine", headers=SERVER).json()["items"]
    still = door.post("/v1/quarantine/replay", json={"ids": [item["id"]]}, headers=SERVER).json()
    assert (still["taken"], [one["id"] for one in still["still"]]) == ([], [item["id"]])
    mended = door.post("/v1/quarantine/mend", json={"event": "Order Completed", "patch": PATCH}, headers=SERVER)
    assert mended.json() == {"mended": 1}
    planned.context.clock.at = Instant(planned.context.clock.now() + HOUR)  # type: ignore[attr-defined]
    done = door.post("/v1/quarantine/replay", json={"field": "properties.total"}, headers=SERVER).json()
    assert done == {"taken": [item["id"]], "still": []}
    (event,) = planned.events()
    assert (event.message_id, event.source, event.name) == ("m-1", "till", "Order Completed")
    assert planned.context.clock.now() - event.received_at == HOUR
    assert {key: event.properties[key] for key in ("total", "order_id")} == {"total": 12.5, "order_id": "o1"}
    assert planned.sealer.unseal(event.properties["email"]) == ADDRESS
    assert door.get("/v1/quarantine", headers=SERVER).json() == {"held": 0, "items": []}


def test_it_can_be_edited_with_sealed_values_left_alone(planned: Shop) -> None:
    client = client_of(planned)
    csrf = sign_in(client, planned)
    send(client, BAD)
    number = planned.records.quarantine.find(_any(), 1)[0].id
    page = client.get(f"/sources/quarantine/{number}").text
    assert "(sealed)" in page
    assert ADDRESS not in page
    edited = {"event": "Order Completed", "properties": {"order_id": "o9", "total": 3, "email": "(sealed)"}}
    form = {"csrf": csrf, "edited": json.dumps(edited), "action": "replay"}
    answer = client.post(f"/sources/quarantine/{number}", data=form, headers=OURS)
    assert answer.status_code == 303, answer.text
    (event,) = planned.events()
    assert event.properties["order_id"] == "o9"
    assert planned.sealer.unseal(event.properties["email"]) == ADDRESS
    actions = {(note.who, note.action) for note in planned.records.sources.notes(9)}
    assert actions == {("demo", "edit"), ("demo", "replay")}


def test_what_is_discarded_is_gone_and_noted(planned: Shop) -> None:
    door = client_of(planned)
    send(door, BAD)
    assert door.post("/v1/quarantine/discard", json={"source": "till"}, headers=SERVER).json() == {"discarded": 1}
    assert planned.records.quarantine.count() == 0
    (note,) = planned.records.sources.notes(9)
    assert (note.who, note.action) == ("key of till", "discard")


def test_nothing_named_names_not_everything(planned: Shop) -> None:
    door = client_of(planned)
    send(door, BAD)
    for action in ("replay", "discard", "mend"):
        answer = door.post(f"/v1/quarantine/{action}", json={}, headers=SERVER)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "quarantine.chosen")
    assert planned.records.quarantine.count() == 1


def test_what_finds_no_room_is_refused_and_told(planned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    door = client_of(planned)
    send(door, BAD)
    monkeypatch.setattr("mailwright.runtime.quarantine.MOST_HELD", 1)
    good = {**BAD, "messageId": "m-2", "properties": {"order_id": "o2"}}
    told = send(door, {**BAD, "messageId": "m-3"}, good)
    assert (told["accepted"], "quarantined" in told) == (1, False)
    assert "held for mending already" in told["refused"][0]["reason"]


def test_a_public_key_cannot_fill_the_room_of_others(planned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwright.runtime.quarantine.MOST_OF_PUBLIC", 1)
    door, browser = client_of(planned), {"Authorization": "Bearer pk_browser"}
    first, second = ({"batch": [{**BAD, "messageId": f"b-{n}"}]} for n in (1, 2))
    assert "quarantined" in door.post("/v1/batch", json=first, headers=browser).json()
    refused = door.post("/v1/batch", json=second, headers=browser).json()["refused"]
    assert "held for mending already" in refused[0]["reason"]
    assert "quarantined" in send(door, {**BAD, "messageId": "m-2"}, {**BAD, "messageId": "m-3"})


def test_a_browser_key_sees_nothing_of_it(planned: Shop) -> None:
    door = client_of(planned)
    for path in ("/v1/quarantine", "/v1/sources", "/v1/sources/live", "/v1/violations", "/v1/keys"):
        assert door.get(path, headers={"Authorization": "Bearer pk_browser"}).status_code == 401


@pytest.mark.parametrize("patch", [[{"op": "melt", "field": "event"}], [{"op": "set", "field": "type"}], [1], "x"])
def test_a_patch_that_makes_no_sense_is_400(planned: Shop, patch: Any) -> None:
    answer = client_of(planned).post("/v1/quarantine/mend", json={"ids": [1], "patch": patch}, headers=SERVER)
    assert answer.status_code == 400


# --- counts ----------------------------------------------------------------------------------------------------------


def test_violations_are_counted_in_small_batches_and_shown_without_values(planned: Shop) -> None:
    door = client_of(planned)
    for number in range(3):
        send(door, {**BAD, "messageId": f"m-{number}"}, {**BAD, "messageId": f"x-{number}", "userId": "null"})
    assert door.get("/v1/violations", headers=SERVER).json() == {"violations": []}
    assert planned.context.collected is not None
    planned.context.collected.flush()
    told = door.get("/v1/violations", headers=SERVER).json()["violations"]
    assert {(one["field"], one["kind"], one["n"]) for one in told} == {
        ("properties.total", "type", 3),
        ("properties.order_id", "required", 3),
    }
    assert {one["example"] for one in told} == {'"99.99"', ""}
    (source,) = [one for one in door.get("/v1/sources", headers=SERVER).json()["sources"] if one["name"] == "till"]
    assert (source["held"], source["refused"], source["in_minute"]) == (3, 3, 6)
    live = door.get("/v1/sources/live", headers=SERVER).json()["items"]
    assert {one["outcome"] for one in live} == {"held", "refused"}
    assert "null" not in str(live)


def test_each_way_in_is_counted_by_source_and_kind(planned: Shop) -> None:
    door = client_of(planned)
    plan = TrackingPlan(events={"Paid": EventPlan(properties={"n": "number"}, violation="drop")})
    planned.context = replace(planned.context, project=ShopProject(tracking_plan=plan))
    door = client_of(planned)
    send(door, {"type": "track", "event": "Paid", "userId": "u1", "properties": {"n": "x"}}, {"type": "nothing"})
    consent = {"email": ADDRESS, "purpose": "news", "granted": True, "source": "till", "wording": "Yes."}
    for call, items in (
        ("consents", [consent, {**consent, "email": "no", "purpose": ""}]),
        ("suppressions", [{"email": ADDRESS, "reason": "bounce"}] * 2),
        ("items", [{"catalog": "none", "item_id": "1", "facts": {}}]),
    ):
        door.post(f"/v1/{call}", json={call: items}, headers=SERVER)
    door.post("/v1/lists/vip", json={"add": ["u1", "u2", "null"]}, headers=SERVER)
    assert planned.context.collected is not None
    planned.context.collected.flush()
    told = door.get("/v1/sources/counts", headers=SERVER).json()["counts"]
    columns = ("source", "kind", "received", "accepted", "refused", "held", "dropped_fields")
    assert [tuple(one[name] for name in columns) for one in told] == [
        ("till", "consents", 2, 1, 1, 0, 0),
        ("till", "events", 2, 1, 1, 0, 1),
        ("till", "items", 1, 0, 1, 0, 0),
        ("till", "list entries", 3, 2, 1, 0, 0),
        ("till", "suppressions", 2, 2, 0, 0, 0),
    ]
    assert ADDRESS not in str(door.get("/v1/sources/live", headers=SERVER).json())
    by_day = door.get("/v1/sources/counts", params={"by_day": "true", "source": "till"}, headers=SERVER).json()
    assert {one["day"] for one in by_day["counts"]} == {"2017-12-28"}
    sign_in(door, planned)
    page = door.get("/sources").text
    assert "What came in" in page
    assert "list entries" in page


def test_what_was_held_counts_as_what_became_of_it(planned: Shop) -> None:
    door = client_of(planned)
    for _ in range(2):  # a client that tries again holds back nothing more
        send(door, *({**BAD, "messageId": f"m-{number}"} for number in range(3)))
    assert planned.context.collected is not None
    planned.context.collected.flush()
    first, second, _ = (one["id"] for one in door.get("/v1/quarantine", headers=SERVER).json()["items"])
    planned.context.clock.at = Instant(planned.context.clock.now() + 24 * HOUR)  # type: ignore[attr-defined]
    door.post("/v1/quarantine/mend", json={"ids": [first], "patch": PATCH}, headers=SERVER)
    door.post("/v1/quarantine/replay", json={"ids": [first, second]}, headers=SERVER)
    door.post("/v1/quarantine/discard", json={"ids": [second]}, headers=SERVER)
    (told,) = door.get("/v1/sources/counts", params={"by_day": "true"}, headers=SERVER).json()["counts"]
    assert (told["received"], told["accepted"], told["refused"], told["held"]) == (3, 1, 1, 1)
    (source,) = [one for one in door.get("/v1/sources", headers=SERVER).json()["sources"] if one["name"] == "till"]
    assert (source["accepted"], source["refused"], source["held"]) == (1, 1, 1)


def test_a_source_tells_the_log_of_violations_once_a_minute(planned: Shop) -> None:
    collected = Collected(planned.records.sources, planned.context.clock, planned.log, tells=lambda: True)
    planned.context = replace(planned.context, collected=collected)
    door = client_of(planned)
    for number in range(3):
        send(door, {**BAD, "messageId": f"m-{number}"})
        collected.flush()
    told = [event for event in planned.events() if event.name == "Violation Generated"]
    assert [event.properties["violations"] for event in told] == [2]
    assert told[0].source == "mailwright"


# --- keys ------------------------------------------------------------------------------------------------------------


def with_keys(shop: Shop) -> Shop:
    """The shop with real keys, looked up in Records."""
    sources = Sources(shop.records.sources, shop.context.tokens, shop.wall)
    shop.context = replace(shop.context, sources=sources)
    return shop


def test_a_key_is_made_used_and_revoked(fresh_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, now = with_keys(fresh_shop), write_keys.time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)  # however long it takes until the key is used again
    first = create_key(shop.records.sources, "till", server=True, now=shop.wall.now())
    client = client_of(shop)
    csrf = sign_in(client, shop)
    page = client.post("/sources/keys", data={"csrf": csrf, "name": "app", "kind": "server"}, headers=OURS).text
    key = page.split("sk_")[1].split("<")[0]
    bearer = {"Authorization": f"Bearer sk_{key}"}
    door = client_of(shop)
    call = {"event": "Seen", "userId": "u1"}
    assert door.post("/v1/track", json=call, headers=bearer).status_code == 200
    assert [one["name"] for one in door.get("/v1/keys", headers=bearer).json()["keys"]] == ["app", "till"]
    key_id = door.get("/v1/keys", headers=bearer).json()["keys"][0]["id"]
    assert door.delete(f"/v1/keys/{key_id}", headers={"Authorization": f"Bearer {first}"}).json()["name"] == "app"
    assert door.post("/v1/track", json=call, headers=bearer).status_code == 200  # still remembered
    monkeypatch.setattr("time.monotonic", lambda: now + write_keys.REVOKED_WITHIN_S)
    assert door.post("/v1/track", json=call, headers=bearer).status_code == 401
    assert door.get("/v1/keys", headers=bearer).status_code == 401


def test_who_made_a_key_is_noted(fresh_shop: Shop) -> None:
    shop = with_keys(fresh_shop)
    first = create_key(shop.records.sources, "till", server=True, now=shop.wall.now())
    made = {"name": "app", "kind": "oauth"}
    assert client_of(shop).post("/v1/keys", json=made, headers={"Authorization": f"Bearer {first}"}).status_code == 201
    (key,) = [one for one in shop.records.sources.all_keys() if one.name == "app"]
    (note,) = shop.records.sources.notes(10)
    assert (note.who, note.action, note.detail) == ("key of till", "make key", f"app {key.id}")


def test_a_form_of_another_session_makes_no_key(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    answer = client.post("/sources/keys", data={"csrf": "x", "name": "app"}, headers=OURS)
    assert answer.status_code == 403
    assert fresh_shop.records.sources.all_keys() == []


def _any() -> Any:
    from mailwright.core.sources import QuarantineFilter

    return QuarantineFilter()


# --- OAuth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["basic", "body"])
def test_a_client_with_a_secret_gets_a_token_that_is_a_key_for_an_hour(fresh_shop: Shop, how: str) -> None:
    shop = with_keys(fresh_shop)
    client = create_client(shop.records.sources, "erp", now=shop.wall.now())
    door = client_of(shop)
    form = {"grant_type": "client_credentials"}
    headers = {}
    if how == "basic":
        headers["Authorization"] = "Basic " + base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
    else:
        form |= {"client_id": client.id, "client_secret": client.secret}
    answer = door.post("/oauth/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["cache-control"] == "no-store"
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert door.post("/v1/track", json={"event": "Seen", "userId": "u1"}, headers=bearer).status_code == 200
    assert shop.events()[-1].source == "erp"
    assert door.get("/v1/keys", headers=bearer).status_code == 200
    assert "key.token" in door.post("/v1/keys", json={"name": "mine"}, headers=bearer).text
    (own,) = shop.records.sources.all_keys()
    assert door.delete(f"/v1/keys/{own.id}", headers=bearer).status_code == 403
    assert shop.records.sources.all_keys() == [own]
    shop.wall.at = Instant(shop.wall.now() + HOUR)
    assert client_of(with_keys(shop)).get("/v1/keys", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "client_x"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion": "x"}, 400, "invalid_request"),
    ],
)
def test_others_get_none(fresh_shop: Shop, change: dict[str, str], status: int, error: str) -> None:
    client = create_client(fresh_shop.records.sources, "erp", now=fresh_shop.wall.now())
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret} | change
    answer = client_of(fresh_shop).post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_revoked_client_gets_no_token_and_its_tokens_end(fresh_shop: Shop) -> None:
    shop = with_keys(fresh_shop)
    client = create_client(shop.records.sources, "erp", now=shop.wall.now())
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret}
    bearer = {"Authorization": "Bearer " + client_of(shop).post("/oauth/token", data=form).json()["access_token"]}
    (key,) = shop.records.sources.all_keys()
    shop.records.sources.revoke_key(key.digest, shop.wall.now())
    assert client_of(shop).post("/oauth/token", data=form).status_code == 401
    assert client_of(with_keys(shop)).get("/v1/keys", headers=bearer).status_code == 401


SIGNING = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("change", "signed_by", "algorithm", "status"),
    [
        ({}, SIGNING, "RS256", 200),
        ({"aud": "http://testserver/oauth/token"}, SIGNING, "RS256", 200),
        ({}, OTHER, "RS256", 401),
        ({}, SIGNING, "RS512", 401),
        ({"aud": "https://elsewhere.example"}, SIGNING, "RS256", 401),
        ({"exp": -120}, SIGNING, "RS256", 400),
        ({"iat": 120}, SIGNING, "RS256", 400),
        ({"exp": 7200}, SIGNING, "RS256", 401),
        ({"sub": "client_x"}, SIGNING, "RS256", 401),
    ],
)
def test_a_client_with_a_key_of_its_own_signs_assertions(
    fresh_shop: Shop, change: dict[str, Any], signed_by: rsa.RSAPrivateKey, algorithm: str, status: int
) -> None:
    shop = with_keys(fresh_shop)
    client = create_client(shop.records.sources, "erp", public_key=pem(SIGNING)[1], now=shop.wall.now())
    assert client.secret == ""
    now = shop.wall.now() // 1_000_000
    claims = {"iss": client.id, "sub": client.id, "aud": "http://testserver/oauth", "iat": -5, "exp": 55} | change
    claims |= {"iat": now + claims["iat"], "exp": now + claims["exp"]}
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(claims, pem(signed_by)[0], algorithm=algorithm),
    }
    answer = client_of(shop).post("/oauth/token", data=form)
    assert answer.status_code == status, answer.text
    if status == 400:  # by these words Segment's libraries mend their clock
        assert answer.json()["error"] == "invalid_request"
        assert answer.json()["error_description"] in ("Token is expired", "Token used before issued")
    guessed = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": ""}
    assert client_of(shop).post("/oauth/token", data=guessed).status_code == 401


@pytest.mark.parametrize("jti", ["one", ""])
def test_an_assertion_is_good_for_one_token(fresh_shop: Shop, jti: str) -> None:
    shop = with_keys(fresh_shop)
    client = create_client(shop.records.sources, "erp", public_key=pem(SIGNING)[1], now=shop.wall.now())

    def ask(**change: Any) -> tuple[int, str]:
        now = shop.wall.now() // 1_000_000
        claims = {"iss": client.id, "sub": client.id, "aud": "http://testserver/oauth", "iat": now, "exp": now + 55}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims | ({"jti": jti} if jti else {}) | change, pem(SIGNING)[0], "RS256"),
        }
        answer = client_of(shop).post("/oauth/token", data=form)
        return answer.status_code, answer.json().get("error", "")

    assert ask() == (200, "")
    assert ask() == (401, "invalid_client")
    assert ask(jti="two") == (200, "")
    assert ask(jti="three", iat=1) == (401, "invalid_client"), "signed to be good for years"
    shop.wall.at = Instant(shop.wall.at + HOUR)
    assert ask() == (200, ""), "what is good no more need not be remembered"
    assert ask() == (401, "invalid_client")


# --- pages -----------------------------------------------------------------------------------------------------------


def test_the_pages_show_sources_and_what_is_held(planned: Shop) -> None:
    client = client_of(planned)
    sign_in(client, planned)
    send(client, BAD)
    assert planned.context.collected is not None
    planned.context.collected.flush()
    page = client.get("/sources").text
    for word in ("till", "properties.total", "it is no number", "held", "Quarantine"):
        assert word in page
    assert ADDRESS not in page
    assert "Order Completed" in client.get("/sources/live").text
    listed = client.get("/sources/quarantine", params={"event": "Order Completed"}).text
    assert "Mend and replay" in listed
    assert client.get("/sources/quarantine/999").status_code == 404


def test_all_that_fit_are_mended_and_replayed_at_once(planned: Shop) -> None:
    client = client_of(planned)
    csrf = sign_in(client, planned)
    send(client, *({**BAD, "messageId": f"m-{number}"} for number in range(3)))
    form = {"csrf": csrf, "action": "replay", "event": "Order Completed", "patch": json.dumps(PATCH)}
    assert client.post("/sources/quarantine/all", data=form, headers=OURS).status_code == 303
    assert [event.message_id for event in planned.events()] == ["m-2", "m-1", "m-0"]
    assert planned.records.quarantine.count() == 0
