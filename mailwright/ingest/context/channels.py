"""What brought a visit: its campaign, and the channel of its traffic source.

A channel is ``email``, ``paid_search``, ``organic_search``, ``social``, ``paid_social``, ``display``, ``affiliate``,
``referral``, ``direct``, or a word that the project's ``channels.yaml`` adds. What is looked at, in this order: the
project's own rules, our click id, the campaign's medium and source, the click ids of advertisers, the referring page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from mailwright.core.errors import Issue

OUR_CLICK = "mw_click"
"""The parameter that our mails' links bring to the shop's page."""

_MAX_URL = 4096
_MAX_VALUE = 256
_Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_Patterns = tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=200)], ...]


class ChannelDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One rule of ``channels.yaml``, under its name; of several that fit the first counts, before the built-in ones.

    A visit fits if it fits every condition that is given, and one condition at least must be. ``*`` stands for any
    text; capitals do not count.

    Attributes:
        channel: What ``context.traffic_source`` becomes.
        source: What ``context.traffic_name`` becomes; empty: the campaign's source, else the referring site.
        utm_source: Patterns for the campaign's source.
        utm_medium: Patterns for its medium.
        utm_campaign: Patterns for its name.
        referrer: Sites, with everything below them: ``partner.example`` is ``www.partner.example`` too.
        parameter: Names of parameters in the page's address.
    """

    channel: _Word
    source: str = ""
    utm_source: _Patterns = ()
    utm_medium: _Patterns = ()
    utm_campaign: _Patterns = ()
    referrer: _Patterns = ()
    parameter: _Patterns = ()

    def check(self, path: str) -> list[Issue]:
        """Faults that types cannot tell: no condition at all."""
        if any((self.utm_source, self.utm_medium, self.utm_campaign, self.referrer, self.parameter)):
            return []
        hint = "give utm_source, utm_medium, utm_campaign, referrer or parameter"
        return [Issue(path=path, message="this channel has no condition, so it would take every visit", hint=hint)]

    def fits(self, visit: Visit) -> bool:
        """Whether a visit is meant."""
        campaign = visit.campaign
        told = (
            (self.utm_source, [campaign.get("source", "")]),
            (self.utm_medium, [campaign.get("medium", "")]),
            (self.utm_campaign, [campaign.get("name", "")]),
            (self.parameter, [*visit.parameters]),
        )
        named = all(_any_like(patterns, values) for patterns, values in told if patterns)
        return named and (not self.referrer or any(_below(visit.referrer, site.lower()) for site in self.referrer))


class Visit(NamedTuple):
    """What is known of how somebody came.

    Attributes:
        campaign: ``name``, ``source``, ``medium``, ``term``, ``content``, ``id``, those that were told.
        parameters: Names of the parameters of the page's address.
        site: Host of the page; empty if no page was told.
        referrer: Host of the page before; empty if there was none.
    """

    campaign: Mapping[str, str]
    parameters: frozenset[str]
    site: str
    referrer: str


class Traffic(NamedTuple):
    """A channel and the name of the source in it, which may be empty."""

    channel: str
    name: str


_UTM = {
    "utm_campaign": "name",
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_term": "term",
    "utm_content": "content",
    "utm_id": "id",
}
_CLICK_IDS = {
    "gclid": Traffic("paid_search", "google"),
    "gbraid": Traffic("paid_search", "google"),
    "wbraid": Traffic("paid_search", "google"),
    "msclkid": Traffic("paid_search", "bing"),
    "yclid": Traffic("paid_search", "yandex"),
    "dclid": Traffic("display", "google"),
    "ttclid": Traffic("paid_social", "tiktok"),
    "li_fat_id": Traffic("paid_social", "linkedin"),
    "twclid": Traffic("paid_social", "x"),
    "rdt_cid": Traffic("paid_social", "reddit"),
}
"""Of these only advertisements have one; ``fbclid`` is not here, for every link on Facebook has it."""

_MEDIA = {
    "email": "email", "e-mail": "email", "mail": "email", "newsletter": "email",
    "cpc": "paid_search", "ppc": "paid_search", "paid": "paid_search", "paidsearch": "paid_search",
    "paid_search": "paid_search", "paid-search": "paid_search", "sem": "paid_search", "adwords": "paid_search",
    "paidsocial": "paid_social", "paid_social": "paid_social", "paid-social": "paid_social",
    "social": "social", "social-media": "social", "social_media": "social", "sm": "social",
    "display": "display", "banner": "display", "cpm": "display", "interstitial": "display", "video": "display",
    "affiliate": "affiliate", "affiliates": "affiliate", "partner": "affiliate",
    "organic": "organic_search", "seo": "organic_search",
    "referral": "referral", "link": "referral",
}  # fmt: skip
_SEARCH = {
    "google": "google", "bing": "bing", "duckduckgo": "duckduckgo", "ecosia": "ecosia", "qwant": "qwant",
    "baidu": "baidu", "yandex": "yandex", "naver": "naver", "startpage": "startpage", "seznam": "seznam",
}  # fmt: skip
_SEARCH_HOSTS = {"search.yahoo.com": "yahoo", "search.brave.com": "brave", "search.aol.com": "aol"}
_SOCIAL = {
    "facebook.com": "facebook", "fb.com": "facebook", "instagram.com": "instagram", "threads.net": "threads",
    "x.com": "x", "twitter.com": "x", "t.co": "x", "linkedin.com": "linkedin", "lnkd.in": "linkedin",
    "pinterest.com": "pinterest", "reddit.com": "reddit", "youtube.com": "youtube", "youtu.be": "youtube",
    "tiktok.com": "tiktok", "snapchat.com": "snapchat", "tumblr.com": "tumblr", "vk.com": "vk", "xing.com": "xing",
    "quora.com": "quora", "bsky.app": "bluesky", "mastodon.social": "mastodon", "t.me": "telegram",
    "whatsapp.com": "whatsapp", "wa.me": "whatsapp", "discord.com": "discord", "messenger.com": "facebook",
}  # fmt: skip
_SOCIAL_NAMES = frozenset(_SOCIAL.values()) | {"twitter", "fb", "ig", "meta", "facebook_ads", "instagram_ads"}
_WEBMAIL = {
    "mail.google.com": "gmail", "outlook.live.com": "outlook", "outlook.office.com": "outlook",
    "outlook.office365.com": "outlook", "mail.yahoo.com": "yahoo mail", "mail.aol.com": "aol mail",
    "mail.proton.me": "proton mail", "mail.zoho.com": "zoho mail", "navigator.gmx.net": "gmx",
    "com.google.android.gm": "gmail", "deref-gmx.net": "gmx", "deref-web.de": "web.de", "mail.ru": "mail.ru",
}  # fmt: skip


def campaign_of(context: Mapping[str, Any]) -> Mapping[str, str]:
    """The campaign of a context: as told, else out of the page's address."""
    told = context.get("campaign")
    if isinstance(told, dict) and told:
        return {key: value for key, value in told.items() if isinstance(value, str) and value}
    return _address(_query_of(context)).campaign


class _Query(NamedTuple):
    campaign: Mapping[str, str]
    parameters: frozenset[str]


def _query_of(context: Mapping[str, Any]) -> str:
    page = context.get("page")
    if not isinstance(page, dict):
        return ""
    search, url = page.get("search"), page.get("url")
    if isinstance(search, str) and search:
        return search.lstrip("?")[:_MAX_URL]
    return url[:_MAX_URL].partition("?")[2].partition("#")[0] if isinstance(url, str) else ""


@lru_cache(maxsize=4096)
def _address(query: str) -> _Query:
    if not query:
        return _Query({}, frozenset())
    try:
        pairs = parse_qsl(query, max_num_fields=100)
    except ValueError:
        return _Query({}, frozenset())
    told = {_UTM[key.lower()]: value[:_MAX_VALUE] for key, value in pairs if key.lower() in _UTM and value}
    return _Query(told, frozenset(key.lower() for key, _ in pairs))


def visit_of(context: Mapping[str, Any]) -> Visit:
    """What a context tells of how somebody came."""
    page = context.get("page")
    page = page if isinstance(page, dict) else {}
    referrer = context.get("referrer")
    came_from = page.get("referrer") or (referrer.get("url") if isinstance(referrer, dict) else referrer)
    site = _host(page.get("url")) or _host(page.get("host"))
    return Visit(campaign_of(context), _address(_query_of(context)).parameters, site, _host(came_from))


def traffic_of(visit: Visit, own: Sequence[ChannelDefinition] = ()) -> Traffic | None:
    """The channel of a visit; None if nothing says how somebody came, or it was from a page of the same site."""
    for rule in own:
        if rule.fits(visit):
            return Traffic(rule.channel, rule.source or visit.campaign.get("source", "") or visit.referrer)
    if OUR_CLICK in visit.parameters:
        return Traffic("email", visit.campaign.get("source", "") or "mailwright")
    medium, source = (visit.campaign.get(key, "").strip().lower() for key in ("medium", "source"))
    clicked = next((found for name, found in _CLICK_IDS.items() if name in visit.parameters), None)
    if clicked is not None and not (medium or source):
        return clicked
    if medium or source:
        return Traffic(_by_campaign(medium, source), source or visit.referrer)
    return _by_referrer(visit)


def _by_campaign(medium: str, source: str) -> str:
    channel = _MEDIA.get(medium, "")
    social = source in _SOCIAL_NAMES or _of_site(source, _SOCIAL) is not None
    if channel == "paid_search" and social:
        return "paid_social"
    if channel:
        return channel
    if social:
        return "social"
    if not medium and source in _SEARCH:
        return "organic_search"
    return "email" if source in ("newsletter", "email", "mailwright") else "referral"


def _by_referrer(visit: Visit) -> Traffic | None:
    host = visit.referrer
    if not host:
        return Traffic("direct", "") if visit.site else None
    if visit.site and _site(host) == _site(visit.site):
        return None
    for channel, sites in (("email", _WEBMAIL), ("organic_search", _SEARCH_HOSTS), ("social", _SOCIAL)):
        if name := _of_site(host, sites):
            return Traffic(channel, name)
    engine = _SEARCH.get(_site(host).partition(".")[0])
    return Traffic("organic_search", engine) if engine else Traffic("referral", host)


def _of_site(host: str, sites: Mapping[str, str]) -> str | None:
    labels = host.split(".")
    return next((sites[name] for n in range(len(labels)) if (name := ".".join(labels[n:])) in sites), None)


def _below(host: str, site: str) -> bool:
    return host == site or host.endswith("." + site)


def _site(host: str) -> str:
    """About what somebody registered: the last two labels, or three below the likes of co.uk."""
    labels = host.split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-n:])


def _host(url: Any) -> str:
    return _host_of(url[:_MAX_URL]) if isinstance(url, str) and url else ""


@lru_cache(maxsize=4096)
def _host_of(url: str) -> str:
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").rstrip(".")


def _any_like(patterns: Sequence[str], values: Sequence[str]) -> bool:
    return any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns for value in values if value)
