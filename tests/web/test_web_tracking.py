from __future__ import annotations

import string
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seeded_shop import HOSTILE, Shop, address_hash
from visitors import client_of

from mailwright.core.events import Person
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.messages import MessageState
from mailwright.core.ports import Consent
from mailwright.runtime.collected import Collected
from mailwright.web.tracking import PIXEL

TARGET = "https://shop.example/p/1?a=1&b=2#c"


@pytest.fixture
def reader(fresh_shop: Shop) -> TestClient:
    return client_of(fresh_shop)


@pytest.fixture
def sent_id(fresh_shop: Shop) -> str:
    return next(iter(fresh_shop.records.messages.page(before=None, limit=1, state=MessageState.SENT))).id


def _path(url: str) -> str:
    return urlsplit(url).path


def test_an_open_is_an_event_on_the_recipient_once_a_minute(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    pixel = _path(fresh_shop.links.pixel(sent_id))
    answers = [reader.get(pixel) for _ in range(3)]
    assert {answer.content for answer in answers} == {PIXEL}
    assert answers[0].headers["content-type"] == "image/gif"
    assert "set-cookie" not in answers[0].headers
    events = fresh_shop.events()
    assert {(event.name, event.source) for event in events} == {("Email Opened", "mailwright")}
    assert len({event.message_id for event in events}) == 1
    message = fresh_shop.records.messages.by_id(sent_id)
    assert message is not None
    assert events[0].identifiers[0].value == f"household-{message.person}"
    assert events[0].properties["message_id"] == sent_id
    assert events[0].properties["machine"] is False


def test_an_open_in_another_minute_is_another(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    pixel = _path(fresh_shop.links.pixel(sent_id))
    reader.get(pixel)
    clock = fresh_shop.context.clock
    clock.at = Instant(clock.at + MINUTE)  # type: ignore[attr-defined]
    reader.get(pixel)
    assert len({event.message_id for event in fresh_shop.events()}) == 2


def test_head_counts_nothing(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    assert reader.head(_path(fresh_shop.links.pixel(sent_id))).status_code == 200
    assert reader.head(_path(fresh_shop.links.click(sent_id, 0, TARGET))).status_code == 302
    assert reader.head(_path(fresh_shop.links.unsubscribe(sent_id, "h", "marketing"))).status_code == 405
    assert fresh_shop.events() == []


def test_a_click_leads_on_and_is_told(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    answer = reader.get(_path(fresh_shop.links.click(sent_id, 3, TARGET)))
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    assert answer.headers["referrer-policy"] == "same-origin"  # so the shop does not learn the token
    (event,) = fresh_shop.events()
    assert (event.name, event.properties["url"], event.properties["link"]) == ("Email Link Clicked", TARGET, 3)


@pytest.mark.parametrize(
    ("agent", "machine"),
    [("Mozilla/5.0 Firefox", False), ("BarracudaCentral", True), ("Googlebot/2.1", True), ("", False)],
)
def test_programs_that_follow_links_are_marked(
    fresh_shop: Shop, reader: TestClient, sent_id: str, agent: str, machine: bool
) -> None:
    reader.get(_path(fresh_shop.links.click(sent_id, 0, TARGET)), headers={"User-Agent": agent})
    assert fresh_shop.events()[0].properties["machine"] is machine


def test_what_was_not_signed_here_leads_nowhere(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    click = _path(fresh_shop.links.click(sent_id, 0, TARGET))
    other_purpose = "/c/" + _path(fresh_shop.links.pixel(sent_id)).removeprefix("/o/").removesuffix(".gif")
    for path in (
        click[:-1],
        click + "A",
        other_purpose,
        "/c/x",
        "/c/https:%2F%2Fevil.example",
        click + "?url=https://evil.example/",
    ):
        answer = reader.get(path)
        assert answer.status_code in (302, 404)
        assert answer.headers.get("location", TARGET) == TARGET
    assert reader.get("/o/nothing.gif").content == PIXEL
    assert reader.get("/u/nothing").status_code == 404
    assert reader.post("/u/nothing").status_code == 404


_ALPHABET = string.ascii_letters + string.digits + "-_./%:?=@\\"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_no_mutated_token_redirects_elsewhere(fresh_shop: Shop, reader: TestClient, data: st.DataObject) -> None:
    token = fresh_shop.links.click("m1", 0, TARGET).rpartition("/c/")[2]
    place = data.draw(st.integers(0, len(token)))
    cut = data.draw(st.integers(0, 8))
    text = data.draw(st.text(_ALPHABET, max_size=12))
    mutated = token[:place] + text + token[place + cut :]
    answer = reader.get(f"/c/{mutated}")
    assert answer.headers.get("location", TARGET) == TARGET, mutated
    if "/" not in mutated and "?" not in mutated and mutated != token:
        assert answer.status_code in (302, 404)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example/"])
def test_a_signed_destination_that_is_no_web_address_is_not_followed(
    fresh_shop: Shop, reader: TestClient, url: str
) -> None:
    token = fresh_shop.context.tokens.sign("click", {"m": "m1", "i": 0, "u": url})
    answer = reader.get(f"/c/{token}")
    assert answer.status_code == 404
    assert "location" not in answer.headers


# --- unsubscribe -----------------------------------------------------------------------------------------------------


def _consents(shop: Shop, person: int) -> set[str]:
    return shop.records.consents.granted([address_hash(shop.engine.people[Person(person)])], "marketing")


def _leave(shop: Shop, message_id: str, person: int) -> str:
    return _path(shop.links.unsubscribe(message_id, address_hash(shop.engine.people[Person(person)]), "marketing"))


def test_opening_the_link_changes_nothing_and_shows_a_form(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    page = reader.get(_leave(fresh_shop, sent_id, 3))
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert _consents(fresh_shop, 3)
    assert fresh_shop.events() == []


def test_one_click_post_needs_no_cookie_no_origin_and_is_idempotent(
    fresh_shop: Shop, reader: TestClient, sent_id: str
) -> None:
    path = _leave(fresh_shop, sent_id, 3)
    for _ in range(2):
        answer = reader.post(path, data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert not _consents(fresh_shop, 3)
    rows = fresh_shop.records.consents.ledger(address_hash(fresh_shop.engine.people[Person(3)]))
    assert [(row.granted, row.source) for row in rows] == [(True, "demo"), (False, "one-click")]
    assert {event.message_id for event in fresh_shop.events()} == {f"{sent_id}:unsubscribe"}
    assert fresh_shop.events()[0].name == "Unsubscribed"


def test_who_agrees_again_is_let_go_again_by_the_same_link(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    path, digest = _leave(fresh_shop, sent_id, 3), address_hash(fresh_shop.engine.people[Person(3)])
    clock = fresh_shop.context.clock
    reader.post(path, data={"List-Unsubscribe": "One-Click"})
    again = Consent(
        address_hash=digest, purpose="marketing", granted=True, at=clock.now(), source="shop", wording="Mails, please"
    )
    fresh_shop.records.consents.record([again])
    assert _consents(fresh_shop, 3)
    reader.post(path, data={"List-Unsubscribe": "One-Click"})
    assert not _consents(fresh_shop, 3)


def test_multipart_one_click_posts_work_too(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    answer = reader.post(_leave(fresh_shop, sent_id, 4), files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert not _consents(fresh_shop, 4)


def test_the_button_of_the_page_keeps_the_wording(fresh_shop: Shop, reader: TestClient, sent_id: str) -> None:
    reader.post(_leave(fresh_shop, sent_id, 3), data={"from": "page"})
    row = fresh_shop.records.consents.ledger(address_hash(fresh_shop.engine.people[Person(3)]))[-1]
    assert row.source == "form"
    assert row.wording in reader.get(_leave(fresh_shop, sent_id, 3)).text


def test_what_links_bring_is_counted(fresh_shop: Shop, sent_id: str) -> None:
    collected = Collected(fresh_shop.records.sources, fresh_shop.context.clock)
    fresh_shop.context = replace(fresh_shop.context, collected=collected)
    reader = client_of(fresh_shop)
    reader.get(_path(fresh_shop.links.pixel(sent_id)))
    for _ in range(2):
        reader.post(_leave(fresh_shop, sent_id, 6))
    collected.flush()
    told = {(one.source, one.kind): one.accepted for one in fresh_shop.records.sources.days(0)}
    assert told == {("mailwright", "events"): 3, ("mailwright", "unsubscribes"): 1}


def test_unsubscribing_works_while_the_engine_is_down_and_for_a_forgotten_mail(
    fresh_shop: Shop, reader: TestClient
) -> None:
    fresh_shop.engine.down = RuntimeError("must not be asked")
    assert reader.post(_leave(fresh_shop, "no-such-mail", 6)).status_code == 200
    assert not _consents(fresh_shop, 6)


def test_a_hostile_purpose_stays_text(fresh_shop: Shop, reader: TestClient) -> None:
    page = reader.get(_path(fresh_shop.links.unsubscribe("m", "h", HOSTILE)))
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text
