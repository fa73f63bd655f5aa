"""What a User-Agent text and a browser's client hints say: device, operating system, browser.

Device types are ``mobile``, ``tablet``, ``desktop``, ``bot`` and ``mail proxy`` (a mail provider's machine that fetches
pictures for its readers); of anything else, such as a television, the type is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from ua_parser import OS, Device, UserAgent, parse

Facts = Mapping[str, str]

MAX_CHARS = 512
"""A longer text is cut: a User-Agent is 100 to 250 characters long, and patterns are searched in all of it."""

_PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|YahooCacheSystem.*mail|ymailproxy|BingPreviewMail", re.I)
_APPLE_PROXY = frozenset({"Mozilla/5.0"})
_BOTS = re.compile(
    r"bot\b|bot[/;\- ]|crawler|spider|slurp|facebookexternalhit|lighthouse|headlesschrome|phantomjs|preview|monitor"
    r"|pingdom|uptime|^(curl|wget|python|go-http|java|okhttp|node|axios|libwww|scrapy|ruby|postman|httpie)",
    re.I,
)
_TABLETS = re.compile(
    r"ipad|tablet|playbook|kindle|silk/(?!.*mobile)|\bKF[A-Z]{2,}\b|nexus (7|9|10)\b|\bSM-[TX]\d", re.I
)
_PHONES = re.compile(r"iphone|ipod|windows phone|\bmobile\b|blackberry|opera mini", re.I)
_NO_COMPUTER = re.compile(r"smart-?tv|appletv|googletv|bravia|\bweb0s\b|tizen.*tv|roku|playstation|xbox|nintendo", re.I)
_COMPUTERS = frozenset({"Windows", "macOS", "Linux", "Chrome OS", "Ubuntu", "Fedora", "Debian", "FreeBSD", "OpenBSD"})
_PORTABLE = frozenset({"iOS", "Android", "KaiOS", "HarmonyOS"})

_OS_NAMES = {"Mac OS X": "macOS", "iPadOS": "iOS"}
_NOTHING = frozenset({"Other", "Spider", "K", "Smartphone", "Feature Phone", "Tablet"})
_ADDED = re.compile(r" ?\b(Mobile( WebView)?|iOS|Webview|WKWebView|UI/WKWebView)\b", re.I)
_BROWSERS = {
    "google chrome": "Chrome",
    "microsoft edge": "Edge",
    "chromium": "Chromium",
    "yandex browser": "Yandex Browser",
}
_FILLER = re.compile(r"not.{0,3}a.{0,3}brand", re.I)  # browsers add a brand of such a name so that none relies on lists
_WINDOWS_11 = 13  # the platform version from which Windows calls itself 11


class Agent(msgspec.Struct, frozen=True):
    """What is known; a fact that is not is left out, and never empty."""

    device: Facts
    os: Facts
    browser: Facts


@lru_cache(maxsize=8192)
def read_agent(text: str) -> Agent:
    """What a User-Agent text says; remembered for the texts that came last."""
    text = text[:MAX_CHARS].strip().encode(errors="replace").decode()  # half a surrogate pair is no UTF-8
    if text in _APPLE_PROXY:
        return Agent({"type": "mail proxy", "brand": "Apple"}, {}, {})
    parsed = parse(text)
    proxy = bool(_PROXIES.search(text))
    if proxy or _is_bot(text, parsed.device, parsed.user_agent):
        # Neither the system nor the device behind it are a person's, even if it claims one.
        name = _known({"name": parsed.user_agent.family if parsed.user_agent else ""})
        brand = next((each for each in ("Google", "Yahoo") if each in text), "")
        return Agent(
            _known({"type": "mail proxy", "brand": brand}) if proxy else {"type": "bot"}, {}, {} if proxy else name
        )
    os = _os(parsed.os)
    return Agent(_device(text, parsed.device, os.get("name", "")), os, _browser(parsed.user_agent))


def _is_bot(text: str, device: Device | None, agent: UserAgent | None) -> bool:
    if device is not None and device.family == "Spider":
        return True
    return bool(_BOTS.search(text)) and (agent is None or agent.family not in ("Cubot",))


def _os(told: OS | None) -> Facts:
    if told is None:
        return {}
    return _known({"name": _OS_NAMES.get(told.family, told.family), "version": _version(told.major, told.minor)})


def _browser(told: UserAgent | None) -> Facts:
    if told is None:
        return {}
    name = _ADDED.sub("", told.family).strip()
    return _known(
        {"name": "Safari" if told.family == "Mobile Safari" else name, "version": _version(told.major, told.minor)}
    )


def _version(major: str | None, minor: str | None) -> str:
    if not major:
        return ""
    return f"{major}.{minor}" if minor and minor != "0" else major


def _device(text: str, told: Device | None, os: str) -> Facts:
    brand, model = (told.brand or "", told.model or "") if told else ("", "")
    brand, model = ("" if each in _NOTHING or each.startswith("Generic") else each for each in (brand, model))
    return _known({"type": _type(text, os), "brand": brand, "model": model})


def _type(text: str, os: str) -> str:
    if _NO_COMPUTER.search(text):
        return ""
    if _TABLETS.search(text):
        return "tablet"
    if _PHONES.search(text):
        return "mobile"
    if os in _PORTABLE:
        # A browser of Android that does not say Mobile is a tablet's; an app's own HTTP client never says it.
        return "tablet" if os == "Android" and text.startswith("Mozilla/") else "mobile"
    return "desktop" if os in _COMPUTERS else ""


def _known(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if value and value != "Other"}


# --- client hints ----------------------------------------------------------------------------------------------------


def hinted(agent: Agent, hints: Mapping[str, Any]) -> Agent:
    """`agent` with what ``navigator.userAgentData`` knows better: a frozen User-Agent text hides model and version."""
    if agent.device.get("type") in ("bot", "mail proxy"):
        return agent
    platform = _OS_NAMES.get(_text(hints.get("platform")), _text(hints.get("platform")))
    os = _known({"name": platform, "version": _platform_version(platform, _text(hints.get("platformVersion")))})
    device = _known({"type": _hinted_type(hints.get("mobile"), platform), "model": _text(hints.get("model"))})
    browser = _hinted_browser(hints.get("fullVersionList") or hints.get("brands"))
    other = "name" in os and os["name"] != agent.os.get("name")
    return Agent({**agent.device, **device}, os if other else {**agent.os, **os}, {**agent.browser, **browser})


def _hinted_type(mobile: Any, platform: str) -> str:
    if not isinstance(mobile, bool):
        return ""
    if mobile:
        return "mobile"
    return "tablet" if platform == "Android" else ("desktop" if platform in _COMPUTERS else "")


def _platform_version(platform: str, version: str) -> str:
    major, _, rest = version.partition(".")
    if not major.isdigit():
        return ""
    if platform == "Windows":
        return "11" if int(major) >= _WINDOWS_11 else ("10" if int(major) else "")
    return _version(major, rest.partition(".")[0])


def _hinted_browser(brands: Any) -> Facts:
    if not isinstance(brands, list):
        return {}
    told = [(_text(each.get("brand")), _text(each.get("version"))) for each in brands if isinstance(each, dict)]
    real = [each for each in told if each[0] and not _FILLER.search(each[0])]
    chosen = next((each for each in real if each[0] != "Chromium"), real[0] if real else None)
    if chosen is None:
        return {}
    major, _, rest = chosen[1].partition(".")
    name = _BROWSERS.get(chosen[0].lower(), chosen[0])
    return _known({"name": name, "version": _version(major, rest.partition(".")[0])})


def _text(value: Any) -> str:
    return value.strip()[:64] if isinstance(value, str) else ""
