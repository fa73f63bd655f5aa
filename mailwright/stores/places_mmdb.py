"""Places by IP address out of a file in MaxMind's format: GeoLite2 City, DB-IP City or any with the same fields.

The file is the user's own; it is mapped into memory, and opened anew when another stands in its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import maxminddb

from mailwright.core.places import Address, Place
from mailwright.stores.populations import Populations

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0
_DECIMALS = 1  # of a degree: about 10 km, less than the file itself is exact


class MmdbPlaces:
    """The `Places` port over one file."""

    def __init__(self, path: Path, populations: Populations | None = None) -> None:
        """Read the file at `path` from the first question on; while there is none, or a broken one, no place is known.

        What is wrong with it is logged once.
        """
        self._path = path
        self._populations = populations
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._stamp: tuple[int, int, int] | None = None
        self._version = 0
        self._fault = ""
        self._reader: maxminddb.Reader | None = None

    @property
    def version(self) -> int:
        """Grows when the file was replaced; looked at every few seconds."""
        if time.monotonic() >= self._look_at:
            self._look_again()
        return self._version

    def find(self, address: Address) -> Place | None:
        """The place of an address; None if the file has none, or no addresses of this kind."""
        reader = self._reader
        if reader is None:
            return None
        try:
            found = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None  # a file of IPv4 alone that is asked for IPv6, or a damaged one: that costs the place alone
        return self._as_place(found) if isinstance(found, dict) else None

    def _look_again(self) -> None:
        with self._lock:
            if time.monotonic() < self._look_at:
                return
            self._look_at = time.monotonic() + _LOOK_EVERY_S
            try:
                stamp = _stamp(self._path)
                if stamp != self._stamp:
                    self._stamp = stamp
                    # The old reader is left to the garbage collector: another thread may be asking it.
                    self._reader = maxminddb.open_database(self._path, maxminddb.MODE_AUTO)
                    self._version += 1
                    self._fault = ""
            except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
                self._complain(str(error))  # half-written or gone: what was open still is

    def look_now(self) -> None:
        """Look at once whether the file was replaced."""
        self._look_at = 0.0

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            hint = "take a City file in MaxMind's format (.mmdb), unpacked"
            _log.warning("[context] place_file %s cannot be read: %s; %s", self._path, fault, hint)

    def _as_place(self, found: Mapping[str, Any]) -> Place:
        """The fields of MaxMind and DB-IP, or those of files that have plain texts in their place."""
        country, city, location = (_object(found, key) for key in ("country", "city", "location"))
        divisions = found.get("subdivisions")
        region = divisions[0] if isinstance(divisions, list) and divisions and isinstance(divisions[0], dict) else {}
        code = _text(country.get("iso_code")) or _text(found.get("country_code")) or _text(found.get("country"))
        place = Place(
            country=code.upper() if len(code) == 2 else "",
            region=_name(region) or _text(found.get("region")),
            region_code=_text(region.get("iso_code")),
            city=_name(city) or _text(found.get("city")),
            postal_code=_text(_object(found, "postal").get("code")) or _text(found.get("postal_code")),
            latitude=_rounded(location.get("latitude", found.get("latitude"))),
            longitude=_rounded(location.get("longitude", found.get("longitude"))),
            time_zone=_text(location.get("time_zone")) or _text(found.get("timezone")),
        )
        return _with_area(place, self._area(place, city.get("geoname_id")))

    def _area(self, place: Place, geoname_id: Any) -> str:
        if self._populations is None or not place.city:
            return ""
        return self._populations.area(geoname_id, place.country, place.region_code, place.city)


def _with_area(place: Place, area: str) -> Place:
    if not area:
        return place
    return Place(**{name: getattr(place, name) for name in place.__struct_fields__ if name != "area"}, area=area)


def _stamp(path: Path) -> tuple[int, int, int]:
    told = path.stat()
    return told.st_ino, told.st_mtime_ns, told.st_size


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _name(told: Mapping[str, Any]) -> str:
    names = told.get("names")
    return _text(names.get("en")) if isinstance(names, dict) else _text(told.get("name"))


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _rounded(value: Any) -> float | None:
    try:
        return round(float(value), _DECIMALS)
    except (TypeError, ValueError):
        return None
