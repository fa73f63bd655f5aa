"""The door's resolver: what a context says of itself, made into facts that rules and mails read.

It is applied to the clear context before sealing, once per distinct one. What the caller sent wins over what is guessed
here, thing by thing: a caller that sends a ``geo`` gets no other, one that sends a ``device`` gets what it left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from mailwright.core.places import Address, Place, Places
from mailwright.ingest.context.addresses import read_address, truncated
from mailwright.ingest.context.agents import hinted, read_agent
from mailwright.ingest.context.channels import ChannelDefinition, campaign_of, traffic_of, visit_of

KeepIp = Literal["truncated", "whole", "dropped"]

_READ = frozenset(
    {"ip", "userAgent", "userAgentData", "locale", "page", "campaign", "referrer", "location", "device", "geo"}
)
"""A context without any of these stays as it is, at once."""

_PLATFORMS = {"ios": "iOS", "ipados": "iOS", "android": "Android"}
_PLACES = 4096


class NoPlaces:
    """Knows no place: no file is declared."""

    version = 0

    def find(self, address: Address) -> None:
        """Nothing."""


class ContextResolver:
    """Adds to a context what follows from it. Safe to call from several threads."""

    def __init__(
        self,
        places: Places | None = None,
        *,
        keep_ip: KeepIp = "truncated",
        channels: Callable[[], Sequence[ChannelDefinition]] = tuple,
    ) -> None:
        """Look places up in `places`; `channels` gives the project's own rules now in force, and must not block."""
        self._places = places or NoPlaces()
        self._keep_ip = keep_ip
        self._channels = channels
        self._version = -1
        self._place = lru_cache(maxsize=_PLACES)(self._places.find)

    def __call__(self, context: dict[str, Any]) -> dict[str, Any]:
        """The context with what follows from it; the very same object if nothing does. It is not changed itself."""
        if _READ.isdisjoint(context):
            return context
        found = dict(context)
        self._add_place(found)
        _add_agent(found)
        _add_language(found)
        self._add_traffic(found)
        return context if found == context else found

    def _add_place(self, context: dict[str, Any]) -> None:
        address = read_address(context["ip"].strip()) if isinstance(context.get("ip"), str) else None
        place = self._found(address) if address is not None else None
        if address is not None:
            if self._keep_ip == "dropped":
                del context["ip"]
            elif self._keep_ip == "truncated":
                context["ip"] = truncated(address)
        geo = _sent_place(context)
        if geo is None and place is not None:
            geo = msgspec.to_builtins(place)
        if geo:
            context["geo"] = geo
            zone = geo.get("time_zone")
            if zone and not context.get("timezone"):
                context["timezone"] = zone

    def _found(self, address: Address) -> Place | None:
        if self._places.version != self._version:
            self._version = self._places.version
            self._place.cache_clear()
        return self._place(address)

    def _add_traffic(self, context: dict[str, Any]) -> None:
        campaign = campaign_of(context)
        if campaign and not context.get("campaign"):
            context["campaign"] = dict(campaign)
        if context.get("traffic_source") is not None:
            return
        traffic = traffic_of(visit_of(context), self._channels())
        if traffic is not None:
            context["traffic_source"] = traffic.channel
            if traffic.name:
                context["traffic_name"] = traffic.name


def _sent_place(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """The place that the caller told, as ``geo`` or as ``location``, the name in the Segment spec."""
    for key in ("geo", "location"):
        told = context.get(key)
        if isinstance(told, dict) and any(value not in (None, "") for value in told.values()):
            return told
    return None


def _add_agent(context: dict[str, Any]) -> None:
    text, hints = context.get("userAgent"), context.get("userAgentData")
    agent = read_agent(text) if isinstance(text, str) and text else None
    if isinstance(hints, dict):
        agent = hinted(agent or read_agent("-"), hints)
    sent = context.get("device")
    if isinstance(sent, dict) and sent:
        context["device"], platform = _device_as_ours(sent)
        if platform and not context.get("os"):
            context["os"] = {"name": platform}
    if agent is None:
        return
    for key, facts in (("device", agent.device), ("os", agent.os), ("browser", agent.browser)):
        told = context.get(key)
        if facts and (told is None or isinstance(told, dict)):
            if key == "os" and told and told.get("name") not in (None, "", facts.get("name")):
                continue  # another system: its version is not this one's
            given = {name: value for name, value in (told or {}).items() if value not in (None, "")}
            context[key] = {**facts, **given}


def _device_as_ours(sent: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A sent device in our words, and the operating system that it names.

    The mobile libraries of Segment send ``ios`` or ``android`` for a type and ``manufacturer`` for the brand.
    """
    device = dict(sent)
    if not device.get("brand") and isinstance(device.get("manufacturer"), str):
        device["brand"] = device["manufacturer"]
    kind = str(device.get("type") or "").strip().lower()
    platform = _PLATFORMS.get(kind, "")
    if platform:
        told = f"{device.get('model', '')} {device.get('name', '')}".lower()
        device["type"] = "tablet" if "ipad" in told or "tab" in told.split() or kind == "ipados" else "mobile"
    elif kind in ("phone", "smartphone"):
        device["type"] = "mobile"
    return device, platform


def _add_language(context: dict[str, Any]) -> None:
    locale = context.get("locale")
    if isinstance(locale, str) and locale:
        language, country = _read_locale(locale[:64])
        if language and not context.get("language"):
            context["language"] = language
    else:
        country = ""
    geo = context.get("geo")
    country = (geo.get("country") if isinstance(geo, dict) else None) or country
    if country and not context.get("country"):
        context["country"] = country


@lru_cache(maxsize=1024)
def _read_locale(text: str) -> tuple[str, str]:
    """(language, country) of ``de-AT``, ``en_US.UTF-8``, ``zh-Hant-TW``; empty where it says none."""
    parts = text.partition(".")[0].partition("@")[0].replace("_", "-").split("-")
    language = parts[0].lower() if parts[0].isascii() and parts[0].isalpha() and 2 <= len(parts[0]) <= 3 else ""
    country = next((part.upper() for part in parts[1:] if len(part) == 2 and part.isascii() and part.isalpha()), "")
    return (language, country) if language else ("", "")
