"""What the snippet stores and sends before, with and against somebody's consent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from chromium import needs_chromium, playwright
from live_shop import Live
from snippet_shop import Heard, ShopPages, anonymous_ids, by_hand, sent_all, stored

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = needs_chromium("snippet.js")


# --- consent ---------------------------------------------------------------------------------------------------------


def test_nothing_is_stored_or_sent_before_consent(
    live: Live, shop: ShopPages, window: BrowserContext, page: Page, heard: Heard
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/" in request.url else None)
    page.goto(shop.put("/ask", by_hand(heard, consent="required")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.onConsent(choice => { window.choice = choice })")
    page.evaluate("mailwright.track('Before', {}); mailwright.identify('u-consent')")
    page.wait_for_timeout(500)
    assert (stored(page), window.cookies(), sent, heard.all()) == ({}, [], [], [])
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
    sent_all(page)
    assert set(stored(page)) == {"mw.i", "mw.c"}
    assert window.cookies() == []
    page.reload()
    heard.until("page", "page")
    assert len(anonymous_ids(heard.all())) == 1


def test_a_refusal_is_kept_and_nothing_else(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/no", by_hand(heard, consent="required")))
    page.wait_for_function("mailwright.live")
    page.evaluate("mailwright.consent({analytics: false, marketing: false})")
    page.evaluate("mailwright.track('Refused')")
    page.goto(shop.put("/no2", by_hand(heard, consent="required")))
    page.wait_for_function("mailwright.live")
    page.wait_for_timeout(500)
    assert set(stored(page)) == {"mw.c"}
    assert heard.all() == []


def test_a_consent_taken_back_is_told_and_the_browser_forgotten(shop: ShopPages, page: Page, heard: Heard) -> None:
    page.goto(shop.put("/back", by_hand(heard, consent="implied")))
    heard.until("page")
    page.evaluate("mailwright.consent({analytics: false})")
    page.evaluate("mailwright.track('Refused')")
    heard.until("Consent Updated")
    page.wait_for_timeout(400)
    assert heard.names() == Counter(["page", "Consent Updated"])
    assert heard.named("Consent Updated")[0].properties["purposes"] == {"analytics": False}
    assert set(stored(page)) == {"mw.c"}


def test_without_storage_an_id_lives_as_long_as_the_page(shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/cookieless", by_hand(heard, consent="cookieless"))
    page.goto(url)
    heard.until("page")
    page.reload()
    heard.until("page", "page")
    assert stored(page) == {}
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
    page.goto(shop.put("/gpc", by_hand(heard, consent="implied", **options)))
    if sends:
        heard.until("page")
        return
    page.wait_for_function("mailwright.live")
    page.wait_for_timeout(400)
    assert (heard.all(), stored(page)) == ([], {})
    page.evaluate("mailwright.consent({analytics: true})")  # somebody's own word counts for more than the signal
    page.evaluate("mailwright.track('Agreed')")
    heard.until("Agreed")
    assert heard.named("Agreed")[0].context["gpc"] is True


def test_the_banner_asks_once_and_by_keyboard(shop: ShopPages, page: Page, heard: Heard) -> None:
    asked = {"text": "May we count visits?", "yes": "Yes", "no": "No", "wording": "w7"}
    url = shop.put("/banner", by_hand(heard, consent="required", banner=asked))
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
