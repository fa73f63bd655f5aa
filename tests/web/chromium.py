"""The real Chromium of the tests: what a file needs that uses it, how it is started, and a window signed in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from seeded_shop import Shop

from mailwright.core.instants import MINUTE, Instant
from mailwright.web.sessions import new_login_link
from mailwright.web.templating import BUNDLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
LISTEN = (
    "window.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"
)
"""A script that notes what breaks the policy of the page."""

PATIENCE_MS = 120_000
"""What comes is seen at once; the limit is for a machine that is busy."""

SIZES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
playwright.expect.set_options(timeout=PATIENCE_MS)


def needs_chromium(asset: str = "pages.js") -> list[pytest.MarkDecorator]:
    """The marks of a file whose tests need a browser, and this file of the bundle."""
    return [
        pytest.mark.browser,
        pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium"),
        pytest.mark.skipif(
            not (BUNDLE / asset).is_file(), reason="the browser bundle is not built: npm ci && node build.mjs"
        ),
    ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser until the block ends, all of whose windows are patient."""
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET, timeout=PATIENCE_MS)
        make = started.new_context

        def new_context(**options: Any) -> BrowserContext:
            made: BrowserContext = make(**options)
            made.set_default_timeout(PATIENCE_MS)
            return made

        started.new_context = new_context
        yield started
        started.close()


def signed_in(browser: Browser, site: Shop, size: str = "light", **more: Any) -> BrowserContext:
    """A window of that size whose person is signed in; the login itself is done by mouse."""
    site.wall.at = Instant(site.wall.at + MINUTE)  # else so many logins from one address would be throttled
    base = site.context.settings.base_url
    context = browser.new_context(**SIZES[size], base_url=base, **more)
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.goto(new_login_link(site.records.users, site.wall, base, "demo"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(base + "/")
    page.close()
    return context
