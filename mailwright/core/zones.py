"""Time zones by their IANA names, such as ``America/New_York``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones


def zone_named(name: object) -> ZoneInfo | None:
    """The time zone of a name; None if there is none, and of what is no text."""
    return _zone(name) if isinstance(name, str) else None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
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
