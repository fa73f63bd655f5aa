from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from seeded_shop import Shop, make_shop
from visitors import OURS, client_of, sign_in

from mailwright.core.instants import HOUR, MINUTE, Instant
from mailwright.ingest.context.addresses import networks
from mailwright.web.app import create_app
from mailwright.web.sessions import LINK_MICROS, cookie_name, new_login_link, token_hash

OPEN_TO_ALL = {
    "/healthz",
    "/login",
    "/login/{token}",
    "/o/{token}.gif",
    "/c/{token}",
    "/u/{token}",
    "/preview/{token}",
    # For visitors of a shop's pages, and for whoever reads a mail: signed links, forms, the snippet, the pixel.
    "/a/{token}",
    "/k/{token}",
    "/p/{token}",
    "/f/{name}",
    "/forms.js",
    "/v1/forms/{name}",
    "/v1/forms/{name}/check",
    "/v1/forms/{name}/event",
    "/snippet.js",
    "/snippet/{part}.js",
    "/v1/pixel/page.gif",
    "/v1/pixel/screen.gif",
    "/v1/pixel/track.gif",
    # For programs that show who they are in a way of their own, or ask what is no secret.
    "/oauth/token",
    "/w/{name}",
    "/v1/m",
    "/v1/openapi.json",
    "/v1/projects/{key}/settings",
}
"""Everything else needs a session, or a key under /v1. A new route must be put on one side by whoever writes it."""

NOTHING_YET = {
    "/v1/segments/previews/{preview_id}",
    "/segments/{name}/why/{number}",
    "/v1/lists/{name}",
    "/v1/forms/{name}/counts",
    "/forms/{name}",
    "/accounts/{group:path}",
    "/v1/accounts/{group:path}",
    "/sources/quarantine/{number}",
    "/v1/quarantine/{number}",
}
"""Nobody has asked for a preview, the shop has no lists, no such form or account and nothing held, and its History no
evaluation to explain."""


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(method, path) of every route that is not open, read from the router."""
    made = make_shop(tmp_path_factory.mktemp("routes"), n_people=2)
    routes = [one for one in iter_route_contexts(create_app(made.context).routes) if one.path != "/static"]
    made.records.close()
    found = [
        (method, one.path) for one in routes for method in sorted(one.methods or ()) if one.path not in OPEN_TO_ALL
    ]
    assert {path for _, path in found} >= {"/", "/people/{number}", "/mails/{message_id}", "/logout", "/v1/track"}
    return [(method, path) for method, path in found if method not in ("HEAD", "OPTIONS")]


def _filled(path: str, shop: Shop) -> str:
    values = {
        "number": "1",
        "name": "everyone",
        "message_id": shop.message_ids[0],
        "who:path": "user_id:household-1",
    }
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def test_every_route_needs_somebody(shop: Shop, stranger: TestClient, protected: list[tuple[str, str]]) -> None:
    for method, path in protected:
        answer = stranger.request(method, _filled(path, shop), headers=OURS)
        expected = (401,) if path.startswith("/v1/") else (303,)
        assert answer.status_code in expected, (method, path, answer.status_code)
        assert "household" not in answer.text
        if answer.status_code == 303:
            assert answer.headers["location"] == "/login"


def test_every_page_opens_for_somebody_signed_in(
    shop: Shop, marketer: TestClient, protected: list[tuple[str, str]]
) -> None:
    for method, path in protected:
        if method == "GET":
            answer = marketer.get(_filled(path, shop))
            expected = 404 if path in NOTHING_YET else 400 if path == "/v1/people" else 200  # which asks for a trait
            assert answer.status_code == expected, (path, answer.text[:300])


def test_a_server_key_reads_the_api_and_a_browser_key_does_not(shop: Shop, stranger: TestClient) -> None:
    assert stranger.get("/v1/status", headers={"Authorization": "Bearer sk_server"}).status_code == 200
    assert stranger.get("/v1/status", headers={"Authorization": "Bearer pk_browser"}).status_code == 401
    assert stranger.get("/people", headers={"Authorization": "Bearer sk_server"}).status_code == 303


# --- links and sessions ----------------------------------------------------------------------------------------------


@pytest.fixture
def client(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


def _link(shop: Shop) -> str:
    return new_login_link(shop.records.users, shop.wall, "", "ann")


def test_looking_at_a_link_does_not_use_it_up(fresh_shop: Shop, client: TestClient) -> None:
    link = _link(fresh_shop)
    for _ in range(3):
        assert client.get(link).status_code == 200
        assert client.head(link).status_code in (200, 405)
    assert client.post(link, headers=OURS).status_code == 303
    assert client.get("/").status_code == 200


def test_a_link_works_once(fresh_shop: Shop, client: TestClient) -> None:
    link = _link(fresh_shop)
    assert client.post(link, headers=OURS).status_code == 303
    again = client_of(fresh_shop).post(link, headers=OURS)
    assert again.status_code == 403
    assert "set-cookie" not in again.headers


def test_a_link_expires(fresh_shop: Shop, client: TestClient) -> None:
    link = _link(fresh_shop)
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + LINK_MICROS)
    assert client.post(link, headers=OURS).status_code == 403


def test_tries_are_counted_for_all_ipv6_addresses_of_one_household(fresh_shop: Shop) -> None:
    app, most = create_app(fresh_shop.context), fresh_shop.context.settings.login_tries_per_minute
    tried = [TestClient(app, client=(f"2001:db8::{n:x}", 443)).get("/login/nothing") for n in range(1, most + 2)]
    assert [answer.status_code for answer in tried[-2:]] == [200, 429]
    assert TestClient(app, client=("2001:db8:0:1::1", 443)).get("/login/nothing").status_code == 200


def test_a_session_expires(fresh_shop: Shop, client: TestClient) -> None:
    sign_in(client, fresh_shop)
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + fresh_shop.context.settings.session_micros)
    assert client.get("/").status_code == 303


def test_logout_ends_the_session_itself_not_only_the_cookie(fresh_shop: Shop, client: TestClient) -> None:
    csrf = sign_in(client, fresh_shop)
    stolen = client.cookies.get("mailwright")
    assert client.post("/logout", data={"csrf": csrf}, headers=OURS).status_code == 303
    thief = client_of(fresh_shop)
    thief.cookies.set("mailwright", stolen or "")
    assert thief.get("/").status_code == 303


def test_tokens_lie_hashed(fresh_shop: Shop, client: TestClient) -> None:
    sign_in(client, fresh_shop)
    token = client.cookies.get("mailwright") or ""
    users = fresh_shop.records.users
    assert users.session_user(token, fresh_shop.wall.now()) is None
    assert users.session_user(token_hash(token), fresh_shop.wall.now()) == "demo"
    assert len(token) >= 43  # 256 bits


@pytest.mark.parametrize(("base_url", "secure"), [("http://testserver", False), ("https://mail.shop.example", True)])
def test_cookie_attributes(fresh_shop: Shop, base_url: str, secure: bool) -> None:
    shop = fresh_shop
    values = {name: getattr(shop.context.settings, name) for name in shop.context.settings.__dataclass_fields__}
    settings = type(shop.context.settings)(**{**values, "base_url": base_url})
    whole = {name: getattr(shop.context, name) for name in shop.context.__dataclass_fields__}
    shop.context = type(shop.context)(**{**whole, "settings": settings})
    answer = client_of(shop).post(_link(shop), headers=OURS)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(cookie_name(shop.context) + "=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert ("Secure" in cookie, cookie.startswith("__Host-")) == (secure, secure)
    assert ("strict-transport-security" in answer.headers) is secure


def test_guessing_links_is_slowed_down(fresh_shop: Shop, client: TestClient) -> None:
    limit = fresh_shop.context.settings.login_tries_per_minute
    codes = [client.post(f"/login/guess-{n}", headers=OURS).status_code for n in range(limit + 3)]
    assert codes == [403] * limit + [429] * 3
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + MINUTE)
    assert client.post(_link(fresh_shop), headers=OURS).status_code == 303


def test_who_guesses_behind_a_trusted_proxy_slows_down_nobody_else(fresh_shop: Shop) -> None:
    settings = replace(fresh_shop.context.settings, trusted_proxies=networks(["10.0.0.0/8"], ""))
    app = create_app(replace(fresh_shop.context, settings=settings))
    proxy, stranger = TestClient(app, client=("10.0.0.5", 1)), TestClient(app, client=("192.0.2.7", 1))

    def code(through: TestClient, whose: str) -> int:
        return through.post("/login/guess", headers={**OURS, "X-Forwarded-For": whose}).status_code

    for n in range(settings.login_tries_per_minute):
        assert {code(proxy, "203.0.113.9"), code(stranger, f"203.0.113.{n}")} == {403}
    assert code(proxy, "203.0.113.9") == code(stranger, "203.0.113.77") == 429
    assert code(proxy, "203.0.113.10") == 403


# --- requests that another site makes a browser send -----------------------------------------------------------------

FOREIGN = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Origin": "http://testserver.evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_unsafe_requests_are_refused(fresh_shop: Shop, client: TestClient, headers: dict[str, str]) -> None:
    csrf = sign_in(client, fresh_shop)
    link = _link(fresh_shop)
    for path in ("/logout", link, "/", "/people"):
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
            answer = client.post(path, content=f"csrf={csrf}", headers={**headers, "Content-Type": kind})
            assert answer.status_code == 403, (path, kind, headers)
    assert client.get("/").status_code == 200
    assert client.post(link, headers=OURS).status_code == 303


def test_our_own_forms_pass_by_origin_alone(fresh_shop: Shop, client: TestClient) -> None:
    csrf = sign_in(client, fresh_shop)
    answer = client.post("/logout", data={"csrf": csrf}, headers={"Origin": "http://testserver"})
    assert answer.status_code == 303


@pytest.mark.parametrize("told", ["", "0" * 32])
def test_a_form_needs_its_sessions_token(fresh_shop: Shop, client: TestClient, told: str) -> None:
    sign_in(client, fresh_shop)
    assert client.post("/logout", data={"csrf": told}, headers=OURS).status_code == 403
    assert client.get("/").status_code == 200


def test_no_page_changes_anything_when_it_is_looked_at(
    fresh_shop: Shop, client: TestClient, protected: list[tuple[str, str]]
) -> None:
    sign_in(client, fresh_shop)
    before = (fresh_shop.log.last(), fresh_shop.records.outbox.pending_count())
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + HOUR)
    for method, path in protected:
        if method == "GET":
            client.get(_filled(path, fresh_shop))
    assert (fresh_shop.log.last(), fresh_shop.records.outbox.pending_count()) == before
