"""The vendors' clients, unmodified, over HTTP against a door process: everything arrives right, once."""

from __future__ import annotations

import datetime as clock
import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from door_process import RunningDoor, breaking_proxy, running_door, wait_until

from mailwright.core.events import Event
from mailwright.core.instants import HOUR, MINUTE
from mailwright.runtime.write_keys import create_client, create_key

NODE = Path(__file__).parents[1] / "clients" / "node"
CALLS = ("identify", "track", "page", "screen", "group", "alias")
CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "@segment" / "analytics-node").is_dir(),
    reason="no Node, or its packages are not installed: npm ci in tests/clients/node",
)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    with running_door(tmp_path_factory.mktemp("door")) as running:
        yield running


def test_nobody_on_this_machine_says_whose_a_request_is(door: RunningDoor) -> None:
    call = {"anonymousId": "a-long-enough-id", "name": "Home"}
    headers = {"Authorization": f"Bearer {door.browser_key}", "X-Forwarded-For": "203.0.113.9"}
    assert httpx.post(f"{door.base_url}/v1/page", json=call, headers=headers, timeout=30).status_code == 200
    event = door.wait_for("site", ["page"])["page"]
    assert door.there.sealer.unseal(event.context["ip"]).startswith("127.0.0.")


def key_for(door: RunningDoor, source: str, *, server: bool = True) -> str:
    return create_key(door.there.records.sources, source, server=server, now=door.there.wall.now())


def check_all(door: RunningDoor, found: dict[str, Event], user: str) -> None:
    """What every library says in `tell`, as it stands in the log."""
    for event in found.values():
        assert event.identifiers[0].value == user, event
        assert event.context["library"]["name"]
        assert abs(event.stamp_at - event.received_at) < 5 * MINUTE
    assert door.there.sealer.unseal(found["identify"].traits["email"]) == "ann@example.com"
    assert found["identify"].traits["plan"] == "pro"
    assert (found["track"].name, found["track"].properties["total"]) == ("Order Completed", 12.5)
    assert (found["page"].name, found["page"].properties["url"]) == ("Home", "https://shop.example/")
    assert (found["screen"].name, found["screen"].properties["width"]) == ("Start", 390)
    assert (found["group"].context["groupId"], found["group"].traits["seats"]) == ("acme", 3)
    assert found["alias"].identifiers[-1].kind == "previous_id"


def check_counted_once(door: RunningDoor, source: str, dropped: int) -> None:
    """The repetition is in the log, and the engine drops it beside the `dropped` that it had dropped before."""
    sent = door.events(source)
    assert len({event.message_id for event in sent}) == len(CALLS) < len(sent)
    repeated = len(sent) - len(CALLS)
    wait_until("the engine drops what came twice", lambda: door.status()["duplicates"] >= dropped + repeated)


def tell(client: Any, user: str, **options: Any) -> None:
    client.identify(user, {"email": "ann@example.com", "plan": "pro"}, **options)
    client.track(user, "Order Completed", {"order_id": "o-1", "total": 12.5, "products": []}, **options)
    if hasattr(client, "page"):
        client.page(user, "Shop", "Home", {"url": "https://shop.example/"}, **options)
    client.screen(user, "Shop", "Start", {"width": 390}, **options)
    client.group(user, "acme", {"seats": 3}, **options)
    client.alias(f"{user}-visitor", user, **options)
    client.flush()
    client.join()


class Wrong(clock.datetime):
    """A machine whose clock is five hours ahead."""

    @classmethod
    def now(cls, tz: clock.tzinfo | None = None) -> Wrong:
        return super().now(tz) + clock.timedelta(hours=5)

    @classmethod
    def utcnow(cls) -> Wrong:
        return super().utcnow() + clock.timedelta(hours=5)


@pytest.mark.parametrize("package", ["segment", "rudderstack"])
def test_python_libraries(door: RunningDoor, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip(f"{package}.analytics.client")
    for name in ("client", "request"):
        monkeypatch.setattr(f"{package}.analytics.{name}.datetime", Wrong, raising=False)
    source, user, failed = f"{package}-python", f"{package}-user", list[Any]()
    dropped = door.status()["duplicates"]
    with breaking_proxy(door.base_url) as (address, given):
        client = module.Client(
            key_for(door, source),
            host=address,
            gzip=True,
            max_retries=5,
            on_error=lambda error, _: failed.append(error),
        )
        tell(client, user)
        found = door.wait_for(source, CALLS)
    assert (failed, given[0], set(given[1:])) == ([], 500, {200})
    check_all(door, found, user)
    check_counted_once(door, source, dropped)


def test_segments_oauth_manager_signs_in(door: RunningDoor) -> None:
    """The library's own OAuth: an assertion signed with the client's key, then a bearer token in place of the key."""
    segment = pytest.importorskip("segment.analytics.client")
    manager = pytest.importorskip("segment.analytics.oauth_manager")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    sources, now = door.there.records.sources, door.there.wall.now()
    client_id = create_client(sources, "oauth-python", public_key=public, now=now).id
    failed: list[Any] = []
    client = segment.Client(
        "no-key",
        host=door.base_url,
        oauth_client_id=client_id,
        oauth_client_key=private,
        oauth_key_id="one",
        oauth_auth_server=f"{door.base_url}/oauth",
        on_error=lambda error, _: failed.append(error),
    )
    assert manager is not None
    tell(client, "oauth-user")
    check_all(door, door.wait_for("oauth-python", CALLS), "oauth-user")
    assert failed == []
    if client.oauth_manager.thread is not None:
        client.oauth_manager.thread.cancel()


@needs_node
def test_segments_node_library(door: RunningDoor) -> None:
    dropped = door.status()["duplicates"]
    with breaking_proxy(door.base_url) as (address, given):
        env = {"WRITE_KEY": key_for(door, "node"), "HOST": address, "SHIFT_MS": str(-3 * HOUR // 1000)}
        done = subprocess.run(
            [str(shutil.which("node")), "every_call.mjs"],
            cwd=NODE,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert (given[0], set(given[1:])) == (500, {200})
    check_all(door, door.wait_for("node", CALLS), "node-user")
    check_counted_once(door, "node", dropped)


# --- the browser's ---------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><meta charset="utf-8"><title>A shop</title>
<script src="/@segment/analytics-next/dist/umd/index.js"></script>
<script>
  const {{ AnalyticsBrowser }} = window.AnalyticsNext
  window.shop = AnalyticsBrowser.load({{ writeKey: '{key}', cdnURL: '{door}' }})
</script>"""

SAID = """async () => {
  const shop = window.shop
  await shop.identify('browser-user', { email: 'eve@example.com', plan: 'pro' })
  await shop.track('Order Completed', { order_id: 'o-1', total: 12.5, products: [] })
  await shop.page('Shop', 'Home', { url: 'https://shop.example/' })
  await shop.screen('Shop', 'Start', { width: 390 })
  await shop.group('acme', { seats: 3 })
  await shop.alias('browser-other')
}"""


@contextmanager
def shop_with_packages(page_text: str) -> Iterator[str]:
    """The address of a page, on an origin that serves the packages of npm beside it."""

    class Shop(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                return super().do_GET()
            body = page_text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Shop, directory=str(NODE / "node_modules"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.browser
@needs_node
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium")
def test_segments_browser_library(door: RunningDoor) -> None:
    from chromium import chromium

    page_text = PAGE.format(key=key_for(door, "browser", server=False), door=door.base_url)

    elsewhere: list[str] = []
    lost: list[str] = []
    with shop_with_packages(page_text) as url, chromium() as browser:
        page = browser.new_context().new_page()
        page.on("request", lambda asked: None if "127.0.0.1" in asked.url else elsewhere.append(asked.url))
        first = {"said": False}

        def once_500(route: Any) -> None:
            """The door takes the first track call, but its answer is lost on the way."""
            if first["said"]:
                return route.continue_()
            first["said"] = True
            answer = route.fetch()
            lost.append(answer.text())
            return route.fulfill(status=500, headers={"access-control-allow-origin": "*"}, body="")

        page.route("**/v1/t", once_500)
        page.goto(url)
        page.evaluate(SAID)

        def tracked_twice() -> bool:
            page.wait_for_timeout(100)  # the route above answers only while the browser is listened to
            return sum(one.type == "track" for one in door.events("browser")) > 1

        wait_until("the retry", tracked_twice)
        found = door.wait_for("browser", CALLS)
    assert elsewhere == []
    assert '"accepted":1' in lost[0]
    users = {found[name].identifiers[0].value for name in CALLS if name != "alias"}
    assert users == {"browser-user"}
    # A public key proves nothing: the address is kept, and identifies nobody.
    assert "email" not in found["identify"].traits
    assert "unverified_email" in found["identify"].traits
    assert {one.kind for one in found["identify"].identifiers} == {"user_id", "anonymous_id"}
    assert found["track"].properties["total"] == 12.5
    assert found["page"].properties["url"] == "https://shop.example/"
    assert found["screen"].name == "Start"
    assert found["group"].context["groupId"] == "acme"
    assert {one.kind for one in found["alias"].identifiers} <= {"user_id", "anonymous_id"}
    assert len({event.message_id for event in door.events("browser")}) == len(CALLS)
    assert all(event.context["userAgent"] for event in found.values())


# A shop that moves from Segment's library to a tag manager with the GA4 data layer, and its product page and cart.
LAYER = """
<script>
  window.dataLayer = []
  const item = { item_id: '42', item_name: 'Blue shoe', item_brand: 'Walk', item_category: 'Shoes', price: 59.9 }
  const ecommerce = { currency: 'EUR', value: 59.9, items: [{ ...item, quantity: 1 }] }
  dataLayer.push({ event: 'view_item', ecommerce }, { event: 'add_to_cart', ecommerce })
</script>
<script src="{door}/snippet.js" data-key="{key}" data-consent="implied" async></script>"""

SEGMENT_SAYS = """async () => {
  const product = { product_id: '42', name: 'Blue shoe', brand: 'Walk', category: 'Shoes', price: 59.9, quantity: 1 }
  await window.shop.track('Product Viewed', { ...product, currency: 'EUR', value: 59.9 })
  await window.shop.track('Product Added', { ...product, currency: 'EUR', value: 59.9 })
}"""


@pytest.mark.browser
@needs_node
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium")
def test_the_data_layer_and_segments_library_tell_one_shape(door: RunningDoor) -> None:
    from chromium import chromium

    names = ("Product Viewed", "Product Added")
    key = key_for(door, "shapes", server=False)

    def told(page_text: str, says: str = "") -> dict[str, Event]:
        before = {one.message_id for one in door.events("shapes")}

        def new() -> dict[str, Event]:
            return {e.name: e for e in door.events("shapes") if e.message_id not in before and e.name in names}

        with shop_with_packages(page_text) as url, chromium() as browser:
            page = browser.new_context().new_page()
            page.goto(url)
            if says:
                page.evaluate(says)
            wait_until("both events", lambda: page.wait_for_timeout(100) or len(new()) == len(names))
        return new()

    segments = told(PAGE.format(key=key, door=door.base_url), SEGMENT_SAYS)
    ours = told(LAYER.replace("{door}", door.base_url).replace("{key}", key))
    for name in names:
        assert ours[name].type == segments[name].type == "track"
        assert ours[name].properties == segments[name].properties
