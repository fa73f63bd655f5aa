"""The pages of collecting and knowing people in Chromium: readable in light and dark, usable by keyboard and reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from chromium import SIZES, chromium, needs_chromium, playwright, signed_in
from seeded_shop import Shop, make_shop
from serving import free_socket, served
from test_web_jobs import told as with_jobs
from test_web_quality import fill as with_findings
from test_web_sources import BAD, PLAN, send
from visitors import client_of

from mailwright.runtime.collected import Collected
from mailwright.runtime.write_keys import create_client, create_key
from mailwright.web.app import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium()

PAGES = [
    "/",
    "/people",
    "/people/2",
    "/accounts",
    "/accounts/acme",
    "/sources",
    "/sources/quarantine",
    "/sources/quarantine?source=till",
    "/sources/quarantine/1",
    "/forms",
    "/forms/club",
    "/f/club",
    "/quality",
    "/data-map",
    "/jobs",
    "/people/99999",
]

FAULTS = """() => {
  document.querySelectorAll("main details").forEach((one) => { one.open = true; });
  const faults = [], ids = new Set();
  const shown = (one) => one.checkVisibility({visibilityProperty: true}) && !one.closest("[aria-hidden=true]");
  const said = (one) => one.outerHTML.slice(0, 120);
  const heads = [...document.querySelectorAll("h1, h2, h3, h4")].filter(shown);
  if (heads.filter((one) => one.tagName === "H1").length !== 1) faults.push("not one h1");
  heads.reduce((before, one) => {
    if (+one.tagName[1] > before + 1) faults.push("skips a level: " + said(one));
    return +one.tagName[1];
  }, 0);
  for (const one of document.querySelectorAll("[id]")) {
    if (ids.has(one.id)) faults.push("twice the id " + one.id);
    ids.add(one.id);
  }
  const labels = (one) => [...(one.labels || [])].map((label) => label.textContent).join("").trim();
  const name = (one) => one.getAttribute("aria-label") || labels(one) || one.textContent.trim();
  for (const one of document.querySelectorAll("a[href], button, summary, [role=region]"))
    if (shown(one) && !name(one)) faults.push("no name: " + said(one));
  for (const one of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (shown(one) && !one.getAttribute("aria-label") && !labels(one)) faults.push("no label: " + said(one));
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways");

  const numbers = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const back = (one) => {
    if (!one) return [255, 255, 255];
    const own = numbers(getComputedStyle(one).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, back(one.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((n) => (n /= 255) <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = new Set();
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(one) || one.closest(".hidden, .skip, script, option")) continue;
    const style = getComputedStyle(one), behind = back(one), front = over(numbers(style.color), behind);
    const [a, b] = [light(front), light(behind)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.add(`contrast ${ratio.toFixed(2)}: ${said(one)}`);
  }
  return [...faults, ...poor];
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    bound = free_socket()
    made = make_shop(tmp_path_factory.mktemp("site"), f"http://127.0.0.1:{bound.getsockname()[1]}", n_people=30)
    with_jobs(made)
    collected = Collected(made.records.sources, made.context.clock, made.log)
    made.context = replace(made.context, project=replace(made.context.project, tracking_plan=PLAN), collected=collected)
    send(client_of(made), BAD, {**BAD, "messageId": "m-2", "properties": {"order_id": "o2"}})
    sources, now = made.records.sources, made.wall.now()
    create_key(sources, "the till of the shop in the very long street by the sea", server=True, now=now, who="ada")
    create_client(sources, "crm", now=now, who="ada")
    with_findings(made)
    made.app = create_app(made.context)
    with served(made.app, bound):
        yield made
    made.records.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("size", SIZES)
def test_every_page_names_its_parts_keeps_its_order_and_can_be_read(browser: Browser, site: Shop, size: str) -> None:
    context = signed_in(browser, site, size)
    page = context.new_page()
    found = {}
    for path in PAGES:
        page.goto(path)
        if faults := page.evaluate(FAULTS):
            found[path] = faults
    context.close()
    assert found == {}


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_phone_the_pages_without_room_are_in_a_menu_that_says_so(
    browser: Browser, site: Shop, scripts: bool
) -> None:
    context = signed_in(browser, site, "phone", java_script_enabled=scripts)
    page = context.new_page()
    page.goto("/segments")
    pages = page.get_by_role("navigation", name="Pages")
    more = pages.locator("summary")
    assert more.inner_text().startswith("More")
    playwright.expect(pages.get_by_role("link", name="Jobs")).to_have_count(0)
    more.focus()
    page.keyboard.press("Enter")
    playwright.expect(pages.get_by_role("link")).to_have_count(12)
    for link in pages.get_by_role("link").all():
        box = link.bounding_box()
        assert box is not None
        assert (box["x"] >= 0, box["x"] + box["width"] <= 390, box["y"] + box["height"] <= 844) == (True, True, True)
    if scripts:
        page.keyboard.press("Escape")
        playwright.expect(pages.get_by_role("link")).to_have_count(5)
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts")
    playwright.expect(pages.locator("summary.here")).to_be_visible()
    context.close()


def test_on_a_wide_screen_every_page_has_its_link_and_there_is_no_menu(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site, "light")
    page = context.new_page()
    page.goto("/jobs")
    pages = page.get_by_role("navigation", name="Pages")
    playwright.expect(pages.get_by_role("link")).to_have_count(12)
    playwright.expect(pages.locator("summary")).to_be_hidden()
    assert pages.locator("a:visible[aria-current]").all_inner_texts() == ["Jobs"]
    context.close()


def test_on_a_phone_figures_in_lists_say_what_they_are(browser: Browser, site: Shop) -> None:
    context = signed_in(browser, site, "phone")
    page = context.new_page()
    for path, label in {"/sources": "Held", "/jobs": "Next", "/data-map": "Legal basis", "/forms": "Submitted"}.items():
        page.goto(path)
        cell = page.locator(f"td[data-label='{label}']:visible").first
        assert cell.evaluate("e => getComputedStyle(e, '::before').content") == f'"{label}"', path
    context.close()
