"""The pages in a real Chromium: drawn without a complaint, usable by mouse and keyboard, frames that cannot act."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from chromium import SIZES, chromium, needs_chromium, playwright, signed_in
from seeded_shop import NOW, Shop, make_shop
from serving import free_socket, served

from mailwright.core.events import Person
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.messages import MessageState
from mailwright.core.previews import Count, Preview
from mailwright.rules.syntax import Expression
from mailwright.runtime.jobs.runs import JobRun, asked_for
from mailwright.runtime.jobs.sources import source_jobs
from mailwright.runtime.project.load import Project
from mailwright.runtime.write_keys import create_key
from mailwright.web.app import create_app
from mailwright.web.rule_previews import RulePreviews

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium("charts.js")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    bound = free_socket()
    made = make_shop(tmp_path_factory.mktemp("site"), f"http://127.0.0.1:{bound.getsockname()[1]}")
    jobs = {job.name: job for job in source_jobs(Project(), None)}  # type: ignore[arg-type]  # it looks at no settings
    made.context = replace(made.context, jobs=lambda: jobs)
    made.app = create_app(made.context)
    with served(made.app, bound):
        yield made
    made.records.close()


@pytest.fixture
def counting(site: Shop) -> Iterator[_Counting]:
    """The site with something that counts rules whose leaves are not kept."""
    made, state = _Counting(), site.app.state
    before, state.previews = state.previews, RulePreviews(site.engine, made)
    yield made
    made.go.set()
    state.previews.close()
    state.previews = before


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_code_and_keys_on_the_page_of_sources_never_make_a_phone_scroll_sideways(browser: Browser, site: Shop) -> None:
    create_key(site.records.sources, "the till of the shop", server=True, now=site.wall.now())
    window = signed_in(browser, site, "phone")
    page = window.new_page()
    page.goto("/sources")
    page.locator("summary", has_text="Install the snippet").click()
    assert page.locator("pre").first.bounding_box()["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    window.close()


def _mail_with_body(site: Shop, **filters: Any) -> str:
    return site.records.messages.page(before=None, limit=1, state=MessageState.SENT, **filters)[0].id


def _pages(site: Shop) -> list[str]:
    return [
        "/",
        "/segments",
        "/segments/high_value",
        "/try",
        "/people",
        "/people/26",
        "/mails",
        f"/mails/{_mail_with_body(site)}",
        "/models",
        "/jobs",
        "/forms",
        "/forms/club",
        "/f/club",
        "/definitions",
        "/people/99999",
    ]


@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_drawn_without_a_complaint(browser: Browser, site: Shop, size: str) -> None:
    context = signed_in(browser, site, size)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    elsewhere: list[str] = []
    base = site.context.settings.base_url
    page.on(
        "request", lambda request: None if request.url.startswith((base, "data:")) else elsewhere.append(request.url)
    )
    for path in _pages(site):
        page.goto(path, wait_until="networkidle")
        expected = ["error: Failed to load resource: the server responded with a status of 404 (Not Found)"]
        assert said == (expected if path.endswith("99999") else []), path
        assert page.evaluate("violations") == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (
            f"{path} is wider than the {size}"
        )
        charts = page.locator("[data-chart]")
        for place in range(charts.count()):
            third = charts.nth(place).locator("svg path").nth(2)
            playwright.expect(third, f"chart {place} of {path} is empty").to_be_attached()
    assert elsewhere == []
    context.close()


@pytest.mark.parametrize("size", ["light", "phone"])
def test_a_job_is_run_by_a_click_and_the_page_says_what_became_of_it(browser: Browser, site: Shop, size: str) -> None:
    meta, at = site.records.meta, site.wall.at
    context = signed_in(browser, site, size)
    page = context.new_page()
    page.goto("/jobs")
    row = page.get_by_role("row").filter(has_text="Forget old counts")
    row.get_by_role("button", name="Run now: Forget old counts and held events").click()
    row.get_by_text("waits for the worker").wait_for()
    asked = asked_for(meta, "sources")
    assert asked is not None
    assert asked.by == "demo"
    meta.put("job-asked.sources", "")
    run = JobRun(planned_at=at, started_at=at, ended_at=Instant(at + 3 * MINUTE), said=f"forgot 7 {size}", by="demo")
    meta.put("job.sources", msgspec.json.encode(run).decode())
    row.get_by_text(f"forgot 7 {size}").wait_for()
    row.get_by_text("took 3 minutes, asked for by demo").wait_for()
    context.close()


def test_an_inline_script_would_have_been_noticed(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    page.wait_for_function("violations.length")  # it is told in a task of its own
    assert page.evaluate("violations") == ["style-src-attr"]
    context.close()


@pytest.mark.parametrize(("choice", "back"), [("Dark", "rgb(14, 17, 28)"), ("Light", "rgb(244, 245, 248)")])
def test_the_colours_can_be_chosen_and_stay(browser: Browser, site: Shop, choice: str, back: str) -> None:
    context = signed_in(browser, site, "dark" if choice == "Light" else "light")
    page = context.new_page()
    page.goto("/")
    before = page.locator("[data-chart] svg path").first.evaluate("e => e.outerHTML")
    button = page.get_by_role("button", name=choice)
    button.click()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == back
    assert button.get_attribute("aria-pressed") == "true"
    page.goto("/segments")
    assert page.evaluate(colour) == back
    page.goto("/", wait_until="networkidle")
    assert page.locator("[data-chart] svg path").first.evaluate("e => e.outerHTML") != before
    context.close()


def test_people_are_found_while_typing(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/people")
    page.get_by_role("searchbox").press_sequentially("household-26@example.com")
    rows = page.locator("#people-rows tr")
    playwright.expect(rows).to_have_count(1)
    playwright.expect(rows).to_contain_text("Greta Moreau")
    page.get_by_role("link", name="Greta Moreau").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Greta Moreau")
    context.close()


def test_a_rule_is_counted_while_it_is_typed(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.goto("/segments/high_value")
    editor, preview = page.get_by_label("Rule"), page.locator("#rule-preview")
    editor.fill("")
    editor.press_sequentially("in segment coupon_lovers")
    sizes = site.engine.status().segments
    before, after = (set(site.engine.members(name, None, 1000)) for name in ("high_value", "coupon_lovers"))
    playwright.expect(preview).to_contain_text(f"Would enter +{len(after - before)}", use_inner_text=True)
    playwright.expect(preview).to_contain_text(f"Would leave −{len(before - after)}", use_inner_text=True)
    playwright.expect(preview.locator(".counts .big").first).to_have_text(str(sizes["coupon_lovers"]))
    playwright.expect(preview).to_contain_text("Exact, as of")
    assert preview.locator("a[href^='/people/']").count() > 3
    editor.press_sequentially(" and in segment lapsin")
    playwright.expect(preview.locator(".caret")).to_have_text(
        "in segment coupon_lovers and in segment lapsin\n" + " " * 29 + "^" * 17
    )
    playwright.expect(preview.get_by_role("alert")).to_contain_text("lapsing")  # the nearest name
    editor.fill("in segment high_value")
    playwright.expect(preview.get_by_role("alert")).to_contain_text("circle")
    editor.fill(f"trait x = '{'<img src=x onerror=alert(1)>'}' or")
    playwright.expect(preview.locator(".caret")).to_contain_text("<img src=x")
    assert preview.locator("img").count() == 0
    assert page.evaluate("violations") == []
    assert said == []
    context.close()


class _Counting:
    """Estimates at once, and has counted everybody when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def estimate(self, rule: Expression, against: str | None, limit: int) -> Preview:
        return Preview(at=NOW, n_persons=140, exact=False, size=Count(42, 30, 55), missing=["leaf"], sample=[Person(3)])

    def exact(self, rule: Expression, against: str | None, limit: int, stopped: Callable[[], bool]) -> Preview:
        while not self.go.wait(0.05) and not stopped():
            pass
        return Preview(at=NOW, n_persons=140, exact=True, size=Count.of(40), sample=[Person(3)])


def test_an_estimate_becomes_the_exact_figure_by_itself(browser: Browser, site: Shop, counting: _Counting) -> None:
    context = signed_in(browser, site, "phone")
    page = context.new_page()
    page.goto("/try")
    page.get_by_label("Rule").fill("did 'Coupon Applied' within 3 days")
    preview = page.locator("#rule-preview")
    playwright.expect(preview).to_contain_text("about 42")
    playwright.expect(preview).to_contain_text("95 % between 30 and 55")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    counting.go.set()
    playwright.expect(preview.locator(".counts .big").first).to_have_text("40")
    playwright.expect(preview).to_contain_text("Exact, as of")
    assert page.evaluate("violations") == []
    context.close()


def test_a_rule_can_be_tried_without_javascript_and_by_keyboard(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/segments")
    page.get_by_role("link", name="Try a rule").click()
    page.get_by_label("Rule").focus()
    page.keyboard.type("in segment lapsing")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".counts .big").first).to_have_text(str(site.engine.status().segments["lapsing"]))
    playwright.expect(page.get_by_label("Rule")).to_have_value("in segment lapsing")
    context.close()


def test_a_segment_tells_who_came_and_left_and_what_it_shares(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/segments/high_value", wait_until="networkidle")
    playwright.expect(page.locator("[data-chart] svg path").nth(4)).to_be_attached()
    playwright.expect(page.locator("#moves li")).to_have_count(12)
    playwright.expect(page.locator("#moves")).to_contain_text("something they did")
    overlap = page.locator("tr", has=page.locator("td.bar")).filter(has_text="Everyone with an order")
    playwright.expect(overlap).to_contain_text("100.0 %")
    page.locator("#moves a").first.click()
    playwright.expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "/people/" in page.url
    context.close()


def test_lists_grow_in_place(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/people")
    rows = page.locator("#people-rows tr th")
    playwright.expect(rows).to_have_count(50)
    page.get_by_role("link", name="Show more people").click()
    playwright.expect(rows).to_have_count(100)
    page.get_by_role("link", name="Show more people").click()
    playwright.expect(rows).to_have_count(140)
    playwright.expect(page.get_by_role("link", name="Show more people")).to_have_count(0)
    context.close()


def test_mails_are_filtered_by_choosing(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/mails")
    page.get_by_label("Outcome").select_option("suppressed")
    page.wait_for_url("**/mails?state=suppressed*")
    playwright.expect(page.locator("tbody .badge").first).to_have_text("suppressed")
    assert set(page.locator("tbody .badge").all_inner_texts()) == {"suppressed"}
    context.close()


def test_the_keyboard_reaches_the_content_and_shows_where_it_is(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/segments")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id === 'main'")  # Chromium moves the focus with the next frame
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Try a rule"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    context.close()


def test_without_javascript_the_tables_and_links_are_there(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.locator("main summary").first.click()
    playwright.expect(page.get_by_role("columnheader", name="Order Completed")).to_be_visible()
    page.goto("/people")
    page.get_by_role("link", name="Show more people").click()
    playwright.expect(page.get_by_role("link", name="Ada Okafor")).to_have_count(0)
    playwright.expect(page.locator("#people-rows tr th")).to_have_count(50)
    context.close()


def test_a_mail_is_shown_as_it_looks_in_a_frame_that_cannot_act(browser: Browser, site: Shop) -> None:
    hostile = _mail_with_body(site, person=13)
    context = signed_in(browser, site)
    page = context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    before = len(site.events())
    page.goto(f"/mails/{hostile}", wait_until="networkidle")
    frame = page.frame_locator("iframe")
    heading = frame.locator("h1")
    assert heading.evaluate("e => getComputedStyle(e).fontSize") == "26px"  # its own inline styles hold
    assert frame.locator("script").count() == 1  # it is there, and did not run
    assert frame.locator("body").evaluate("() => origin") == "null"
    assert frame.locator("a[href], img[src*='/o/']").count() == 0
    assert dialogs == []
    assert len(site.events()) == before
    page.get_by_text("Text", exact=True).click()
    playwright.expect(page.locator(".tab-text pre")).to_contain_text("These are in your shop this week:")
    context.close()


def test_the_same_mail_outside_the_frame_would_have_acted(browser: Browser, site: Shop) -> None:
    body = site.records.messages.body(_mail_with_body(site, person=13))
    part = message_from_bytes(body or b"", policy=policy.default).get_body(("html",))  # type: ignore[attr-defined]
    context = browser.new_context()
    page: Page = context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.set_content(part.get_content())
    assert "1" in dialogs
    context.close()


def test_unsubscribing_by_the_page(browser: Browser, site: Shop) -> None:
    from seeded_shop import address_hash

    facts = list(site.engine.people.values())[31]
    context = browser.new_context(base_url=site.context.settings.base_url)
    page = context.new_page()
    page.goto(site.links.unsubscribe(_mail_with_body(site, person=31), address_hash(facts), "marketing"))
    page.get_by_role("button", name="Unsubscribe").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
    assert not site.records.consents.granted([address_hash(facts)], "marketing")
    context.close()


def test_signing_out(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/people")
    assert page.url.endswith("/login")
    context.close()
