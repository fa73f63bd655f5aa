"""Units of measure and exact conversion between those of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """``value * factor + offset`` is the value in the base unit of its kind."""

    kind: str
    factor: Fraction
    offset: Fraction = Fraction(0)


_F = Fraction
_OF_KIND: Mapping[str, Mapping[str, str | Fraction]] = {
    "length": {
        "mm": "0.001", "cm": "0.01", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048", "yd": "0.9144",
        "mi": "1609.344",
    },
    "mass": {"mg": "0.000001", "g": "0.001", "kg": "1", "t": "1000", "oz": "0.028349523125", "lb": "0.45359237",
             "st": "6.35029318"},
    "time": {"ms": "0.001", "s": "1", "min": "60", "h": "3600", "d": "86400", "week": "604800"},
    "volume": {"ml": "0.001", "cl": "0.01", "dl": "0.1", "l": "1", "m3": "1000", "floz": "0.0295735295625",
               "gal": "3.785411784"},
    "area": {"cm2": "0.0001", "m2": "1", "ha": "10000", "km2": "1000000", "ft2": "0.09290304", "acre": "4046.8564224"},
    "speed": {"m/s": "1", "km/h": _F(5, 18), "mph": "0.44704"},
    "energy": {"J": "1", "kJ": "1000", "kcal": "4184", "kWh": "3600000"},
    "bytes": {"B": "1", "kB": "1000", "MB": "1000000", "GB": "1000000000", "KiB": "1024", "MiB": "1048576"},
    "share": {"fraction": "1", "percent": "0.01", "%": "0.01"},
}  # fmt: skip

UNITS: Mapping[str, Unit] = {
    name: Unit(kind, _F(factor)) for kind, units in _OF_KIND.items() for name, factor in units.items()
} | {
    "K": Unit("temperature", _F(1)),
    "C": Unit("temperature", _F(1), _F("273.15")),
    "F": Unit("temperature", _F(5, 9), _F("459.67") * _F(5, 9)),
}
"""By name. ``gal`` and ``floz`` are those of the United States."""

_SPELLED: Mapping[str, str] = {
    '"': "in", "″": "in", "inch": "in", "inches": "in", "'": "ft", "′": "ft", "feet": "ft", "foot": "ft",
    "metre": "m", "meter": "m", "metres": "m", "meters": "m", "lbs": "lb", "pounds": "lb", "kgs": "kg", "sec": "s",
    "seconds": "s", "mins": "min", "minutes": "min", "hours": "h", "days": "d", "°c": "C", "°f": "F", "kmh": "km/h",
    "m²": "m2", "sqm": "m2", "m³": "m3", "litre": "l", "liter": "l",
}  # fmt: skip
_FOLDED = {**{name.casefold(): name for name in reversed(list(UNITS))}, **_SPELLED}


def named(text: str) -> str | None:
    """The unit that a text beside a number names; None if it is none."""
    text = text.strip().rstrip(".")
    return text if text in UNITS else _FOLDED.get(text.casefold())


def converts(unit: str, into: str) -> bool:
    """Whether values in `unit` can be said in `into`."""
    return unit in UNITS and into in UNITS and UNITS[unit].kind == UNITS[into].kind


def converted(value: Fraction, unit: str, into: str) -> Fraction:
    """The exact value in `into`; both units are of one kind."""
    a, b = UNITS[unit], UNITS[into]
    return (value * a.factor + a.offset - b.offset) / b.factor
