"""The snippet on a shop's pages in a real Chromium, with a real door and engine on another origin."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from live_shop import Live, live_shop, wait_for
from serving import free_socket, served
from snippet_shop import INSTALLS, Heard, ShopPages, anonymous_ids, by_hand, by_tag, data_layer

from mailwright.core.commits import TickCommit
from mailwright.core.events import PLACES, Offset, Person
from mailwright.core.instants import HOUR, Instant
from mailwright.core.messages import MessageState, SendRequest
from mailwright.core.ports import Refusal
from mailwright.delivery.links import MailLinks
from mailwright.web.context import WebContext
from mailwright.web.templating import BUNDLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium"),
    pytest.mark.skipif(
        not (BUNDLE / "snippet.js").is_file(), reason="the browser bundle is not built: npm ci && node build.mjs"
    ),
]

SHOE = {"product_id": "42", "name": "Blue shoe", "price": 59.9, "currency": "EUR", "category": "Shoes"}
LD_JSON = {
    "@context": "https://schema.org",
    "@type": "Product",
    "productID": "42",
    "sku": "S-42",
    "name": "Blue shoe",
    "brand": {"@type": "Brand", "name": "Walk"},
    "category": "Shoes",
    "offers": {"@type": "Offer", "price": "59.90", "priceCurrency": "EUR"},
}
ITEM = {"item_id": "42", "item_name": "Blue shoe", "item_brand": "Walk", "item_category": "Shoes", "price": 59.9}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    def adapt(context: WebContext) -> WebContext:
        return replace(context, settings=replace(context.settings, shop_domains=("localhost",)))

    with live_shop(tmp_path_factory.mktemp("live"), adapt=adapt) as made:
        _mails(made)
        yield made


@pytest.fixture(scope="module")
def shop() -> Iterator[ShopPages]:
    made, bound = ShopPages(), free_socket()
    made.base_url = f"http://localhost:{bound.getsockname()[1]}"
    with served(made.app(), bound):  # type: ignore[arg-type]
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()
    time.sleep(0.1)  # what its pages still sent shall not be heard by the next test


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A page that must not complain."""
    made = window.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    assert errors == []


@pytest.fixture
def heard(live: Live) -> Heard:
    return Heard(live)


def _stored(page: Page) -> dict[str, str]:
    return page.evaluate("({...localStorage})")


# --- everything, each once -------------------------------------------------------------------------------------------

EVERYTHING = f"""
<div data-mw-product='{json.dumps({**SHOE, "product_id": "7"})}'><p>Another shoe</p></div>
<button data-mw-feature="size guide">Sizes</button>
<a href="https://elsewhere.example/" onclick="event.preventDefault()">Elsewhere</a>
<a href="/own">Own</a>
<button data-mw-track="Product Added" data-mw-props='{json.dumps({**SHOE, "quantity": 1})}'>Add</button>
<form data-mw-search action="/find" onsubmit="event.preventDefault()"><input name=words><button>Find</button></form>
<form data-mw-filter><label>Red<input type=checkbox name=colour value=red></label></form>
<video src="/clip.wav" controls title="How it is made"></video>
<div data-mw-seen="Checkout Step Viewed" data-mw-props='{{"step":2}}'></div>
<script type="application/ld+json">{json.dumps(LD_JSON)}</script>
<div style="height:3000px"></div><footer>End</footer>
"""
LAYER = data_layer(
    {"event": "view_item", "ecommerce": {"currency": "EUR", "value": 59.9, "items": [ITEM]}},
    {"event": "view_item_list", "ecommerce": {"item_list_id": "new", "items": [ITEM, {**ITEM, "item_id": "7"}]}},
)
ONCE = Counter(
    [
        "page",
        "Product Viewed",
        "Product List Viewed",
        "Checkout Step Viewed",
        "Feature Clicked",
        "Outbound Link Clicked",
        "Product Added",
        "Products Searched",
        "Product List Filtered",
        "Video Playback Started",
        "Video Playback Completed",
        "Checkout Started",
        "Order Completed",
        "Page Left",
    ]
) + Counter({"Video Content Playing": 3, "Product Dwelled": 2})


def _visit_everything(page: Page) -> None:
    page.get_by_role("button", name="Sizes").click()
    page.get_by_role("link", name="Elsewhere").click()
    page.get_by_role("button", name="Add").click()
    # The shop's data layer tells of the same click: it is one addition.
    page.evaluate("item => dataLayer.push({event: 'add_to_cart', ecommerce: {currency: 'EUR', items: [item]}})", ITEM)
    page.locator("input[name=words]").fill("boots")
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Red").check()
    page.evaluate("() => { const v = document.querySelector('video'); v.play(); }")
    page.evaluate("item => gtag('event', 'begin_checkout', {currency: 'EUR', value: 59.9, items: [item]})", ITEM)
    order = {"transaction_id": "T1", "value": 59.9, "tax": 9.57, "shipping": 5, "currency": "EUR", "items": [ITEM]}
    page.evaluate("order => dataLayer.push({event: 'purchase', ecommerce: order})", order)
    page.wait_for_function("document.querySelector('video').ended")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(100)


@pytest.mark.parametrize("install", INSTALLS)
def test_everything_is_told_once_however_it_is_installed(
    live: Live, shop: ShopPages, page: Page, heard: Heard, install: str
) -> None:
    url = shop.put(f"/all-{install}", LAYER + INSTALLS[install](live.base_url, consent="implied"), EVERYTHING)
    page.goto(url)
    page.wait_for_function("window.mailwright && mailwright.live && mailwright.parts.shop")
    heard.until("Product Viewed", "Product List Viewed")
    page.wait_for_timeout(1_200)  # so that the product in view is looked at for a second
    _visit_everything(page)
    page.goto("about:blank")
    heard.until(*ONCE.elements())
    page.goto(shop.put("/next", by_hand(live.base_url, consent="implied")))  # takes over what was not confirmed
    heard.until("page", "page")
    assert heard.names() - Counter(["page"]) == ONCE
    assert len(anonymous_ids(heard.all())) == 1
    (left,) = heard.named("Page Left")
    assert left.properties["scroll_percent"] == 100
    assert left.properties["seconds"] > 1
    assert left.context["page"]["url"] == url


def test_the_data_layer_and_segment_tell_one_shape(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/shape", LAYER + by_hand(live.base_url, consent="implied")))
    heard.until("Product Viewed", "Product List Viewed")
    segment = {
        "product_id": "42",
        "name": "Blue shoe",
        "brand": "Walk",
        "category": "Shoes",
        "price": 59.9,
        "currency": "EUR",
        "value": 59.9,
    }
    live.post(
        "/v1/track", {"userId": "s1", "event": "Product Viewed", "messageId": "shape-1", "properties": segment}
    ).raise_for_status()
    theirs, ours = heard.named("Product Viewed")[::-1]
    assert (theirs.type, theirs.name, theirs.properties) == (ours.type, ours.name, ours.properties)
    (listed,) = heard.named("Product List Viewed")
    assert listed.properties["list_id"] == "new"
    assert [one["product_id"] for one in listed.properties["products"]] == ["42", "7"]


ORDERED = {
    "transaction_id": "T2",
    "affiliation": "Web",
    "value": 100,
    "tax": "19.00",
    "shipping": 5,
    "coupon": "MAY",
    "currency": "EUR",
    "items": [{**ITEM, "quantity": 2}],
}
SHAPES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "purchase": (
        ORDERED,
        "Order Completed",
        {"order_id": "T2", "revenue": 100, "total": 124, "tax": 19, "shipping": 5, "coupon": "MAY", "currency": "EUR"},
    ),
    "refund": (ORDERED, "Order Refunded", {"order_id": "T2"}),
    "add_to_cart": ({"items": [ITEM]}, "Product Added", {"product_id": "42", "price": 59.9}),
    "remove_from_cart": ({"items": [ITEM]}, "Product Removed", {"product_id": "42"}),
    "add_to_wishlist": ({"items": [ITEM]}, "Product Added to Wishlist", {"product_id": "42"}),
    "select_item": ({"items": [ITEM]}, "Product Clicked", {"product_id": "42"}),
    "view_cart": ({"value": 9, "items": [ITEM]}, "Cart Viewed", {"value": 9}),
    "begin_checkout": ({"coupon": "X", "items": [ITEM]}, "Checkout Started", {"coupon": "X"}),
    "add_shipping_info": ({"shipping_tier": "fast"}, "Checkout Step Completed", {"shipping_method": "fast"}),
    "add_payment_info": ({"payment_type": "card"}, "Payment Info Entered", {"payment_method": "card"}),
    "search": ({"search_term": "boots"}, "Products Searched", {"query": "boots"}),
    "view_promotion": ({"promotion_id": "p"}, "Promotion Viewed", {"promotion_id": "p"}),
    "select_promotion": ({"promotion_id": "p"}, "Promotion Clicked", {"promotion_id": "p"}),
}


def test_every_event_of_the_data_layer_has_its_name_and_shape(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    pushes = [{"event": name, "ecommerce": told} for name, (told, _, _) in SHAPES.items()]
    noise: list[Any] = [{"event": "constructor"}, {"event": "gtm.dom"}, ["config", "G-1"], ["event", "no_such", {}]]
    page.goto(shop.put("/layer", by_tag(live.base_url, consent="implied") + data_layer(*noise, *pushes)))
    heard.until(*(name for _, name, _ in SHAPES.values()))
    for told, name, expected in SHAPES.values():
        (event,) = heard.named(name)
        assert expected.items() <= event.properties.items(), name
        if "items" in told and "product_id" not in expected:
            assert event.properties["products"][0]["product_id"] == "42"
    assert heard.names() == Counter(["page", *(name for _, name, _ in SHAPES.values())])


def test_an_order_page_that_is_loaded_again_tells_the_same_order(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    layer = data_layer({"event": "purchase", "ecommerce": ORDERED})
    url = shop.put("/thanks", layer + by_tag(live.base_url, consent="implied"))
    page.goto(url)
    heard.until("Order Completed")
    page.reload()
    heard.until("page", "page")
    page.wait_for_timeout(400)
    assert heard.names()["Order Completed"] == 1


def test_searches_and_filters_in_the_address(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    install = by_tag(live.base_url, consent="implied", filters="colour,size")
    page.goto(shop.put("/find", install, "<i data-mw-feature=x>x</i>") + "?q=red+shoes&colour=red&colour=blue&size=42")
    heard.until("Products Searched", "Product List Filtered")
    assert heard.named("Products Searched")[0].properties == {"query": "red shoes"}
    assert heard.named("Product List Filtered")[0].properties["filters"] == [
        {"type": "colour", "value": "red"},
        {"type": "colour", "value": "blue"},
        {"type": "size", "value": "42"},
    ]


# --- the calls -------------------------------------------------------------------------------------------------------


def test_the_calls_of_analytics_js(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    calls = """<script>
      mailwright('page', 'Docs', 'Home', {depth: 1});
      mailwright('track', 'Plan Chosen', {plan: 'pro'}, {context: {locale: 'nl'}}, () => { window.called = 1 });
      mailwright('identify', 'u-calls', {plan: 'pro'});
      mailwright('group', 'g1', {name: 'Shop Ltd'});
      mailwright('alias', 'u-calls-2');
      mailwright('ready', () => { window.isReady = 1 });
    </script>"""
    page.goto(shop.put("/calls", by_hand(live.base_url, consent="implied") + calls))
    heard.until("page", "Plan Chosen", "identify", "group", "alias")
    assert heard.names() == Counter(["page", "Plan Chosen", "identify", "group", "alias"])
    (viewed,) = heard.named("page")
    assert (viewed.name, viewed.properties["category"], viewed.properties["depth"]) == ("Home", "Docs", 1)
    (chosen,) = heard.named("Plan Chosen")
    assert chosen.properties == {"plan": "pro"}
    assert chosen.context["locale"] == "nl"
    (named,) = heard.named("identify")
    assert [each.kind for each in named.identifiers] == ["user_id", "anonymous_id"]
    assert named.traits == {"plan": "pro"}
    assert page.evaluate("[called, isReady, mailwright.user().id()]") == [1, 1, "u-calls"]
    page.evaluate("mailwright.reset()")
    page.evaluate("mailwright.track('After Reset')")
    heard.until("After Reset")
    (after,) = heard.named("After Reset")
    assert [each.kind for each in after.identifiers] == ["anonymous_id"]
    assert len(anonymous_ids([chosen, after])) == 2


def test_code_for_analytics_js_works_unchanged(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    theirs = "<script>window.analytics=[['track','Early',{a:1}],['identify','u-segment']]</script>"
    page.goto(shop.put("/segment", theirs + by_hand(live.base_url, consent="implied", analytics=True)))
    page.wait_for_function("!!window.analytics.track")
    page.evaluate("analytics.track('Late', {b: 2})")
    heard.until("Early", "identify", "Late")
    assert heard.named("Late")[0].identifiers[0].value == "u-segment"


def test_another_user_on_the_same_browser_gets_another_anonymous_id(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    page.goto(shop.put("/two", by_hand(live.base_url, consent="implied")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.identify('u-one'); mailwright.identify('u-one'); mailwright.identify('u-two')")
    heard.until("identify", "identify", "identify")
    one, again, two = heard.named("identify")
    assert one.identifiers == again.identifiers
    assert not set(one.identifiers) & set(two.identifiers)


def test_context_tells_page_campaign_and_device(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/ctx", by_hand(live.base_url, consent="implied"), title="Context")
    page.goto(
        url + "?utm_source=letter&utm_medium=email&utm_campaign=may&utm_content=top", referer=shop.base_url + "/x"
    )
    (event,) = heard.until("page")
    assert event.context["campaign"] == {"source": "letter", "medium": "email", "name": "may", "content": "top"}
    assert event.context["page"]["referrer"] == shop.base_url + "/x"
    assert event.context["page"]["title"] == "Context"
    assert event.context["library"]["name"] == "mailwright.js"
    assert "/" in event.context["timezone"] or event.context["timezone"] == "UTC"
    page.wait_for_timeout(100)
    page.evaluate("mailwright.track('Later')")
    heard.until("Later")
    assert "platform" in heard.named("Later")[0].context["userAgentData"]


def test_single_page_applications(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    first = shop.put("/spa", by_hand(live.base_url, consent="implied"), "<i data-mw-feature=x>x</i>")
    page.goto(first)
    heard.until("page")
    page.wait_for_timeout(200)
    page.evaluate("history.pushState({}, '', '/spa/two'); document.title = 'Two'")
    heard.until("page", "page", "Page Left")
    page.evaluate("history.replaceState({}, '', '/spa/two')")
    page.evaluate("history.pushState({}, '', '/spa/two#part')")
    page.evaluate("history.pushState({}, '', '/spa/three'); mailwright.page('By hand')")
    heard.until("page", "page", "page")
    page.go_back()
    page.go_back()
    heard.until("page", "page", "page", "page")
    page.wait_for_timeout(300)
    pages = heard.named("page")
    paths = [event.context["page"]["path"] for event in pages]
    assert paths == ["/spa", "/spa/two", "/spa/three", "/spa/two"]
    assert pages[1].context["page"]["title"] == "Two"
    assert pages[1].context["page"]["referrer"] == first
    assert pages[2].name == "By hand"
    assert heard.named("Page Left")[0].context["page"]["url"] == first


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_events_survive_being_offline_and_a_reload(
    live: Live, shop: ShopPages, window: BrowserContext, page: Page, heard: Heard
) -> None:
    url = shop.put("/off", by_hand(live.base_url, consent="implied"))
    page.goto(url)
    heard.until("page")
    page.wait_for_timeout(300)
    window.set_offline(True)
    page.evaluate("mailwright.track('Offline One'); mailwright.track('Offline Two')")
    page.wait_for_timeout(600)
    assert heard.names()["Offline One"] == 0
    kept = [value for name, value in _stored(page).items() if name.startswith("mw.q")]
    assert "Offline One" in "".join(kept)
    page.goto("about:blank")
    window.set_offline(False)
    page.goto(url)
    heard.until("page", "page", "Offline One", "Offline Two")
    page.wait_for_function("!Object.keys(localStorage).some(name => name.startsWith('mw.q'))")
    assert len(anonymous_ids(heard.all())) == 1
    first, second = heard.named("Offline One")[0], heard.named("page")[1]
    assert first.stamp_at < second.stamp_at


def test_events_come_once_the_door_answers_again(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    shop.door, shop.troubles = live.base_url, [500, 429]
    page.goto(shop.put("/retry", by_hand(live.base_url, consent="implied", host=shop.base_url)))
    heard.until("page")
    assert shop.troubles == []
    assert heard.names() == Counter(["page"])


def test_the_queue_is_bounded(live: Live, shop: ShopPages, window: BrowserContext, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/bound", by_hand(live.base_url, consent="implied")))
    heard.until("page")
    page.wait_for_timeout(300)
    window.set_offline(True)
    page.evaluate("for (let n = 0; n < 400; n++) mailwright.track('Many', {n})")
    window.set_offline(False)
    wait_for(lambda: heard.names()["Many"] >= 300, "the queue is not sent")
    page.wait_for_timeout(300)
    assert sorted(event.properties["n"] for event in heard.named("Many")) == list(range(100, 400))


def test_what_happens_just_before_a_page_goes_is_told(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/bye", by_hand(live.base_url, consent="implied")))
    heard.until("page")
    page.evaluate("addEventListener('pagehide', () => mailwright.track('Last Word'), true); location = 'about:blank'")
    page.wait_for_url("about:blank")
    heard.until("Page Left")
    page.goto(shop.put("/bye2", by_hand(live.base_url, consent="implied")))
    heard.until("Last Word", "page", "page")
    assert heard.names() == Counter({"page": 2, "Page Left": 1, "Last Word": 1})


def test_the_engine_counts_once_what_was_sent_twice(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    before = live.client.status()
    shop.door, shop.troubles = live.base_url, [502]  # the answer is lost, but the event was taken
    page.goto(shop.put("/twice", by_hand(live.base_url, consent="implied", host=shop.base_url)))
    heard.until("page")
    wait_for(lambda: live.client.status().n_duplicates == before.n_duplicates + 1, "the repeat is not known as one")
    assert live.client.status().n_events == before.n_events + 1


# --- consent ---------------------------------------------------------------------------------------------------------


def test_nothing_is_stored_or_sent_before_consent(
    live: Live, shop: ShopPages, window: BrowserContext, page: Page, heard: Heard
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/" in request.url else None)
    page.goto(shop.put("/ask", by_hand(live.base_url, consent="required")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.onConsent(choice => { window.choice = choice })")
    page.evaluate("mailwright.track('Before', {}); mailwright.identify('u-consent')")
    page.wait_for_timeout(500)
    assert (_stored(page), window.cookies(), sent, heard.all()) == ({}, [], [], [])
    page.evaluate("mailwright.consent({analytics: true, marketing: false}, {wording: '2026-1'})")
    heard.until("page", "Before", "identify", "Consent Updated")
    page.evaluate("mailwright.track('After')")
    heard.until("After")
    assert heard.names() == Counter(["page", "Before", "identify", "Consent Updated", "After"])
    (updated,), (after,) = heard.named("Consent Updated"), heard.named("After")
    assert updated.properties == {"purposes": {"analytics": True, "marketing": False}, "wording": "2026-1"}
    assert after.context["consent"] == {
        "categoryPreferences": {"analytics": True, "marketing": False},
        "wording": "2026-1",
    }
    assert "consent" not in heard.named("Before")[0].context
    assert page.evaluate("choice") == {"analytics": True, "marketing": False}
    assert set(_stored(page)) == {"mw.i", "mw.c"}
    assert window.cookies() == []
    page.reload()
    heard.until("page", "page")
    assert len(anonymous_ids(heard.all())) == 1


def test_a_refusal_is_kept_and_nothing_else(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/no", by_hand(live.base_url, consent="required")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.consent({analytics: false, marketing: false})")
    page.evaluate("mailwright.track('Refused')")
    page.goto(shop.put("/no2", by_hand(live.base_url, consent="required")))
    page.wait_for_timeout(500)
    assert set(_stored(page)) == {"mw.c"}
    assert heard.all() == []


def test_a_consent_taken_back_is_told_and_the_browser_forgotten(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    page.goto(shop.put("/back", by_hand(live.base_url, consent="implied")))
    heard.until("page")
    page.evaluate("mailwright.consent({analytics: false})")
    page.evaluate("mailwright.track('Refused')")
    heard.until("Consent Updated")
    page.wait_for_timeout(400)
    assert heard.names() == Counter(["page", "Consent Updated"])
    assert heard.named("Consent Updated")[0].properties["purposes"] == {"analytics": False}
    assert set(_stored(page)) == {"mw.c"}


def test_without_storage_an_id_lives_as_long_as_the_page(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/cookieless", by_hand(live.base_url, consent="cookieless"))
    page.goto(url)
    heard.until("page")
    page.reload()
    heard.until("page", "page")
    assert _stored(page) == {}
    assert len(anonymous_ids(heard.named("page"))) == 2


@pytest.mark.parametrize(
    ("options", "signals", "sends"),
    [
        ({}, "globalPrivacyControl: true", False),
        ({"gpc": False}, "globalPrivacyControl: true", True),
        ({}, "doNotTrack: '1'", True),
        ({"dnt": True}, "doNotTrack: '1'", False),
        ({"dnt": True}, "doNotTrack: '0'", True),
    ],
)
def test_what_the_browser_asks_for_is_heeded(
    live: Live, shop: ShopPages, page: Page, heard: Heard, options: dict[str, Any], signals: str, sends: bool
) -> None:
    name, value = signals.split(": ")
    page.add_init_script(f"Object.defineProperty(navigator, '{name}', {{get: () => {value}}})")
    page.goto(shop.put("/gpc", by_hand(live.base_url, consent="implied", **options)))
    if sends:
        heard.until("page")
        return
    page.wait_for_function("mailwright.live")
    page.wait_for_timeout(400)
    assert (heard.all(), _stored(page)) == ([], {})
    page.evaluate("mailwright.consent({analytics: true})")  # somebody's own word counts for more than the signal
    page.evaluate("mailwright.track('Agreed')")
    heard.until("Agreed")
    assert heard.named("Agreed")[0].context["gpc"] is True


def test_the_banner_asks_once_and_by_keyboard(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    asked = {"text": "May we count visits?", "yes": "Yes", "no": "No", "wording": "w7"}
    url = shop.put("/banner", by_hand(live.base_url, consent="required", banner=asked))
    page.goto(url)
    banner = page.get_by_role("region", name="Consent")
    playwright.expect(banner).to_contain_text("May we count visits?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    playwright.expect(banner).to_have_count(0)
    heard.until("page", "Consent Updated")
    (updated,) = heard.named("Consent Updated")
    assert updated.properties == {
        "purposes": {"analytics": True, "marketing": True},
        "wording": "w7",
        "source": "banner",
    }
    page.reload()
    heard.until("page", "page")
    playwright.expect(banner).to_have_count(0)


# --- without a script ------------------------------------------------------------------------------------------------


def test_the_pixel_where_there_is_no_script(live: Live, shop: ShopPages, browser: Browser, heard: Heard) -> None:
    pixel = f"{live.base_url}/v1/pixel/page.gif?writeKey=pk_live&amp;name=Cart&amp;anonymousId=visitor-1"
    noscript = f'<noscript><img src="{pixel}" alt="" width=1 height=1></noscript>'
    with browser.new_context(java_script_enabled=False) as window:
        page = window.new_page()
        page.goto(shop.put("/plain", by_hand(live.base_url, consent="implied"), noscript), wait_until="load")
        heard.until("page")
    (event,) = heard.named("page")
    assert (event.name, anonymous_ids([event])) == ("Cart", {"visitor-1"})
    assert event.context["page"]["url"].startswith(shop.base_url)
    with browser.new_context() as window:  # with a script it is not asked for
        page = window.new_page()
        page.goto(shop.base_url + "/plain")
        heard.until("page", "page")
    with_script = heard.named("page")[1]
    assert anonymous_ids([with_script]) != {"visitor-1"}
    assert heard.names()["page"] == 2


# --- a click in our mail ---------------------------------------------------------------------------------------------

MAILED = ["u-mailed-1", "u-mailed-2", "u-mailed-3"]


def _mails(live: Live) -> None:
    """Mails to three people, as if a tick just after the newest record had asked for them."""
    records, now = live.world.stored, Instant(0)
    offset = Offset(live.world.log.last()[0] * PLACES + 1)
    requests = [
        SendRequest(
            send_key=f"key-{n}",
            origin="campaign:offers",
            step="mail",
            occurrence="1",
            person=Person(n),
            purpose="marketing",
            queued_at=now,
            send_by_at=Instant(HOUR),
        )
        for n in range(len(MAILED))
    ]
    records.engine.commit_tick(1, TickCommit(offset=offset, at=now, requests=requests))
    taken = records.messages.claim(now, 10, "sender", lease_now=now, lease_until=Instant(HOUR))
    ends = [
        Refusal(
            send_key=message.send_key,
            fence=message.fence,
            state=MessageState.SUPPRESSED,
            reason="test",
            decision={"first_identifier": f"user_id:{MAILED[message.person]}"},
        )
        for message in taken
    ]
    records.messages.refuse(ends, now)


@pytest.fixture
def link(live: Live) -> Callable[[int, str], str]:
    """The link in the mail to a person that leads to an address."""
    context = live.app.state.context
    ids = {message.person: message.id for message in context.records.messages.page(before=None, limit=10)}

    def click(person: int, url: str) -> str:
        return MailLinks(context.tokens, live.base_url).click(ids[Person(person)], 0, url)

    return click


def _person(live: Live, kind: str, value: str) -> int | None:
    return live.client.find(kind, value)


def test_a_click_joins_the_visit_to_the_person(
    live: Live, shop: ShopPages, page: Page, heard: Heard, link: Callable[[int, str], str]
) -> None:
    live.track(MAILED[0], "Signed Up", "su-0")
    landing = shop.put("/landing", by_hand(live.base_url, consent="implied"))
    page.goto(link(0, landing + "?a=1#part"))
    assert "mw_click=" in page.evaluate("performance.getEntriesByType('navigation')[0].name")
    heard.until("page", "Email Visit Started")
    assert page.url == landing + "?a=1#part"
    (viewed,), (started,) = heard.named("page"), heard.named("Email Visit Started")
    assert "mw_click" not in json.dumps([viewed.context, viewed.properties])
    assert [each.kind for each in started.identifiers] == ["user_id", "anonymous_id"]
    assert started.properties["origin"] == "campaign:offers"
    (anonymous,) = anonymous_ids([viewed])
    wait_for(lambda: _person(live, "anonymous_id", anonymous) is not None, "the engine does not see it")
    wait_for(
        lambda: _person(live, "anonymous_id", anonymous) == _person(live, "user_id", MAILED[0]), "it is not joined"
    )
    page.goto(shop.put("/more", by_hand(live.base_url, consent="implied")))
    heard.until("page", "page")
    assert heard.names()["Email Visit Started"] == 1


def test_a_click_joins_nobody_twice_and_no_known_browser(
    live: Live, shop: ShopPages, browser: Browser, heard: Heard, link: Callable[[int, str], str]
) -> None:
    live.track(MAILED[1], "Signed Up", "su-1")
    landing = shop.put("/landing", by_hand(live.base_url, consent="implied"))
    with browser.new_context() as first:
        page = first.new_page()
        answer = page.request.get(link(1, landing), max_redirects=0)
        address = answer.headers["location"]
        page.goto(address)
        heard.until("page", "Email Visit Started")
    with browser.new_context() as forwarded:  # the very address, copied before the snippet cleaned it
        page = forwarded.new_page()
        page.goto(address)
        heard.until("page", "page")
    one, other = (next(iter(anonymous_ids([event]))) for event in heard.named("page"))
    wait_for(lambda: _person(live, "anonymous_id", other) is not None, "the engine does not see it")
    mailed = _person(live, "user_id", MAILED[1])
    assert _person(live, "anonymous_id", one) == mailed
    assert _person(live, "anonymous_id", other) != mailed
    with browser.new_context() as known:  # somebody who is signed in follows a forwarded mail
        page = known.new_page()
        page.goto(landing)
        page.wait_for_function("mailwright.live")
        page.evaluate("mailwright.identify('u-friend')")
        heard.until("identify")
        page.goto(link(1, landing))
        heard.until("page", "page", "page", "page")
    wait_for(lambda: _person(live, "user_id", "u-friend") is not None, "the engine does not see it")
    assert _person(live, "user_id", "u-friend") != mailed


def test_a_click_tells_nothing_before_consent(
    live: Live, shop: ShopPages, page: Page, heard: Heard, link: Callable[[int, str], str]
) -> None:
    page.goto(link(2, shop.put("/careful", by_hand(live.base_url, consent="cookieless"))))
    heard.until("page")
    assert heard.names()["Email Visit Started"] == 0
    page.evaluate("mailwright.consent({analytics: true})")
    heard.until("Consent Updated", "Email Visit Started")


def test_the_address_is_cleaned_and_nothing_else_changed(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/clean", by_hand(live.base_url, consent="implied"))
    for search, left in [
        ("?mw_click=abc", ""),
        ("?mw_click=abc&b=%20x", "?b=%20x"),
        ("?a=1&mw_click=abc&b=2", "?a=1&b=2"),
        ("?a=1&mw_click=abc", "?a=1"),
        ("?xmw_click=abc", "?xmw_click=abc"),
    ]:
        page.goto(url + search + "#h")
        page.wait_for_function("mailwright.live")
        assert page.url == url + left + "#h"
    heard.until(*["page"] * 5)
    assert heard.names()["Email Visit Started"] == 0  # none of them was ours


# --- how it behaves as a guest ---------------------------------------------------------------------------------------


def test_a_strict_policy_is_kept(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    """The policy that docs/how-to/install-the-snippet.md gives."""
    page.add_init_script("window.said = []; addEventListener('securitypolicyviolation', e => said.push(e.blockedURI))")
    policy = f"default-src 'none'; script-src {live.base_url}; connect-src {live.base_url}; img-src {live.base_url}"
    shop.headers = {"Content-Security-Policy": policy}
    try:
        tag = by_tag(live.base_url, consent="required", banner="Count?")
        page.goto(shop.put("/strict", tag, "<button data-mw-feature=f>F</button>"))
        page.get_by_role("button", name="Accept").click()
        page.get_by_role("button", name="F").click()
        heard.until("page", "Consent Updated", "Feature Clicked")
        assert page.evaluate("said") == []
    finally:
        shop.headers = {}


def test_no_fingerprint_is_taken(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    spies = "window.touched=[];" + "".join(
        f"({{}}).constructor.defineProperty({owner}, '{name}', "
        f"{{get() {{ touched.push('{name}'); return undefined }}, configurable: true}});"
        for owner, name in [
            ("HTMLCanvasElement.prototype", "toDataURL"),
            ("HTMLCanvasElement.prototype", "getContext"),
            ("document", "fonts"),
            ("navigator", "plugins"),
            ("window", "AudioContext"),
            ("window", "OfflineAudioContext"),
        ]
    )
    page.add_init_script(spies)
    page.goto(shop.put("/spy", LAYER + by_hand(live.base_url, consent="implied"), EVERYTHING))
    heard.until("Product Viewed")
    assert page.evaluate("touched") == []
