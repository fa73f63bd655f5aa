"""Numbers and booleans as people and programs write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

from mailwright.ingest.limits import INT64_MAX, INT64_MIN
from mailwright.ingest.normalise.faults import Unfit, shape
from mailwright.ingest.normalise.units import converted, converts, named

Decimals = Literal["point", "comma"]

_SPACES = dict.fromkeys(map(ord, " \u00a0\u202f\u2009\u2007'’_"))
_MINUS = {ord("−"): "-", ord("–"): "-"}
_PLAIN = re.compile(r"[-+]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?|[-+]?\.[0-9]{1,300}")
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_WITH_UNIT = re.compile(r"^(.*?[0-9.,])\s*([^0-9.,\s][^0-9]{0,12}[²³23]?)$", re.DOTALL)
_MOST_CHARS = 400

_YES = frozenset({"true", "yes", "y", "t", "1", "on", "ja", "j", "wahr", "oui", "vrai", "sí", "si", "sim", "tak", "x"})
_NO = frozenset({"false", "no", "n", "f", "0", "off", "nein", "falsch", "non", "faux", "não", "nao", "nie", "nee"})


def exact(value: Any, decimals: Decimals) -> Fraction:
    """A number, or a text that is one, as an exact fraction.

    Raises:
        Unfit: If it is none, or too large for any number here.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit(f"{shape(value)} is no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit("it is no finite number")
    if isinstance(value, str):
        return _read(value, decimals)
    return (
        Fraction(value) if isinstance(value, int) else Fraction(Decimal(repr(value)))
    )  # as it is written, not as kept


def _read(text: str, decimals: Decimals) -> Fraction:
    if len(text) > _MOST_CHARS:
        raise Unfit(f"{shape(text)} is no number")
    plain = text.strip().translate(_MINUS).translate(_SPACES)
    if decimals == "comma":
        plain = plain.translate({ord("."): ",", ord(","): "."})
    if _GROUPED.fullmatch(plain):
        plain = plain.replace(",", "")
    if not _PLAIN.fullmatch(plain):
        raise Unfit(f"{shape(text)} is no number (a decimal {decimals} is expected)")
    try:
        return Fraction(Decimal(plain))
    except (InvalidOperation, ValueError, OverflowError):
        raise Unfit("it is too large a number") from None


def plain(number: Fraction) -> int | float:
    """The JSON number of an exact one: whole where it is.

    Raises:
        Unfit: If it does not fit into 64 bits.
    """
    if number.denominator == 1 and INT64_MIN <= number.numerator <= INT64_MAX:
        return number.numerator
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or (number.denominator == 1):
        raise Unfit("it is too large a number")
    return found


def number(value: Any, decimals: Decimals, unit: str = "", sent_in: str = "") -> int | float:
    """A number in `unit`.

    Args:
        value: A number, or text of one; with a unit behind it that one counts.
        decimals: How the text writes a fraction.
        unit: What it shall be in; empty: it has none.
        sent_in: What the source sends it in; empty: in `unit`.

    Raises:
        Unfit: If it is no number, or its unit is of another kind.
    """
    if unit and isinstance(value, str) and (match := _WITH_UNIT.match(value.strip()[:_MOST_CHARS])):
        found = named(match[2])
        if found is None or not converts(found, unit):
            raise Unfit(f"its unit cannot be made {unit}")
        value, sent_in = match[1], found
    elif not sent_in or sent_in == unit:
        if type(value) in (int, float):
            return plain(exact(value, decimals)) if type(value) is int else _finite(value)
        sent_in = unit
    read = exact(value, decimals)
    return plain(converted(read, sent_in, unit) if sent_in != unit else read)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unfit("it is no finite number")
    return value


def boolean(value: Any, yes: Sequence[str] = (), no: Sequence[str] = ()) -> bool:
    """A boolean, 1 or 0, or a word for one.

    Raises:
        Unfit: If it is none.
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold() if isinstance(value, str | int) else ""
    if word in {each.casefold() for each in yes}:
        return True
    if word in {each.casefold() for each in no}:
        return False
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Unfit(f"{shape(value)} is no yes and no no")
