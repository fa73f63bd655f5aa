"""Devices, systems and browsers of real-life User-Agent texts, each expectation read through by hand."""

import json
from pathlib import Path

import pytest

from mailwright.ingest.context.agents import Agent, hinted, read_agent

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "agents.json").read_text())
CHROME_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36"
)
BRANDS = [
    {"brand": "Not-A.Brand", "version": "99"},
    {"brand": "Chromium", "version": "124"},
    {"brand": "Google Chrome", "version": "124"},
]


@pytest.mark.parametrize("row", GOLDEN, ids=[row["agent"][:60] for row in GOLDEN])
def test_a_known_text_tells_its_device(row):
    found = read_agent(row["agent"])
    assert {"device": dict(found.device), "os": dict(found.os), "browser": dict(found.browser)} == {
        key: row[key] for key in ("device", "os", "browser")
    }


def test_every_type_is_among_the_golden_ones():
    assert len(GOLDEN) >= 40
    types = {row["device"].get("type") for row in GOLDEN}
    assert types == {"mobile", "tablet", "desktop", "bot", "mail proxy", None}


def test_client_hints_know_what_a_frozen_text_hides():
    hints = {"brands": BRANDS, "mobile": True, "platform": "Android", "platformVersion": "14.0.0", "model": "Pixel 8"}
    found = hinted(read_agent(CHROME_ANDROID), hints)
    assert found.device == {"type": "mobile", "model": "Pixel 8"}
    assert found.os == {"name": "Android", "version": "14"}
    assert found.browser == {"name": "Chrome", "version": "124"}


@pytest.mark.parametrize(("version", "shown"), [("15.0.0", "11"), ("13.0.0", "11"), ("10.0.0", "10"), ("0.1.0", None)])
def test_windows_is_told_by_its_platform_version(version, shown):
    found = hinted(Agent({}, {}, {}), {"platform": "Windows", "platformVersion": version, "mobile": False})
    assert found.os.get("version") == shown
    assert found.device["type"] == "desktop"


def test_hints_of_another_system_leave_no_version_of_the_old_one():
    found = hinted(read_agent(CHROME_ANDROID), {"platform": "Linux", "mobile": False})
    assert found.os == {"name": "Linux"}


def test_a_bot_stays_a_bot_whatever_it_hints():
    bot = read_agent("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)")
    assert hinted(bot, {"mobile": True, "platform": "Android"}) == bot


@pytest.mark.parametrize(
    "hints", [{}, {"brands": "x", "mobile": "yes", "platform": 3}, {"brands": [1, {"brand": None}]}]
)
def test_hints_of_a_wrong_shape_say_nothing(hints):
    agent = read_agent(CHROME_ANDROID)
    assert hinted(agent, hints) == agent


@pytest.mark.parametrize("text", ["", "x", "Mozilla/5.0 " * 5000, "\x00\ud800", "(" * 600, "🛒" * 300])
def test_any_text_is_read_and_says_only_what_can_be_stored(text):
    found = read_agent(text)
    told = [*found.device.values(), *found.os.values(), *found.browser.values()]
    assert all(isinstance(value, str) and value.encode() for value in told)
