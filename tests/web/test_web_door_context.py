"""What the door makes of an address and a program before it seals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop

from mailwright.core.places import Place
from mailwright.ingest.context.addresses import networks
from mailwright.ingest.context.resolve import ContextResolver
from mailwright.web.app import create_app

PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Mobile Safari/537.36"
)


class Towns:
    """One town per last number of an address."""

    version = 0

    def find(self, address: Any) -> Place:
        return Place(city=f"Town {str(address).rpartition('.')[2]}", country="AT", time_zone="Europe/Vienna")


def client_behind(shop: Shop, peer: str) -> TestClient:
    proxies = networks(["10.0.0.0/8"], "")
    settings = replace(shop.context.settings, trusted_proxies=proxies)
    context = replace(shop.context, settings=settings, resolve=ContextResolver(Towns()))
    return TestClient(create_app(context), client=(peer, 4711))


@pytest.mark.parametrize(
    ("peer", "town"), [("10.0.0.5", "Town 9"), ("192.0.2.7", "Town 7")], ids=["by a trusted proxy", "by anybody"]
)
def test_the_place_is_that_of_the_visitor(fresh_shop: Shop, peer: str, town: str) -> None:
    door = client_behind(fresh_shop, peer)
    call = {"anonymousId": "a-long-enough-id", "messageId": "m", "name": "Home", "context": {"locale": "de-AT"}}
    headers = {"Authorization": "Bearer pk_browser", "X-Forwarded-For": "203.0.113.9, 10.0.0.6", "User-Agent": PHONE}
    for path in ("/v1/page", "/v1/p"):
        assert door.post(path, json={**call, "messageId": path}, headers=headers).status_code == 200
    for event in fresh_shop.events():
        assert event.context["geo"]["city"] == town
        assert event.context["device"]["type"] == "mobile"
        assert (event.context["timezone"], event.context["language"]) == ("Europe/Vienna", "de")
        kept = fresh_shop.sealer.unseal(event.context["ip"])
        assert kept == peer.rpartition(".")[0] + ".0" or kept == "203.0.113.0"


def test_a_server_s_own_address_says_nothing_of_the_person(fresh_shop: Shop) -> None:
    door = client_behind(fresh_shop, "10.0.0.5")
    headers = {"Authorization": "Bearer sk_server", "X-Forwarded-For": "203.0.113.9", "User-Agent": PHONE}
    door.post("/v1/track", json={"event": "Paid", "userId": "u", "messageId": "1"}, headers=headers)
    told = {"ip": "198.51.100.3"}
    door.post("/v1/track", json={"event": "Paid", "userId": "u", "messageId": "2", "context": told}, headers=headers)
    plain, told_one = fresh_shop.events()
    assert not plain.context
    assert told_one.context["geo"]["city"] == "Town 3"
    assert "device" not in told_one.context
