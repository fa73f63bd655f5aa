"""A person's time zone: what they said it is, else where they were seen last, else the shop's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

ZONE = ("timezone",)
"""The path of a zone's name, in traits as in the context of an event."""

ToldBy = Literal["trait", "context", "shop"]


class PersonZone(NamedTuple):
    """The zone that holds for a person, and what it was taken from."""

    zone: tzinfo
    told_by: ToldBy


def zone_of(said: Any, seen: Any, shop: tzinfo) -> PersonZone:
    """The first of three that names a zone.

    Args:
        said: Trait ``timezone``, as it was written last; None: never, or removed.
        seen: ``timezone`` of the newest context that carried one; None: none did.
        shop: The shop's zone.
    """
    if (zone := _zone_in(said)) is not None:
        return PersonZone(zone, "trait")
    if (zone := _zone_in(seen)) is not None:
        return PersonZone(zone, "context")
    return PersonZone(shop, "shop")


def _zone_in(value: Any) -> tzinfo | None:
    return zone_named(value) if isinstance(value, str) else None


@lru_cache(maxsize=1024)
def zone_named(name: str) -> tzinfo | None:
    """The time zone of an IANA name such as ``America/New_York``; None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder of the database, such as "America"
        return None


def zone_spelled(text: str) -> str | None:
    """A zone's name as it is spelled, from any case, with spaces for ``_`` or around it; None if there is no such zone.

    Other names of one zone (``US/Eastern``) stay: they mean the same time.
    """
    trimmed = text.strip()
    spelled = _spelled().get(trimmed.casefold().replace(" ", "_"))
    return spelled or (trimmed if zone_named(trimmed) is not None else None)


@cache
def _spelled() -> Mapping[str, str]:
    return {name.casefold(): name for name in available_timezones()}
