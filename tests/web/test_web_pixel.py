"""The pixel of pages and mails without scripts: always the same image, and an event where there is one to take."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from seeded_shop import Shop
from visitors import client_of

from mailwright.core.events import Event
from mailwright.web.app import create_app
from mailwright.web.pixel import pixel_body
from mailwright.web.tracking import PIXEL

KEY = "pk_browser"


@pytest.fixture
def visitor(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def _encoded(told: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _ask(visitor: TestClient, call: str = "track", referer: str = "", **query: Any) -> None:
    answer = visitor.get(f"/v1/pixel/{call}.gif?{urlencode(query)}", headers={"Referer": referer} if referer else None)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "no-store"


def _only(shop: Shop) -> Event:
    (event,) = shop.events()
    return event


def test_simple_parameters_tell_an_event(fresh_shop: Shop, visitor: TestClient) -> None:
    _ask(
        visitor,
        referer="https://shop.example/cart",
        writeKey=KEY,
        event="Cart Viewed",
        anonymousId="a1",
        messageId="m1",
        cart_id="007",
        value="59.90",
        quantity="x",
    )
    event = _only(fresh_shop)
    assert (event.message_id, event.source, event.type, event.name) == ("m1", "shop", "track", "Cart Viewed")
    assert [(each.kind, each.value) for each in event.identifiers] == [("anonymous_id", "a1")]
    assert event.properties == {"cart_id": "007", "value": 59.9, "quantity": "x"}
    assert event.context["page"] == {"url": "https://shop.example/cart"}


def test_data_tells_the_same_as_a_post_would(fresh_shop: Shop, visitor: TestClient) -> None:
    told = {
        "writeKey": KEY,
        "event": "Checkout Started",
        "anonymousId": "a2",
        "messageId": "m2",
        "properties": {"products": [{"product_id": "1"}]},
        "context": {"page": {"url": "https://shop.example/pay"}, "campaign": {"source": "x"}},
    }
    _ask(visitor, referer="https://shop.example/", data=_encoded(told))
    event = _only(fresh_shop)
    assert event.properties == {"products": [{"product_id": "1"}]}
    assert event.context["page"] == {"url": "https://shop.example/pay"}
    assert event.context["campaign"] == {"source": "x"}


def test_it_names_no_known_person_and_tells_no_traits(fresh_shop: Shop, visitor: TestClient) -> None:
    told = {
        "writeKey": KEY,
        "event": "E",
        "userId": "u1",
        "traits": {"email": "a@b.example"},
        "context": {"traits": {"email": "a@b.example"}, "externalIds": [{"type": "crm", "id": "1"}]},
    }
    _ask(visitor, data=_encoded(told))
    event = _only(fresh_shop)
    assert [each.kind for each in event.identifiers] == ["anonymous_id"]
    assert event.traits == {}
    assert "a@b.example" not in str(event)


@pytest.mark.parametrize("call", ["identify", "alias", "group", "batch", "import"])
def test_other_calls_have_no_pixel(fresh_shop: Shop, visitor: TestClient, call: str) -> None:
    assert visitor.get(f"/v1/pixel/{call}.gif?writeKey={KEY}&userId=u").status_code == 404
    assert fresh_shop.events() == []


def test_who_has_no_id_is_seen_once(fresh_shop: Shop, visitor: TestClient) -> None:
    _ask(visitor, call="page", writeKey=KEY, name="Cart")
    _ask(visitor, call="page", writeKey=KEY, name="Cart")
    one, other = fresh_shop.events()
    assert (one.type, one.name) == ("page", "Cart")
    assert one.identifiers != other.identifiers


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"writeKey": "pk_nobody", "event": "E"},
        {"writeKey": "sk_server", "event": "E"},  # a secret key has no place in an address
        {"writeKey": KEY},
        {"data": "%%%", "writeKey": KEY},
        {"data": _encoded([1]), "writeKey": KEY},
        {"data": base64.urlsafe_b64encode(b'{"event": NaN}').decode(), "writeKey": KEY},
        {"data": "A" * 40_000, "writeKey": KEY},
        {"data": base64.urlsafe_b64encode(b"[" * 5000).decode(), "writeKey": KEY},
        {"writeKey": KEY, "event": "E", "timestamp": "long ago"},
    ],
)
def test_what_cannot_be_taken_is_an_image_all_the_same(
    fresh_shop: Shop, visitor: TestClient, query: dict[str, str]
) -> None:
    _ask(visitor, **query)
    assert fresh_shop.events() == []


def test_an_address_sends_so_many_a_minute(fresh_shop: Shop) -> None:
    settings = replace(fresh_shop.context.settings, pixels_per_minute=3)
    visitor = TestClient(create_app(replace(fresh_shop.context, settings=settings)))
    for n in range(5):
        _ask(visitor, writeKey=KEY, event="E", messageId=str(n))
    assert [event.message_id for event in fresh_shop.events()] == ["0", "1", "2"]


def test_one_household_sends_no_more_by_all_of_its_ipv6_addresses(fresh_shop: Shop) -> None:
    settings = replace(fresh_shop.context.settings, pixels_per_minute=3)
    app = create_app(replace(fresh_shop.context, settings=settings))
    for n in range(5):
        _ask(TestClient(app, client=(f"2001:db8:1:2::{n + 1}", 443)), writeKey=KEY, event="E", messageId=str(n))
    _ask(TestClient(app, client=("2001:db8:1:3::1", 443)), writeKey=KEY, event="E", messageId="another")
    assert [event.message_id for event in fresh_shop.events()] == ["0", "1", "2", "another"]


@given(query=st.binary(max_size=200), referer=st.text(max_size=30))
def test_no_address_breaks_it(query: bytes, referer: str) -> None:
    told = pixel_body(query, referer)
    assert told is None or json.dumps(told)
