"""A click in our mail joins the visit to the person, once and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from chromium import needs_chromium
from live_shop import Live, wait_for
from snippet_shop import Heard, ShopPages, anonymous_ids, by_hand, snippet_door

from mailwright.core.commits import TickCommit
from mailwright.core.events import PLACES, Offset, Person
from mailwright.core.instants import HOUR, Instant
from mailwright.core.messages import Message, MessageState, SendRequest
from mailwright.core.ports import Refusal
from mailwright.delivery.links import MailLinks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium("snippet.js")


# --- a click in our mail ---------------------------------------------------------------------------------------------

MAILED = ["u-mailed-1", "u-mailed-2", "u-mailed-3"]


def _asked_for(live: Live) -> list[Message]:
    """Mails to three people, as if a tick just after the newest record had asked; none if the engine's came before."""
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
    return list(records.messages.claim(now, 10, "sender", lease_now=now, lease_until=Instant(HOUR)))


def _mails(live: Live) -> None:
    """What became of them."""
    ends = [
        Refusal(
            send_key=message.send_key,
            fence=message.fence,
            state=MessageState.SUPPRESSED,
            reason="test",
            decision={"first_identifier": f"user_id:{MAILED[message.person]}"},
        )
        for message in wait_for(lambda: _asked_for(live), "no mail is asked for")
    ]
    live.world.stored.messages.refuse(ends, Instant(0))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with snippet_door(tmp_path_factory.mktemp("live")) as made:
        _mails(made)
        yield made


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
    landing = shop.put("/landing", by_hand(heard, consent="implied"))
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
    page.goto(shop.put("/more", by_hand(heard, consent="implied")))
    heard.until("page", "page")
    assert heard.names()["Email Visit Started"] == 1


def test_a_click_joins_nobody_twice_and_no_known_browser(
    live: Live, shop: ShopPages, browser: Browser, heard: Heard, link: Callable[[int, str], str]
) -> None:
    live.track(MAILED[1], "Signed Up", "su-1")
    landing = shop.put("/landing", by_hand(heard, consent="implied"))
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
    live.world.caught_up(live.engine)
    assert _person(live, "user_id", "u-friend") != mailed


def test_a_click_tells_nothing_before_consent(
    shop: ShopPages, page: Page, heard: Heard, link: Callable[[int, str], str]
) -> None:
    page.goto(link(2, shop.put("/careful", by_hand(heard, consent="cookieless"))))
    heard.until("page")
    assert heard.names()["Email Visit Started"] == 0
    page.evaluate("mailwright.consent({analytics: true})")
    heard.until("Consent Updated", "Email Visit Started")


def test_the_address_is_cleaned_and_nothing_else_changed(live: Live, shop: ShopPages, page: Page, heard: Heard) -> None:
    url = shop.put("/clean", by_hand(heard, consent="implied"))
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
