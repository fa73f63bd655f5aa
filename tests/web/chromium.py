"""The real Chromium of the tests: what a file needs that uses it, and how it is started."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mailwright.web.templating import BUNDLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
LISTEN = (
    "window.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"
)
"""A script that notes what breaks the policy of the page."""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
playwright.expect.set_options(timeout=60_000)  # what comes is seen at once; the limit is for a machine that is busy


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
    """A browser until the block ends."""
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()
