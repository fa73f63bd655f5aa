"""Lists by HTTP: in the log before the answer, addresses by their hash alone, from server keys."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from visitors import client_of

from mailwright.core.events import ListChanged

SERVER = {"Authorization": "Bearer sk_server"}


@pytest.fixture
def door(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def newest(shop: Shop, n: int = 1) -> list[Any]:
    """Bodies of the newest records."""
    last, _ = shop.log.last()
    return [record.body for record in shop.log.read(last - n, n)]


def test_a_change_is_in_the_log_with_the_hash_that_events_carry(fresh_shop: Shop, door: TestClient) -> None:
    door.post("/v1/identify", json={"userId": "fay", "traits": {"email": "fay@example.com"}}, headers=SERVER)
    known = [f"{each.kind}:{each.value}" for each in fresh_shop.events()[-1].identifiers]
    body = {"add": [" Fay@Example.COM ", "fay", {"phone": "+41 79 123 45 67"}], "remove": [{"user_id": "42"}, "null"]}
    answer = door.post("/v1/lists/guests", json=body, headers=SERVER)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 4
    assert [one["index"] for one in answer.json()["refused"]] == [1]
    added, removed = newest(fresh_shop, 2)
    assert set(known) < set(added.added)
    assert removed.removed == ["user_id:42"]
    assert "example.com" not in str(added)


def test_a_large_replacement_is_appended_in_one_piece(fresh_shop: Shop, door: TestClient) -> None:
    before, _ = fresh_shop.log.last()
    body = {"replace": [f"u{number}" for number in range(6_000)]}
    assert door.post("/v1/lists/guests", json=body, headers=SERVER).json()["accepted"] == 6_000
    after, _ = fresh_shop.log.last()
    records = newest(fresh_shop, after - before)
    assert [type(record) for record in records] == [ListChanged] * 3
    assert [record.replaced for record in records] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("guests", {"replace": ["a@b.example", "null"]}, "list.body"),
        ("guests", {"replace": [], "add": ["x"]}, "list.body"),
        ("guests", {"put": ["x"]}, "list.body"),
        ("guests", {"add": [{"email": "nobody"}]}, "list.entry"),
        ("sql:guests", {"add": ["x"]}, "list.name"),
    ],
)
def test_what_cannot_be_taken_changes_nothing(
    fresh_shop: Shop, door: TestClient, name: str, body: dict[str, Any], code: str
) -> None:
    before = fresh_shop.log.last()
    answer = door.post(f"/v1/lists/{name}", json=body, headers=SERVER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
    assert fresh_shop.log.last() == before


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer pk_browser"}, {"Authorization": "Bearer sk_no"}])
def test_only_a_server_key_changes_a_list(fresh_shop: Shop, door: TestClient, headers: dict[str, str]) -> None:
    before = fresh_shop.log.last()
    assert door.post("/v1/lists/guests", json={"add": ["x"]}, headers=headers).status_code == 401
    assert fresh_shop.log.last() == before


def test_a_list_that_nobody_told_of_is_not_there(door: TestClient) -> None:
    assert door.get("/v1/lists/gusts", headers=SERVER).status_code == 404
