from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_shop import HOSTILE, N_PEOPLE, FixedEngine, Shop
from visitors import client_of, sign_in

from mailwright.core.errors import Transient
from mailwright.core.events import Offset
from mailwright.core.facts import ClockParted, Installing
from mailwright.core.happenings import Unwritten
from mailwright.core.instants import Instant
from mailwright.core.messages import MessageState
from mailwright.web.security import PAGE_POLICY, PREVIEW_POLICY

HOSTILE_PERSON = 13
XSS = [
    HOSTILE,
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "</title><script>alert(1)</script>",
    "{{7*7}}{% include '/etc/passwd' %}",
    "<!--<script>alert(1)</script>-->",
    "\u2028<iframe srcdoc='<script>alert(1)</script>'>",
    "' onmouseover='alert(1)",
]


class _Page(HTMLParser):
    """What a browser would make of a page: tags, attributes that act, addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.acting: list[tuple[str, str | None]] = []
        self.addresses: list[str] = []
        self.scripts_inside: list[str] = []
        self.headings: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_script = tag == "script"
        self.acting += [one for one in attrs if one[0].startswith("on") or one[0] in ("style", "srcdoc")]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.scripts_inside.append(data)


def _all_pages(shop: Shop) -> list[str]:
    sent = shop.records.messages.page(before=None, limit=1, state=MessageState.SENT)[0].id
    unsent = shop.records.messages.page(before=None, limit=1, state=MessageState.SUPPRESSED)[0].id
    theirs = [message.id for message in shop.records.messages.page(before=None, limit=2, person=None)]
    return [
        "/",
        "/segments",
        "/segments/high_value",
        "/people",
        f"/people/{HOSTILE_PERSON}",
        "/people/1/timeline",
        "/accounts",
        "/accounts/acme",
        "/mails",
        f"/mails/{sent}",
        f"/mails/{unsent}",
        *(f"/mails/{one}" for one in theirs),
        "/models",
        "/definitions",
        "/overview/cards",
        "/login",
        "/nowhere",
    ]


def test_every_answer_carries_the_security_headers(shop: Shop, marketer: TestClient) -> None:
    for path in [*_all_pages(shop), "/static/app.css", "/v1/status", "/healthz", "/o/x.gif"]:
        headers = marketer.get(path).headers
        assert headers["content-security-policy"] == PAGE_POLICY, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store"), path


def test_no_page_has_inline_script_style_or_foreign_addresses(shop: Shop, marketer: TestClient) -> None:
    for path in _all_pages(shop):
        page = _Page(marketer.get(path).text)
        assert page.acting == [], path
        assert page.scripts_inside == [], path
        assert [one for one in page.addresses if not one.startswith(("/", "#"))] == [], path


def test_headings_are_in_order_on_whole_pages(shop: Shop, marketer: TestClient) -> None:
    for path in _all_pages(shop):
        if path.endswith(("/timeline", "/cards")):
            continue
        headings = _Page(marketer.get(path).text).headings
        assert headings.count("h1") == 1, path
        assert headings[0] == "h1", path
        levels = [int(one[1]) for one in headings]
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels)), (path, headings)


def test_a_hostile_name_stays_text_wherever_it_is_shown(shop: Shop, marketer: TestClient) -> None:
    mine = shop.records.messages.page(before=None, limit=5, person=shop.engine.people[13].person)  # type: ignore[index]
    pages = [f"/people/{HOSTILE_PERSON}", "/people", "/segments/everyone", *(f"/mails/{one.id}" for one in mine)]
    shown = 0
    for path in pages:
        text = marketer.get(path).text
        assert "<img src=x" not in text, path
        assert "<script>alert" not in text, path
        shown += "&lt;script&gt;alert(1)" in text
    assert shown >= 3  # the check would mean nothing if the name were nowhere


@pytest.mark.parametrize("text", XSS)
def test_what_is_searched_for_stays_text(marketer: TestClient, text: str) -> None:
    answer = marketer.get("/people", params={"q": text})
    plain = _Page(marketer.get("/people", params={"q": "nobody at all"}).text)
    page = _Page(answer.text)
    assert answer.status_code == 200
    assert page.tags == plain.tags
    assert page.acting == []


@pytest.mark.parametrize("text", XSS)
@pytest.mark.parametrize("place", ["/segments/", "/mails/", "/login/", "/u/", "/c/", "/preview/"])
def test_what_is_in_an_address_stays_text(marketer: TestClient, place: str, text: str) -> None:
    page = _Page(marketer.get(place + text.replace("/", "%2F").replace("?", "%3F").replace("#", "%23")).text)
    assert page.acting == []
    assert page.scripts_inside == []
    assert "iframe" not in page.tags


# --- what the pages say ----------------------------------------------------------------------------------------------


def test_the_overview_counts_right(shop: Shop, marketer: TestClient) -> None:
    text = marketer.get("/").text
    sent = sum(n for _, state, _, _, n in shop.records.messages.counts() if state is MessageState.SENT)
    figures = dict(
        zip(
            re.findall(r"<h2>(?:<a [^>]*>)?([A-Z][a-z ]+)", text),
            re.findall(r'class="big">([^<]+)<', text),
            strict=False,
        )
    )
    assert figures["People"] == str(N_PEOPLE)
    assert figures["Mails sent"] == str(sent)
    assert "personal_offers" in text
    assert "Show data" in text


def test_the_note_of_a_demo_is_on_every_page_and_only_then(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    assert "replayed" not in client.get("/").text
    fresh_shop.records.meta.put("demo.note", "Reactions are replayed, not caused.")
    for path in ("/", "/mails", "/people/1"):
        assert "Reactions are replayed, not caused." in client.get(path).text


@pytest.mark.parametrize("asked", ["household-26@example.com", " Household-26@EXAMPLE.com ", "household-26", "#26"])
def test_people_are_found_by_address_id_or_number(marketer: TestClient, asked: str) -> None:
    text = marketer.get("/people", params={"q": asked}).text
    assert re.findall(r'href="/people/(\d+)"', text) == ["26"]


def test_nobody_found_says_so(marketer: TestClient) -> None:
    assert "Nobody found." in marketer.get("/people", params={"q": "stranger@example.com"}).text


def test_lists_page_through_everybody_once(shop: Shop, marketer: TestClient) -> None:
    for start, most in (("/people", N_PEOPLE), ("/segments/everyone", N_PEOPLE), ("/segments/high_value", 28)):
        seen, address = [], start
        while address:
            text = marketer.get(address, headers={"HX-Request": "true"}).text
            seen += [int(n) for n in re.findall(r'<th scope="row"><a href="/people/(\d+)"', text)]
            more = re.search(r'href="([^"]*after=\d+)"', text)
            address = more[1] if more else ""
        assert seen == sorted(set(seen))
        assert len(seen) == most


def test_mails_page_through_all_with_filters(shop: Shop, marketer: TestClient) -> None:
    for filters, expected in (
        ({}, len(shop.message_ids)),
        ({"state": "suppressed"}, 12),
        ({"origin": "journey:win_back"}, 40),
        ({"state": "nonsense", "origin": "campaign:gone"}, len(shop.message_ids)),
    ):
        seen: list[str] = []
        parameters: dict[str, str] = dict(filters)
        while True:
            text = marketer.get("/mails", params=parameters, headers={"HX-Request": "true"}).text
            seen += re.findall(r'<th scope="row"><a href="/mails/(\w+)"', text)
            more = re.search(r'before=(\w+)"', text)
            if not more:
                break
            parameters["before"] = more[1]
        assert len(seen) == len(set(seen)) == expected, filters


def test_a_persons_page_opens_sealed_traits_and_says_so(marketer: TestClient) -> None:
    text = marketer.get("/people/26").text
    assert "household-26@example.com" in text
    assert 'title="Sealed in every store' in text
    assert "Yes, send me offers." in text
    assert ">3 days<" in text  # an attribute that is a duration, in seconds
    assert ">1 Dec 2017, 09:30<" in text  # and one that is an instant, in the shop's zone
    assert "Skim milk, half gallon" in text  # recently bought, by the catalog's title


def test_a_timeline_that_lacks_what_waits_for_history_says_so(
    marketer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "History is far behind" not in marketer.get("/people/26").text
    lacking = Unwritten(rows=[], after=Offset(2**62), complete=False)
    monkeypatch.setattr(FixedEngine, "unwritten", lambda *asked: lacking)
    assert "History is far behind" in marketer.get("/people/26").text
    assert "History is far behind" in marketer.get("/people/26/timeline").text


def test_the_timeline_pages_without_gap_or_repeat(shop: Shop, marketer: TestClient) -> None:
    whole, address = [], "/people/26/timeline"
    while address:
        text = marketer.get(address).text
        whole += re.findall(r'<time datetime="([^"]+)"', text)
        more = re.search(r'href="([^"]*before=[^"]*)"', text)
        address = more[1].replace("&amp;", "&") if more else ""
    events = shop.history.query("SELECT count(*) AS n FROM events WHERE identifier = 'household-26'").to_pylist()[0][
        "n"
    ]
    moves = shop.history.query("SELECT count(*) AS n FROM transitions WHERE person = 26").to_pylist()[0]["n"]
    assert len(whole) == events + moves
    assert whole == sorted(whole, reverse=True)


def test_a_mail_says_why_it_says_what_it_says(shop: Shop, marketer: TestClient) -> None:
    message = next(one for one in shop.records.messages.page(before=None, limit=300) if one.variant == "personalised")
    text = marketer.get(f"/mails/{message.id}").text
    for expected in (
        "campaign:weekly_offers:audience",
        "personal_offers: variant personalised, drawn with probability 50 %",
        "Bought by many this week",
        "its gate refused it: below own purchase count",
        "first_name",
        "definitions 3",
    ):
        assert expected in text, expected


def test_a_mail_that_was_not_sent_says_why(shop: Shop, marketer: TestClient) -> None:
    message = shop.records.messages.page(before=None, limit=1, state=MessageState.SUPPRESSED)[0]
    text = marketer.get(f"/mails/{message.id}").text
    assert "the gate refused it: no_consent" in text
    assert "No mail was made: no consent." in text
    assert "<iframe" not in text


def test_models_stand_beside_their_baselines(marketer: TestClient) -> None:
    text = marketer.get("/models").text
    assert "may not serve" in text
    assert "0.1733 is below own_purchase_count 0.1951" in text
    assert re.search(r'class="n best">0\.1951', text)


def test_definitions_show_the_current_files(marketer: TestClient) -> None:
    text = marketer.get("/definitions").text
    assert "templates/weekly_offers.mjml" in text
    assert "&lt;mj-body&gt;" in text


# --- previews --------------------------------------------------------------------------------------------------------


def _preview(shop: Shop, client: TestClient) -> str:
    sent = shop.records.messages.page(before=None, limit=1, state=MessageState.SENT)[0].id
    found = re.search(r'<iframe[^>]* sandbox=""[^>]* src="(/preview/[^"]+)"', client.get(f"/mails/{sent}").text)
    assert found
    return found[1]


def test_a_preview_is_its_own_page_with_its_own_policy(shop: Shop, marketer: TestClient) -> None:
    answer = client_of(shop).get(_preview(shop, marketer))  # no cookie: the address is the permission
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == PREVIEW_POLICY
    assert "sandbox" in PREVIEW_POLICY
    assert "script-src" not in PREVIEW_POLICY


def test_looking_at_a_preview_counts_no_open_and_no_click(shop: Shop, marketer: TestClient) -> None:
    text = client_of(shop).get(_preview(shop, marketer)).text
    assert "Bananas" in text
    assert "/o/" not in text
    assert "href" not in text
    assert "/c/" in text  # as a title, so that the reader sees where it leads


def test_a_preview_address_lives_shortly_and_cannot_be_made(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    address = _preview(fresh_shop, client)
    assert client.get(address[:-2]).status_code == 400
    open_token = fresh_shop.context.tokens.sign("open", {"message": fresh_shop.message_ids[0]})
    assert client.get(f"/preview/{open_token}").status_code == 400
    fresh_shop.wall.at = Instant(fresh_shop.wall.at + fresh_shop.context.settings.preview_micros)
    assert client.get(address).status_code == 400


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/people/99999", 404),
        ("/people/x", 400),
        ("/people/99999999999999999999", 400),
        ("/segments/high_valu", 404),
        ("/mails/none", 404),
        ("/people/1/timeline?before=x", 400),
        ("/people?after=-5", 400),
        ("/nowhere", 404),
    ],
)
def test_errors_have_one_shape_for_people_and_one_for_programs(marketer: TestClient, path: str, status: int) -> None:
    page = marketer.get(path)
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert "Traceback" not in page.text


def test_an_unknown_name_brings_the_nearest(marketer: TestClient) -> None:
    error = marketer.get("/v1/segments/high_valu").json()["error"]
    assert error["code"] == "segment.unknown"
    assert "high_value" in error["hint"]


def test_without_the_engine_pages_and_api_say_so_and_when_to_come_back(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    fresh_shop.engine.down = Transient("engine.unreachable", "the engine does not answer", "is it running?")
    page, api, health = client.get("/"), client.get("/v1/status"), client.get("/healthz")
    assert {one.status_code for one in (page, api, health)} == {503}
    assert {one.headers["retry-after"] for one in (page, api, health)} == {"5"}
    assert "the engine does not answer" in page.text
    assert api.json()["error"] == {
        "code": "engine.unreachable",
        "message": "the engine does not answer",
        "hint": "is it running?",
    }


def test_a_part_of_a_page_takes_the_whole_page_to_the_login(stranger: TestClient) -> None:
    answer = stranger.get("/overview/cards", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"], answer.text) == (401, "/login", "")


def test_the_api_tells_what_the_pages_tell(shop: Shop, marketer: TestClient) -> None:
    person = marketer.get("/v1/people/number:26").json()
    assert person["traits"]["email"]["value"] == "household-26@example.com"
    assert person["segments"] == list(shop.engine.people[26].segments)  # type: ignore[index]
    message = marketer.get(f"/v1/messages/{shop.message_ids[0]}").json()
    assert message["id"] == shop.message_ids[0]
    assert message["decision"]["version"] == 1
    segments = {one["name"]: one["size"] for one in marketer.get("/v1/segments").json()["segments"]}
    assert segments == shop.engine.status().segments
    assert marketer.get("/v1/status").json()["profiles"] == N_PEOPLE


def test_the_overview_tells_what_is_on_its_way_and_a_jump_of_the_clock(
    shop: Shop, marketer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shop.engine.status()
    assert "on its way" not in marketer.get("/").text
    coming = Installing(version=4, phase="failed", done=1_000, whole=20_000, failure="<b>no space</b>")
    jump = ClockParted(wall_at=Instant(0), parted_micros=1)
    told = msgspec.structs.replace(plain, installing=coming, clock=jump)
    monkeypatch.setattr(shop.engine, "status", lambda: told)
    text = marketer.get("/").text
    assert "Version 4 of the definitions is on its way" in text
    assert "1,000 of 20,000 events" in text
    assert "&lt;b&gt;no space" in text
    assert "mailwright clock --confirm" in text
