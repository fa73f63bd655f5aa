"""The snippet as the door serves it: small, cacheable, for any origin; and the click that it brings back."""

from __future__ import annotations

import gzip
import html
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from snippet_shop import stub
from visitors import client_of

from mailwright.core.errors import Transient
from mailwright.core.events import Event, Identifier, Person
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.messages import MessageState
from mailwright.delivery.links import MailLinks
from mailwright.web.app import create_app
from mailwright.web.templating import BUNDLE, make_environment
from mailwright.web.tracking import VISIT_MICROS

MOST_BYTES = 3 * 1024
needs_bundle = pytest.mark.skipif(
    not (BUNDLE / "snippet.js").is_file(), reason="the browser bundle is not built: npm ci && node build.mjs"
)


@pytest.fixture
def visitor(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


@needs_bundle
def test_what_a_page_loads_first_is_small() -> None:
    plain = (BUNDLE / "snippet.js").read_bytes()
    assert len(gzip.compress(plain, 9)) < MOST_BYTES


@needs_bundle
def test_any_page_may_load_it_and_keep_it(visitor: TestClient) -> None:
    answer = visitor.get("/snippet.js", headers={"Origin": "https://shop.example"})
    headers = answer.headers
    assert answer.status_code == 200
    assert headers["content-type"].startswith("text/javascript")
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) < MOST_BYTES
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age=3600" in headers["cache-control"]
    assert headers["vary"] == "Accept-Encoding"
    again = visitor.get("/snippet.js", headers={"If-None-Match": f'W/{headers["etag"]}, "x"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", headers["etag"])
    plain = visitor.get("/snippet.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content == (BUNDLE / "snippet.js").read_bytes()
    assert zlib.crc32(plain.content) == zlib.crc32(answer.content)
    assert visitor.head("/snippet.js").content == b""


@needs_bundle
@pytest.mark.parametrize("part", ["shop", "banner", "analytics"])
def test_its_parts_are_served(visitor: TestClient, part: str) -> None:
    assert visitor.get(f"/snippet/{part}.js").status_code == 200


@pytest.mark.parametrize("part", ["nothing", "..%2Fcharts", "Shop", "shop.js%00"])
def test_there_are_no_other_parts(visitor: TestClient, part: str) -> None:
    assert visitor.get(f"/snippet/{part}.js").status_code == 404


def test_the_install_line_is_the_same_everywhere(fresh_shop: Shop) -> None:
    """In the guide, in the page's template and in the browser tests, which run it."""
    lines = stub("https://mail.my-shop.example").splitlines()[:2]
    guide = (Path(__file__).parents[2] / "docs/how-to/install-the-snippet.md").read_text(encoding="utf-8")
    page = (
        make_environment()
        .get_template("snippet_install.html")
        .render(door="https://mail.my-shop.example", key="pk_...")
    )
    for text in (guide, html.unescape(page)):
        assert "\n".join(lines) in text
        assert "}(window,document,'https://mail.my-shop.example',{key:'pk_...',consent:'required'});" in text
    assert "<script>\n" not in page  # shown, not run


# --- a click in a mail -----------------------------------------------------------------------------------------------

OWN = "https://shop.example/sale?x=%20y#top"


@pytest.fixture
def owner(fresh_shop: Shop) -> TestClient:
    """A client of a door that knows the shop's own domain."""
    settings = replace(fresh_shop.context.settings, shop_domains=("shop.example",))
    context = replace(fresh_shop.context, settings=settings)
    return TestClient(create_app(context), follow_redirects=False)


def _sent(shop: Shop) -> str:
    return shop.records.messages.page(before=None, limit=1, state=MessageState.SENT, person=Person(4))[0].id


def _click(shop: Shop, client: TestClient, url: str, **headers: str) -> str:
    link = shop.links.click(_sent(shop), 0, url).removeprefix("http://testserver")
    return client.get(link, headers=headers).headers["location"]


def _token(location: str) -> str:
    return location.partition("mw_click=")[2].partition("#")[0]


def _visit(client: TestClient, token: Any, **more: Any) -> None:
    event = {
        "type": "page",
        "messageId": f"visit-{len(str(more))}",
        "anonymousId": "browser-1",
        "context": {"mw_click": token, "locale": "en"},
        **more,
    }
    answer = client.post("/v1/batch", json={"writeKey": "pk_browser", "batch": [event]})
    assert answer.json() == {"accepted": 1, "refused": []}


def _joins(shop: Shop) -> list[Event]:
    return [event for event in shop.events() if event.name == "Email Visit Started"]


def test_only_the_shops_own_pages_are_told(fresh_shop: Shop, owner: TestClient) -> None:
    location = _click(fresh_shop, owner, OWN)
    assert location.startswith("https://shop.example/sale?x=%20y&mw_click=")
    assert location.endswith("#top")
    assert "?mw_click=" in _click(fresh_shop, owner, "https://www.SHOP.example/")
    for other in (
        "https://elsewhere.example/",
        "https://shop.example.evil.example/",
        "https://notshop.example/",
        "https://evil.example/?shop.example",
        "https://shop.example@evil.example/",
    ):
        assert _click(fresh_shop, owner, other) == other
    assert _click(fresh_shop, client_of(fresh_shop), OWN) == OWN  # no domain is set
    assert _click(fresh_shop, owner, OWN, **{"User-Agent": "Googlebot/2.1"}) == OWN


def test_a_visit_is_joined_by_one_event(fresh_shop: Shop, owner: TestClient) -> None:
    token = _token(_click(fresh_shop, owner, OWN))
    _visit(owner, token)
    (joined,) = _joins(fresh_shop)
    message = fresh_shop.records.messages.by_id(_sent(fresh_shop))
    assert message
    first = str((message.decision or {})["first_identifier"]).partition(":")
    assert joined.identifiers == [Identifier(first[0], first[2]), Identifier("anonymous_id", "browser-1")]
    assert joined.properties["message_id"] == message.id
    viewed = fresh_shop.events()[-1]
    assert (viewed.type, viewed.identifiers) == ("page", [Identifier("anonymous_id", "browser-1")])
    assert viewed.context["locale"] == "en"
    assert "mw_click" not in viewed.context
    _visit(owner, token, anonymousId="browser-2")  # sent again from elsewhere: the engine knows the message id
    assert len({event.message_id for event in _joins(fresh_shop)}) == 1
    other = _token(_click(fresh_shop, owner, OWN))
    _visit(owner, other)
    assert len({event.message_id for event in _joins(fresh_shop)}) == 2


def test_what_is_forged_or_late_joins_nobody(fresh_shop: Shop, owner: TestClient) -> None:
    token = _token(_click(fresh_shop, owner, OWN))
    link = fresh_shop.links.click(_sent(fresh_shop), 0, OWN).rpartition("/")[2]
    for wrong in (token[:-2], token + "A", link, "", 7, None, {"a": 1}, [token], "x" * 10_000):
        _visit(owner, wrong)
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + VISIT_MICROS)
    _visit(owner, token)
    assert _joins(fresh_shop) == []
    fresh_shop.wall.at = Instant(fresh_shop.wall.at - MINUTE)
    _visit(owner, token)
    assert len(_joins(fresh_shop)) == 1


def test_a_known_browser_is_joined_to_nobody(fresh_shop: Shop, owner: TestClient) -> None:
    token = _token(_click(fresh_shop, owner, OWN))
    _visit(owner, token, userId="somebody")
    people = fresh_shop.engine.people
    known = [*people[Person(5)].identifiers, Identifier("anonymous_id", "browser-5")]
    people[Person(5)] = msgspec.structs.replace(people[Person(5)], identifiers=known)
    _visit(owner, token, anonymousId="browser-5")  # left out its user id, but we know whose it is
    assert _joins(fresh_shop) == []
    people[Person(6)] = msgspec.structs.replace(
        people[Person(6)], identifiers=[Identifier("anonymous_id", "browser-6")]
    )
    _visit(owner, token, anonymousId="browser-6")
    assert len(_joins(fresh_shop)) == 1


def test_a_visit_is_taken_when_nobody_can_tell_whose_it_is(fresh_shop: Shop, owner: TestClient) -> None:
    token = _token(_click(fresh_shop, owner, OWN))
    fresh_shop.engine.down = Transient("engine.away", "the engine does not answer")
    _visit(owner, token)
    assert [event.type for event in fresh_shop.events()][-1] == "page"
    assert _joins(fresh_shop) == []


def test_a_batch_is_joined_once(fresh_shop: Shop, owner: TestClient) -> None:
    tokens = [_token(_click(fresh_shop, owner, OWN)) for _ in range(3)]
    batch = [
        {"type": "page", "messageId": f"b{n}", "anonymousId": "b", "context": {"mw_click": token}}
        for n, token in enumerate(tokens)
    ]
    assert owner.post("/v1/batch", json={"writeKey": "pk_browser", "batch": batch}).json()["accepted"] == 3
    assert len(_joins(fresh_shop)) == 1
    assert all("mw_click" not in event.context for event in fresh_shop.events())


def test_links_of_visits_carry_no_address(fresh_shop: Shop) -> None:
    links = MailLinks(fresh_shop.context.tokens, "http://testserver")
    visit = links.read_visit(links.visit("m1", "n1", Instant(10)), Instant(9))
    assert (visit.message_id, visit.nonce) == ("m1", "n1")


@needs_bundle
def test_the_script_of_forms_is_served_like_the_snippet(visitor: TestClient) -> None:
    plain = visitor.get("/forms.js", headers={"Accept-Encoding": "identity"})
    packed = visitor.get("/forms.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert visitor.get("/forms.js", headers={"If-None-Match": plain.headers["etag"]}).status_code == 304
