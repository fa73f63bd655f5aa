"""The snippet loses nothing and counts nothing twice, tells without a script, and behaves as a guest on the page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from chromium import needs_chromium
from live_shop import Live, wait_for
from snippet_goods import EVERYTHING, LAYER
from snippet_shop import Heard, ShopPages, anonymous_ids, by_hand, by_tag, sent_all, snippet_door, stored

from mailwright.core.instants import MINUTE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = needs_chromium("snippet.js")


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_events_survive_being_offline_and_a_reload(
    shop: ShopPages, window: BrowserContext, page: Page, heard: Heard
) -> None:
    url = shop.put("/off", by_hand(heard, consent="implied"))
    page.goto(url)
    heard.until("page")
    sent_all(page)
    window.set_offline(True)
    an_hour_ago = "const Real = Date; Date = function () { return new Real(Real.now() - 36e5) };"
    told = "mailwright.track('Offline One'); mailwright.track('Offline Two');"
    page.evaluate(f"() => {{ {an_hour_ago} {told} Date = Real }}")
    page.wait_for_timeout(600)
    assert heard.names()["Offline One"] == 0
    kept = [value for name, value in stored(page).items() if name.startswith("mw.q")]
    assert "Offline One" in "".join(kept)
    page.goto("about:blank")
    window.set_offline(False)
    page.goto(url)
    heard.until("page", "page", "Offline One", "Offline Two")
    sent_all(page)
    assert len(anonymous_ids(heard.all())) == 1
    first, second = heard.named("Offline One")[0], heard.named("page")[1]
    assert 59 * MINUTE < second.stamp_at - first.stamp_at < 65 * MINUTE


def test_events_come_once_the_door_answers_again(shop: ShopPages, page: Page, heard: Heard) -> None:
    troubles = shop.relay(heard, 500, 429)
    page.goto(shop.put("/retry", by_hand(heard, consent="implied", host=shop.base_url)))
    heard.until("page")
    assert troubles == []
    assert heard.names() == Counter(["page"])


def test_the_queue_is_bounded(shop: ShopPages, window: BrowserContext, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/bound", by_hand(heard, consent="implied")))
    heard.until("page")
    sent_all(page)
    window.set_offline(True)
    page.evaluate("for (let n = 0; n < 400; n++) mailwright.track('Many', {n})")
    window.set_offline(False)
    wait_for(lambda: heard.names()["Many"] >= 300, "the queue is not sent")
    page.wait_for_timeout(300)
    assert sorted(event.properties["n"] for event in heard.named("Many")) == list(range(100, 400))


def test_what_happens_just_before_a_page_goes_is_told(shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/bye", by_hand(heard, consent="implied")))
    heard.until("page")
    slow = "for (const from = performance.now(); performance.now() < from + 200;);"  # until the page is hidden too
    page.evaluate(f"addEventListener('pagehide', () => {{ mailwright.track('Last Word'); {slow} }}, true)")
    page.evaluate("location = 'about:blank'")
    page.wait_for_url("about:blank")
    heard.until("Page Left")
    page.goto(shop.put("/bye2", by_hand(heard, consent="implied")))
    heard.until("Last Word", "page", "page")
    assert heard.names() == Counter({"page": 2, "Page Left": 1, "Last Word": 1})


def test_the_engine_counts_once_what_was_sent_twice(tmp_path: Path, shop: ShopPages, page: Page) -> None:
    with snippet_door(tmp_path) as own:  # whose engine counts nothing else
        heard = Heard(own)
        shop.relay(heard, 502)  # the answer is lost, but the event was taken
        page.goto(shop.put("/twice", by_hand(heard, consent="implied", host=shop.base_url)))
        heard.until("page")
        wait_for(lambda: own.client.status().n_duplicates == 1, "the repeat is not known as one")
        assert own.client.status().n_events == 1


# --- without a script ------------------------------------------------------------------------------------------------


def test_the_pixel_where_there_is_no_script(live: Live, shop: ShopPages, browser: Browser, heard: Heard) -> None:
    pixel = f"{live.base_url}/v1/pixel/page.gif?writeKey={heard.key}&amp;name=Cart&amp;anonymousId=visitor-1"
    noscript = f'<noscript><img src="{pixel}" alt="" width=1 height=1></noscript>'
    with browser.new_context(java_script_enabled=False) as window:
        page = window.new_page()
        page.goto(shop.put("/plain", by_hand(heard, consent="implied"), noscript), wait_until="load")
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


# --- how it behaves as a guest ---------------------------------------------------------------------------------------


def test_a_strict_policy_is_kept(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    """The policy that docs/how-to/install-the-snippet.md gives."""
    page.add_init_script("window.said = []; addEventListener('securitypolicyviolation', e => said.push(e.blockedURI))")
    policy = f"default-src 'none'; script-src {live.base_url}; connect-src {live.base_url}; img-src {live.base_url}"
    shop.headers = {"Content-Security-Policy": policy}
    try:
        tag = by_tag(heard, consent="required", banner="Count?")
        page.goto(shop.put("/strict", tag, "<button data-mw-feature=f>F</button>"))
        page.get_by_role("button", name="Accept").click()
        page.get_by_role("button", name="F").click()
        heard.until("page", "Consent Updated", "Feature Clicked")
        assert page.evaluate("said") == []
    finally:
        shop.headers = {}


def test_no_fingerprint_is_taken(shop: ShopPages, page: Page, heard: Heard) -> None:
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
    page.goto(shop.put("/spy", LAYER + by_hand(heard, consent="implied"), EVERYTHING))
    heard.until("Product Viewed")
    assert page.evaluate("touched") == []
