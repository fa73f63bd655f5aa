"""Segments for programs, over a real engine: sizes, members, overlap, previews, and rules that cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from live_shop import Live, live_shop, wait_for

from mailwright.core.errors import Permanent
from mailwright.core.instants import Instant
from mailwright.core.previews import Count, Preview
from mailwright.rules.parse import parse
from mailwright.rules.syntax import Expression, to_json
from mailwright.web.rule_previews import RulePreviews
from mailwright.web.sessions import new_login_link

PEOPLE = [f"p{n}" for n in range(30)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """30 people: all have one order, 10 have four, 5 of these and 5 others looked at something."""
    with live_shop(tmp_path_factory.mktemp("live")) as made:
        made.tracks(PEOPLE, "Order Completed", "o0")
        for n in range(1, 4):
            made.tracks(PEOPLE[:10], "Order Completed", f"o{n}")
        made.tracks(PEOPLE[5:15], "Product Viewed", "v")
        wait_for(lambda: made.size("lookers") == 10 and made.size("loyal") == 10, "the events are not folded")
        yield made


def preview(shop: Live, rule: object, **more: object) -> httpx.Response:
    return shop.post("/v1/segments/preview", {"rule": rule, **more})


def test_members_come_in_pages(shop: Live) -> None:
    pages = []
    after: int | None = -1
    while after is not None:
        page = shop.get("/v1/segments/customers/members", after=after, limit=7).json()
        pages.append(page["members"])
        after = page["next"]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    found = [one for page in pages for one in page]
    assert [one["person"] for one in found] == sorted(one["person"] for one in found)
    assert {one["identifier"] for one in found} == {f"user_id:{user}" for user in PEOPLE}
    assert shop.get("/v1/segments/custmers/members").status_code == 404


def test_overlap_with_some_or_all(shop: Live) -> None:
    told = shop.get("/v1/segments/loyal/overlap").json()
    assert told["size"] == 10
    assert told["overlap"] == [
        {"name": "customers", "both": 10, "size": 30},
        {"name": "lookers", "both": 5, "size": 10},
    ]
    assert shop.get("/v1/segments/loyal/overlap", **{"with": "lookers"}).json()["overlap"][0]["both"] == 5
    assert shop.get("/v1/segments/loyal/overlap", **{"with": "nobody"}).status_code == 404


@pytest.mark.parametrize("form", ["text", "tree"])
def test_a_preview_on_live_leaves_is_exact_at_once(shop: Live, form: str) -> None:
    text = "orders >= 2 and did 'Product Viewed' within 2 days"
    rule = text if form == "text" else msgspec.json.decode(to_json(parse(text)))
    answer = preview(shop, rule, segment="lookers", limit=3)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["exact"], told["size"]) == (True, 5)
    assert told["people"] >= len(PEOPLE)  # another test brings one more
    assert told["share"] == 5 / told["people"]
    assert {one["identifier"] for one in told["sample"]} <= {f"user_id:{user}" for user in PEOPLE[5:10]}
    assert len(told["sample"]) == 3
    assert (told["entering"], told["leaving"]) == (0, 5)
    assert {one["identifier"] for one in told["leaving_sample"]} <= {f"user_id:{user}" for user in PEOPLE[10:15]}
    assert "entering" not in preview(shop, text).json()


@pytest.mark.parametrize(
    ("rule", "code", "caret"),
    [
        ("orders >= 3 an in segment lookers", "rule.syntax", "orders >= 3 an in segment lookers\n            ^"),
        ("orders >= 'three'", "rule.invalid", "orders >= 'three'\n"),
        ("in segment loyl", "rule.invalid", "in segment loyl\n"),
        ("trait x = 1\n  and ordrs > 2", "rule.invalid", "  and ordrs > 2\n      ^^^^^"),
        ("orders", "rule.invalid", "orders\n^^^^^^"),
    ],
)
def test_what_cannot_be_read_has_a_caret_and_a_hint(shop: Live, rule: str, code: str, caret: str) -> None:
    answer = preview(shop, rule)
    assert answer.status_code == 422
    error = answer.json()["error"]
    issue = error["issues"][0]
    assert error["code"] == code
    assert issue["caret"].startswith(caret)
    assert issue["span"]["line"] == 1 + rule[: rule.find("ordrs")].count("\n") * ("ordrs" in rule)
    assert issue["message"]
    assert issue["hint"] or code == "rule.syntax"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"rule": {"node": "nonsense"}}, 422, "rule.tree"),
        ({"rule": {"node": "not", "term": {"node": "in_segment", "name": "loyl"}}}, 422, "rule.invalid"),
        ({"rule": " "}, 422, "rule.syntax"),
        ({"rule": "in segment loyal", "segment": "loyal"}, 422, "rule.cycle"),
        ({"rule": 5}, 400, "preview.body"),
        ({"rule": "everyone", "limit": 101}, 400, "preview.body"),
        ({"rul": "everyone"}, 400, "preview.body"),
        ({"rule": "x" * 300_000}, 413, "ingest.too_large"),
    ],
)
def test_other_bad_input(shop: Live, body: dict[str, object], status: int, code: str) -> None:
    answer = shop.post("/v1/segments/preview", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_tree_that_is_nested_too_deep_is_refused(shop: Live) -> None:
    deep = '{"rule":' + '{"node":"not","term":' * 3000 + '{"node":"everyone"}' + "}" * 3000 + "}"
    answer = httpx.post(f"{shop.base_url}/v1/segments/preview", headers=shop.auth, content=deep, timeout=60)
    assert answer.status_code in (400, 422)


def test_only_a_server_key_or_our_own_page_may_ask(shop: Live) -> None:
    answer = httpx.post(f"{shop.base_url}/v1/segments/preview", json={"rule": "everyone"}, timeout=60)
    assert answer.status_code == 401
    browser = {"Authorization": "Bearer pk_live"}
    for path in ("/v1/segments/loyal/members", "/v1/segments/loyal/overlap", "/v1/transitions", "/v1/people/number:0"):
        assert httpx.get(shop.base_url + path, headers=browser, timeout=60).status_code == 401


def test_people_are_found_by_any_identifier(shop: Live) -> None:
    number = shop.get("/v1/people/user_id:p3").json()["person"]
    assert shop.get(f"/v1/people/number:{number}").json()["identifiers"] == [{"kind": "user_id", "value": "p3"}]
    shop.post("/v1/identify", {"userId": "a/b:c", "traits": {"email": "Ada@Example.com"}, "messageId": "id1"})
    wait_for(lambda: shop.get("/v1/people/user_id:a/b:c").status_code == 200, "not folded")
    assert shop.get("/v1/people/email:ada@example.com").json()["traits"]["email"]["value"] == "Ada@Example.com"
    missing = shop.get("/v1/people/user_id:nobody")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "person.unknown")


def test_the_page_says_why_somebody_is_in_a_segment(shop: Live) -> None:
    context = shop.app.state.context
    link = new_login_link(context.records.users, context.lease_clock, shop.base_url, "ada")
    shop.client.flush_history()
    loyal, other = (shop.get(f"/v1/people/user_id:{user}").json()["person"] for user in ("p0", "p20"))
    with httpx.Client(base_url=shop.base_url, timeout=60) as browser:
        browser.post(link, headers={"Sec-Fetch-Site": "same-origin"})
        page = browser.get(f"/segments/loyal/why/{loyal}")
        assert page.status_code == 200, page.text
        assert "is in Loyal" in page.text
        assert "orders &gt;= 3" in page.text
        assert page.text.count("Order Completed <small>") == 4
        assert "is not in Loyal" in browser.get(f"/segments/loyal/why/{other}").text
        assert browser.get("/segments/loyal/why/99999").status_code == 404


# --- rules whose leaves are not live ---------------------------------------------------------------------------------


class SlowFolding:
    """Estimates at once; folds when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stopped = False
        self.fails: Exception | None = None

    def estimate(self, rule: Expression, against: str | None, limit: int) -> Preview:
        return Preview(at=Instant(0), n_persons=1000, exact=False, size=Count(100, 40, 160), missing=["leaf"])

    def exact(self, rule: Expression, against: str | None, limit: int, stopped: Callable[[], bool]) -> Preview:
        while not self.go.wait(0.01):
            if stopped():
                self.stopped = True
                break
        if self.fails:
            raise self.fails
        return Preview(at=Instant(0), n_persons=1000, exact=True, size=Count.of(97))


@pytest.fixture
def folding(shop: Live) -> Iterator[SlowFolding]:
    made, state = SlowFolding(), shop.app.state
    before, state.previews = state.previews, RulePreviews(shop.client, made)
    yield made
    made.go.set()
    state.previews.close()
    state.previews = before


RULE = "did 'Coupon Applied' within 3 days"


def test_without_leaves_an_estimate_comes_first_and_the_exact_figure_by_its_id(
    shop: Live, folding: SlowFolding
) -> None:
    answer = preview(shop, RULE)
    told = answer.json()
    assert answer.status_code == 202
    assert (told["exact"], told["size"], told["size_interval"], told["missing"]) == (False, 100, [40, 160], 1)
    again = shop.get(f"/v1/segments/previews/{told['id']}", wait=0.1)
    assert (again.status_code, again.json()["size"]) == (202, 100)
    folding.go.set()
    exact = shop.get(f"/v1/segments/previews/{told['id']}", wait=30)
    assert (exact.status_code, exact.json()["exact"], exact.json()["size"]) == (200, True, 97)
    assert "size_interval" not in exact.json()


def test_nobody_waits_any_more(shop: Live, folding: SlowFolding) -> None:
    name = preview(shop, RULE).json()["id"]
    answer = httpx.delete(f"{shop.base_url}/v1/segments/previews/{name}", headers=shop.auth, timeout=60)
    assert answer.status_code == 204
    wait_for(lambda: folding.stopped, "it folds on")
    assert shop.get(f"/v1/segments/previews/{name}").status_code == 404


def test_the_oldest_previews_are_stopped(shop: Live, folding: SlowFolding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwright.web.rule_previews.KEPT", 2)
    first = preview(shop, RULE).json()["id"]
    for days in (4, 5):
        preview(shop, f"did 'Coupon Applied' within {days} days")
    wait_for(lambda: folding.stopped, "it folds on")
    assert shop.get(f"/v1/segments/previews/{first}").status_code == 404


def test_what_goes_wrong_while_folding_is_told(shop: Live, folding: SlowFolding) -> None:
    folding.fails = Permanent("history.append", "History is away")
    name = preview(shop, RULE).json()["id"]
    folding.go.set()
    answer = shop.get(f"/v1/segments/previews/{name}", wait=30)
    assert (answer.status_code, answer.json()["error"]["message"]) == (500, "History is away")


def test_without_anything_that_folds_the_answer_says_that_it_does_not_know(shop: Live) -> None:
    answer = preview(shop, RULE)
    assert answer.status_code == 202
    assert (answer.json()["exact"], answer.json()["size"], answer.json()["id"]) == (False, None, None)
