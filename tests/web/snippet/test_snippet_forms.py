"""A form in a page of the shop keeps to what the page's snippet may: without consent it knows nobody again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from chromium import needs_chromium, playwright
from live_shop import Live, wait_for
from snippet_shop import Heard, ShopPages, anonymous_ids, by_hand, by_tag, snippet_door, stored

from mailwright.core.events import Event, Events

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

pytestmark = needs_chromium("forms.js")

CLUB = """\
title: Club
fields:
  - {trait: email, type: email, label: E-mail address, required: true}
  - {trait: firstName, type: text, label: First name}
limits: {least_seconds: 0, per_address_a_minute: 1000}
"""
GPC = "Object.defineProperty(navigator, 'globalPrivacyControl', {get: () => true})"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with snippet_door(tmp_path_factory.mktemp("forms"), {"forms/club.yaml": CLUB}) as made:
        yield made


class Told:
    """What a page with the form told of it since this test began."""

    def __init__(self, live: Live, page: Page) -> None:
        self._live = live
        self._before = len(self._all())
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request) if "/v1/forms/" in request.url else None)

    def _all(self) -> list[Event]:
        bodies = [record.body for record in self._live.world.log.read(0, 100_000)]
        events = [event for body in bodies if isinstance(body, Events) for event in body.events]
        return [event for event in events if event.source == "form:club"]

    @property
    def events(self) -> list[Event]:
        return self._all()[self._before :]

    def names(self) -> list[str]:
        return sorted(event.name for event in self.events if event.type == "track")

    def ids(self) -> list[Any]:
        """Every id that a request named."""
        bodies = [json.loads(each.post_data or "{}") for each in self.requests]
        found = [body.get(name) for body in bodies for name in ("anonymous", "visitor")]
        urls = [each.url for each in self.requests if "anonymous=" in each.url or "visitor=" in each.url]
        return [one for one in found if one] + urls


def shown(page: Page, url: str) -> None:
    page.goto(url)
    playwright.expect(page.get_by_label("E-mail address")).to_be_visible()


def sent(page: Page) -> None:
    page.get_by_label("E-mail address").fill("ann@shop.test")
    page.get_by_label("First name").fill("Ann")
    page.wait_for_timeout(300)
    page.get_by_role("button").click()
    playwright.expect(page.get_by_role("status")).to_be_visible()


def embedded(door: str) -> str:
    return f'<h1>Shop</h1><script src="{door}/forms.js" data-form="club" data-lang="en" async></script>'


INSTALLS: dict[str, tuple[Callable[[Heard], str], str]] = {
    "signal": (lambda heard: by_hand(heard, consent="implied"), GPC),
    "signal, by a tag": (lambda heard: by_tag(heard, consent="implied"), GPC),
    "signal, no snippet": (lambda heard: "", GPC),
    "not asked": (lambda heard: by_hand(heard, consent="required"), ""),
    "not asked, by a tag": (lambda heard: by_tag(heard, consent="required"), ""),
}


@pytest.mark.parametrize("install", INSTALLS)
def test_without_consent_a_form_knows_nobody_again_and_what_is_sent_is_taken(
    live: Live, shop: ShopPages, page: Page, heard: Heard, install: str
) -> None:
    head, script = INSTALLS[install]
    page.add_init_script(script)
    told, url = Told(live, page), shop.put("/quiet", head(heard), embedded(live.base_url))
    shown(page, url)
    if head(heard):
        page.wait_for_function("window.mailwright && mailwright.live")
    sent(page)
    shown(page, url)
    assert (told.ids(), stored(page), told.names()) == ([], {}, ["Form Submitted"])
    (submitted,) = [event for event in told.events if event.type == "track"]
    assert all(one.startswith("form-") for one in anonymous_ids([submitted]))
    assert heard.all() == []


def test_what_waited_is_told_under_the_visitors_id_after_a_yes(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    told = Told(live, page)
    shown(page, shop.put("/asked", by_hand(heard, consent="required"), embedded(live.base_url)))
    page.wait_for_function("mailwright.live")
    page.get_by_label("First name").fill("A")
    page.wait_for_timeout(300)
    assert told.names() == []
    page.evaluate("mailwright.consent({analytics: true})")
    heard.until("Consent Updated")
    wait_for(lambda: told.names() == ["Form Started", "Form Viewed"], "what waited is not told")
    assert anonymous_ids(told.events) == anonymous_ids(heard.all())
    sent(page)
    assert "mailwright.forms" in stored(page)


def test_a_signal_gives_way_to_the_persons_own_word_and_to_the_shops_option(
    live: Live, shop: ShopPages, page: Page, heard: Heard
) -> None:
    page.add_init_script(GPC)
    told = Told(live, page)
    shown(page, shop.put("/unheeded", by_tag(heard, consent="implied", gpc=False), embedded(live.base_url)))
    heard.until("page")
    wait_for(lambda: told.names() == ["Form Viewed"], "the view is not told")
    assert anonymous_ids(told.events) == anonymous_ids(heard.all())
