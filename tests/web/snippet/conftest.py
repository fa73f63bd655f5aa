"""A door, a shop's pages and a browser for the tests of the snippet; each test has a key of its own at the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from chromium import chromium
from live_shop import Live
from snippet_shop import Heard, ShopPages, shop_pages, snippet_door

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with snippet_door(tmp_path_factory.mktemp("live")) as made:
        yield made


@pytest.fixture(scope="module")
def shop() -> Iterator[ShopPages]:
    with shop_pages() as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def window(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A page that must not complain."""
    made = window.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    assert errors == []


@pytest.fixture
def heard(live: Live) -> Heard:
    return Heard(live)
