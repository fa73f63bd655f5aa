"""A person's time zone: what they said it is, else where they were seen last, else the shop's."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, Literal, NamedTuple

from mailwright.core.zones import zone_named

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
    if (zone := zone_named(said)) is not None:
        return PersonZone(zone, "trait")
    if (zone := zone_named(seen)) is not None:
        return PersonZone(zone, "context")
    return PersonZone(shop, "shop")
