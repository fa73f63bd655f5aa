"""Clients of the application, signed in or not."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient
from seeded_shop import Shop

from mailwright.web.app import create_app
from mailwright.web.sessions import new_login_link

OURS = {"Sec-Fetch-Site": "same-origin"}


def client_of(shop: Shop) -> TestClient:
    """A client that is not signed in and follows no redirect."""
    return TestClient(create_app(shop.context), follow_redirects=False)


def sign_in(client: TestClient, shop: Shop) -> str:
    """Sign the client in; returns the session's form token."""
    link = new_login_link(shop.records.users, shop.wall, shop.context.settings.base_url, "demo")
    answer = client.post(link, headers=OURS)
    assert answer.status_code == 303
    found = re.search(r'name="csrf" value="(\w+)"', client.get("/").text)
    assert found
    return found[1]
