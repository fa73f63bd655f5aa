"""What the snippet tells of a shop's pages in a real Chromium, with a real door and engine on another origin."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from chromium import needs_chromium
from live_shop import Live, wait_for
from snippet_goods import EVERYTHING, ITEM, LAYER
from snippet_shop import INSTALLS, Heard, ShopPages, anonymous_ids, by_hand, by_tag, data_layer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium("snippet.js")


# --- everything, each once -------------------------------------------------------------------------------------------

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
    page.evaluate(  # the shop's data layer tells of the same click: it is one addition
        "item => document.querySelector('[data-mw-track]').addEventListener('click', () =>"
        "dataLayer.push({event: 'add_to_cart', ecommerce: {currency: 'EUR', items: [item]}}))",
        ITEM,
    )
    page.get_by_role("button", name="Add").click()
    page.locator("input[name=words]").fill("boots")
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Red").check()
    page.evaluate("() => { const v = document.querySelector('video'); v.play(); }")
    page.evaluate("item => gtag('event', 'begin_checkout', {currency: 'EUR', value: 59.9, items: [item]})", ITEM)
    order = {"transaction_id": "T1", "value": 59.9, "tax": 9.57, "shipping": 5, "currency": "EUR", "items": [ITEM]}
    page.evaluate("order => dataLayer.push({event: 'purchase', ecommerce: order})", order)
    page.wait_for_function("document.querySelector('video').ended")
    page.evaluate(
        "() => new Promise(done => { scrollTo(0, document.body.scrollHeight);"
        "requestAnimationFrame(() => requestAnimationFrame(done)) })"  # by then the page was told of it
    )


@pytest.mark.parametrize("install", INSTALLS)
def test_everything_is_told_once_however_it_is_installed(
    live: Live, shop: ShopPages, page: Page, heard: Heard, install: str
) -> None:
    url = shop.put(f"/all-{install}", LAYER + INSTALLS[install](heard, consent="implied"), EVERYTHING)
    page.goto(url)
    page.wait_for_function("window.mailwright && mailwright.live && mailwright.parts.shop")
    heard.until("Product Viewed", "Product List Viewed")
    page.wait_for_timeout(1_200)  # so that the product in view is looked at for a second
    _visit_everything(page)
    page.goto("about:blank")
    heard.until(*ONCE.elements())
    page.goto(shop.put("/next", by_hand(heard, consent="implied")))  # takes over what was not confirmed
    heard.until("page", "page")
    assert heard.names() - Counter(["page"]) == ONCE
    assert len(anonymous_ids(heard.all())) == 1
    (left,) = heard.named("Page Left")
    assert left.properties["scroll_percent"] == 100
    assert left.properties["seconds"] > 1
    assert left.context["page"]["url"] == url


def test_the_data_layer_and_segment_tell_one_shape(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/shape", LAYER + by_hand(heard, consent="implied")))
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
    call = {"userId": "s1", "event": "Product Viewed", "messageId": "shape-1", "properties": segment}
    live.post("/v1/track", call, Authorization=f"Bearer {heard.key}").raise_for_status()
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


def test_every_event_of_the_data_layer_has_its_name_and_shape(shop: ShopPages, page: Page, heard: Heard) -> None:
    pushes = [{"event": name, "ecommerce": told} for name, (told, _, _) in SHAPES.items()]
    noise: list[Any] = [{"event": "constructor"}, {"event": "gtm.dom"}, ["config", "G-1"], ["event", "no_such", {}]]
    page.goto(shop.put("/layer", by_tag(heard, consent="implied") + data_layer(*noise, *pushes)))
    heard.until(*(name for _, name, _ in SHAPES.values()))
    for told, name, expected in SHAPES.values():
        (event,) = heard.named(name)
        assert expected.items() <= event.properties.items(), name
        if "items" in told and "product_id" not in expected:
            assert event.properties["products"][0]["product_id"] == "42"
    assert heard.names() == Counter(["page", *(name for _, name, _ in SHAPES.values())])


def test_an_order_page_that_is_loaded_again_tells_the_same_order(shop: ShopPages, page: Page, heard: Heard) -> None:
    layer = data_layer({"event": "purchase", "ecommerce": ORDERED})
    url = shop.put("/thanks", layer + by_tag(heard, consent="implied"))
    page.goto(url)
    heard.until("Order Completed")
    page.reload()
    heard.until("page", "page")
    page.wait_for_timeout(400)
    assert heard.names()["Order Completed"] == 1


def test_searches_and_filters_in_the_address(shop: ShopPages, page: Page, heard: Heard) -> None:
    install = by_tag(heard, consent="implied", filters="colour,size")
    page.goto(shop.put("/find", install, "<i data-mw-feature=x>x</i>") + "?q=red+shoes&colour=red&colour=blue&size=42")
    heard.until("Products Searched", "Product List Filtered")
    assert heard.named("Products Searched")[0].properties == {"query": "red shoes"}
    assert heard.named("Product List Filtered")[0].properties["filters"] == [
        {"type": "colour", "value": "red"},
        {"type": "colour", "value": "blue"},
        {"type": "size", "value": "42"},
    ]


LEADING = '<form data-mw-search action="/found"><input name=q><button>Find</button></form>'
FORMS = {
    "inline": (LEADING.replace("<form", '<form onsubmit="return false"'), 1),
    "late": (
        LEADING
        + "<script>document.addEventListener('submit', event => {"
        + "event.preventDefault(); event.stopPropagation(); event.target.reset() })</script>",
        1,
    ),
    "leads on": (LEADING, 1),  # told by the page that it leads to, which has the words in its address
    "leads on unread": (LEADING.replace("/found", "/silent"), 0),
    "posted": (LEADING.replace("<form", "<form method=post"), 1),
    "other words": (LEADING.replace("name=q", "name=words"), 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_search_is_told_once_whoever_leads_on_from_its_form(
    shop: ShopPages, page: Page, heard: Heard, form: str
) -> None:
    install = by_tag(heard, consent="implied")
    html, n_told = FORMS[form]
    shop.put("/found", install, "<i data-mw-feature=x>x</i>")
    shop.put("/silent", "", "<h1>Without the snippet</h1>")
    page.goto(shop.put("/searching", install, html))
    page.wait_for_function("window.mailwright && mailwright.live && mailwright.parts.shop")
    page.wait_for_load_state("networkidle")
    page.locator("input").fill("red shoes")
    page.get_by_role("button", name="Find").click()
    heard.until(*["Products Searched"] * n_told)
    if form == "leads on unread":
        page.wait_for_url("**/silent?*")
    page.goto(shop.put("/after", install))  # takes over what was not confirmed
    wait_for(
        lambda: "/after" in [one.context["page"]["path"] for one in heard.named("page")], "the last page is not told"
    )
    heard.until("Page Left")
    assert [one.properties for one in heard.named("Products Searched")] == [{"query": "red shoes"}] * n_told


# --- the calls -------------------------------------------------------------------------------------------------------


def test_the_calls_of_analytics_js(shop: ShopPages, page: Page, heard: Heard) -> None:
    calls = """<script>
      mailwright('page', 'Docs', 'Home', {depth: 1});
      mailwright('track', 'Plan Chosen', {plan: 'pro'}, {context: {locale: 'nl'}}, () => { window.called = 1 });
      mailwright('identify', 'u-calls', {plan: 'pro'});
      mailwright('group', 'g1', {name: 'Shop Ltd'});
      mailwright('alias', 'u-calls-2');
      mailwright('ready', () => { window.isReady = 1 });
    </script>"""
    page.goto(shop.put("/calls", by_hand(heard, consent="implied") + calls))
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


def test_code_for_analytics_js_works_unchanged(shop: ShopPages, page: Page, heard: Heard) -> None:
    theirs = "<script>window.analytics=[['track','Early',{a:1}],['identify','u-segment']]</script>"
    page.goto(shop.put("/segment", theirs + by_hand(heard, consent="implied", analytics=True)))
    page.wait_for_function("!!window.analytics.track")
    page.evaluate("analytics.track('Late', {b: 2})")
    heard.until("Early", "identify", "Late")
    assert heard.named("Late")[0].identifiers[0].value == "u-segment"


def test_another_user_on_the_same_browser_gets_another_anonymous_id(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    page.goto(shop.put("/two", by_hand(heard, consent="implied")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.identify('u-one'); mailwright.identify('u-one'); mailwright.identify('u-two')")
    heard.until("identify", "identify", "identify")
    one, again, two = heard.named("identify")
    assert one.identifiers == again.identifiers
    assert not set(one.identifiers) & set(two.identifiers)


def test_context_tells_page_campaign_and_device(shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/ctx", by_hand(heard, consent="implied"), title="Context")
    page.goto(
        url + "?utm_source=letter&utm_medium=email&utm_campaign=may&utm_content=top", referer=shop.base_url + "/x"
    )
    (event,) = heard.until("page")
    assert event.context["campaign"] == {"source": "letter", "medium": "email", "name": "may", "content": "top"}
    assert event.context["page"]["referrer"] == shop.base_url + "/x"
    assert event.context["page"]["title"] == "Context"
    assert event.context["library"]["name"] == "mailwright.js"
    assert "/" in event.context["timezone"] or event.context["timezone"] == "UTC"
    page.evaluate("navigator.userAgentData.getHighEntropyValues(['model'])")  # the snippet has asked for them before
    page.evaluate("mailwright.track('Later')")
    heard.until("Later")
    assert "platform" in heard.named("Later")[0].context["userAgentData"]


def test_single_page_applications(shop: ShopPages, page: Page, heard: Heard) -> None:
    first = shop.put("/spa", by_hand(heard, consent="implied"), "<i data-mw-feature=x>x</i>")
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
