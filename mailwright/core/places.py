"""Where an IP address is."""

from __future__ import annotations

import ipaddress
from typing import Protocol

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an address is. Empty texts are unknown; coordinates are rounded to about 10 km.

    Attributes:
        country: ISO 3166-1 alpha-2.
        region: English name of the state or province.
        region_code: Its ISO 3166-2 code without the country.
        city: English name.
        area: ``urban`` or ``rural``, by the declared table of populations.
        time_zone: IANA name.
    """

    country: str = ""
    region: str = ""
    region_code: str = ""
    city: str = ""
    postal_code: str = ""
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str = ""
    area: str = ""


class Places(Protocol):
    """Looks places up by address."""

    def find(self, address: Address) -> Place | None:
        """The place of an address; None if nothing is known of it."""
        ...

    @property
    def version(self) -> int:
        """Changes whenever answers may: what was remembered is then forgotten."""
        ...
