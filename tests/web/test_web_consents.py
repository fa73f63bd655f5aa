"""Consents and suppressions by HTTP: durable before the answer, binding at once, from server keys alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import NOW, Shop
from visitors import client_of

from mailwright.core.errors import Transient
from mailwright.core.events import ConsentChanged
from mailwright.core.ports import Consent

SERVER = {"Authorization": "Bearer sk_server"}
BROWSER = {"Authorization": "Bearer pk_browser"}
WORDING = "Yes, send me offers by e-mail."
GRANT = {"email": "Fay@Example.COM", "purpose": "marketing", "granted": True, "source": "form", "wording": WORDING}
BOUNCE = {"email": "Fay@Example.COM", "reason": "bounce"}
CALLS = [("consents", GRANT), ("suppressions", BOUNCE)]


@pytest.fixture
def door(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def address_of(shop: Shop, door: TestClient, email: str = "fay@example.com") -> str:
    """The hash that the gate asks for: the one beside the sealed e-mail of a person whom the door came to know."""
    door.post("/v1/identify", json={"userId": email, "traits": {"email": email}}, headers=SERVER)
    found: str = shop.events()[-1].traits["email"]["hash"]
    return found


def test_a_consent_by_http_lets_mail_pass_the_gate_and_a_withdrawal_bars_it(fresh_shop: Shop, door: TestClient) -> None:
    address, consents = address_of(fresh_shop, door), fresh_shop.records.consents
    assert consents.granted([address], "marketing") == set()
    answer = door.post("/v1/consents", json={"consents": [GRANT]}, headers=SERVER)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "refused": []})
    assert consents.granted([address], "marketing") == {address}
    assert consents.granted([address], "surveys") == set()
    door.post("/v1/consents", json={"consents": [{**GRANT, "granted": False}]}, headers=SERVER)
    assert consents.granted([address], "marketing") == set()
    assert consents.ledger(address) == [
        Consent(address_hash=address, purpose="marketing", granted=granted, at=NOW, source="form", wording=WORDING)
        for granted in (True, False)
    ]


def test_a_consent_is_told_to_the_log(fresh_shop: Shop, door: TestClient) -> None:
    address, outbox = address_of(fresh_shop, door), fresh_shop.records.outbox
    before = outbox.pending_count()
    door.post("/v1/consents", json={"consents": [GRANT]}, headers=SERVER)
    told = [body for _, body in outbox.pending(100_000)][before:]
    assert told == [ConsentChanged(address, "marketing", True, "form", WORDING, NOW)]


def test_a_suppressed_address_stays_so_with_its_first_reason(fresh_shop: Shop, door: TestClient) -> None:
    address = address_of(fresh_shop, door)
    for reason in ("complaint", "bounce"):
        body = {"suppressions": [{**BOUNCE, "reason": reason}]}
        answer = door.post("/v1/suppressions", json=body, headers=SERVER)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "refused": []})
    assert fresh_shop.records.consents.suppressed([address]) == {address: "complaint"}


@pytest.mark.parametrize(("call", "good"), CALLS)
def test_good_ones_are_taken_and_bad_ones_told(
    fresh_shop: Shop, door: TestClient, call: str, good: dict[str, Any]
) -> None:
    answer = door.post(f"/v1/{call}", json={call: [{**good, "email": "fay"}, good]}, headers=SERVER)
    refused = [{"index": 0, "field": "email", "reason": "is no e-mail address"}]
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "refused": refused})


def rows_of(shop: Shop, door: TestClient) -> int:
    """What is kept about the address."""
    address = address_of(shop, door)
    return len(shop.records.consents.ledger(address)) + len(shop.records.consents.suppressed([address]))


@pytest.mark.parametrize(("call", "good"), CALLS)
def test_with_nothing_good_it_is_400(fresh_shop: Shop, door: TestClient, call: str, good: dict[str, Any]) -> None:
    answer = door.post(f"/v1/{call}", json={call: [{**good, "email": ""}, {**good, "x": 1}]}, headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ingest.refused")
    assert answer.json()["accepted"] == 0
    for body in (b"", b"[]", b'{"batch": []}'):
        answer = door.post(f"/v1/{call}", content=body, headers=SERVER)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ingest.json")
    assert rows_of(fresh_shop, door) == 0


@pytest.mark.parametrize(("call", "good"), CALLS)
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "key.missing"),
        ({"Authorization": "Bearer sk_other"}, 401, "key.unknown"),
        ({"Authorization": "Bearer "}, 401, "key.missing"),
        (BROWSER, 403, "key.server"),
    ],
)
def test_only_a_server_key_may_tell(
    fresh_shop: Shop,
    door: TestClient,
    call: str,
    good: dict[str, Any],
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = door.post(f"/v1/{call}", json={call: [good]}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert rows_of(fresh_shop, door) == 0


def test_a_key_in_the_body_is_looked_at_too(fresh_shop: Shop, door: TestClient) -> None:
    refused = door.post("/v1/consents", json={"consents": [GRANT], "writeKey": "pk_browser"})
    assert refused.status_code == 403
    assert door.post("/v1/consents", json={"consents": [GRANT], "writeKey": "sk_server"}).status_code == 200


@pytest.mark.parametrize("call", ["consents", "suppressions"])
def test_too_much_is_413(fresh_shop: Shop, door: TestClient, call: str) -> None:
    limits = fresh_shop.context.settings.limits
    long = door.post(f"/v1/{call}", content=bytes(limits.request_bytes + 1), headers=SERVER)
    many = door.post(f"/v1/{call}", json={call: [1] * (limits.request_items + 1)}, headers=SERVER)
    assert [(one.status_code, one.json()["error"]["code"]) for one in (long, many)] == [
        (413, "ingest.too_large"),
        (413, "ingest.too_many"),
    ]


class FullConsents:
    """Records on a full disk."""

    def record(self, consents: Sequence[Consent]) -> None:
        raise Transient("records.disk_full", "no space left")

    def suppress(self, reasons: Mapping[str, str], at: int) -> None:
        raise Transient("records.disk_full", "no space left")


@pytest.mark.parametrize(("call", "good"), CALLS)
def test_a_full_disk_is_503_with_a_time_to_come_back(fresh_shop: Shop, call: str, good: dict[str, Any]) -> None:
    fresh_shop.context = replace(fresh_shop.context, records=SimpleNamespace(consents=FullConsents()))
    answer = client_of(fresh_shop).post(f"/v1/{call}", json={call: [good]}, headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "records.disk_full")
    assert int(answer.headers["retry-after"]) > 0
