"""Currencies, languages and amounts of money."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from babel.numbers import get_currency_precision

from mailwright.ingest.normalise.faults import Foreign, Original, Unfit, shape
from mailwright.ingest.normalise.names import codes, folded, language_aliases, names
from mailwright.ingest.normalise.numbers import Decimals, exact, plain

_MOST_CHARS = 200
_SIGNS = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "₫": "VND",
    "฿": "THB", "₱": "PHP", "₦": "NGN", "₸": "KZT", "zł": "PLN", "kč": "CZK", "ft": "HUF", "r$": "BRL", "us$": "USD",
    "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "元": "CNY",
    "円": "JPY", "лв": "BGN", "sfr": "CHF",
}  # fmt: skip
_SHARED = {
    "$": {"USD", "CAD", "AUD", "NZD", "MXN", "HKD", "SGD", "CLP", "COP", "ARS", "TWD"},
    "¥": {"JPY", "CNY"},
    "￥": {"JPY", "CNY"},
    "kr": {"SEK", "NOK", "DKK", "ISK"},
    "fr": {"CHF", "XAF", "XOF"},
    "lei": {"RON", "MDL"},
}
_AMOUNT = re.compile(r"[-+−–]?[0-9][0-9.,'’\s_]*[0-9]|[-+−–]?[0-9.,]*[0-9]", re.DOTALL)
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")
_NOISE = Fraction(1, 10**9)


Exchange = Callable[[str, str], Fraction]
"""How many of its second currency one of its first is worth. Raises Unfit if nobody knows."""


class Amount(NamedTuple):
    """A number in the currency's major unit.

    Attributes:
        rounded: Whether digits below the minor unit were rounded away; an exchange always rounds.
        original: What was sent, where it was exchanged.
    """

    value: int | float
    currency: str
    rounded: bool
    original: Original | None = None


def is_currency(code: str) -> bool:
    """Whether a text is an ISO 4217 code in capitals."""
    return code in codes().currencies


def currency(value: Any, likely: str = "") -> str:
    """The ISO 4217 code of a code, a sign or a name; a sign that several share means `likely` if that is one of them.

    Raises:
        Unfit: If nothing tells the currency.
    """
    if not isinstance(value, str) or len(value) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no currency")
    text = value.strip()
    if is_currency(text):
        return text
    if text.isascii() and is_currency(text.upper()):
        return text.upper()
    key = folded(text)
    if likely in _SHARED.get(key, ()):
        return likely
    found = _SIGNS.get(key) or (None if key in _SHARED else names().currencies.get(key))
    if found is None:
        raise Unfit("the sign stands for several currencies" if key in _SHARED else f"{shape(value)} is no currency")
    return found


@cache
def digits(code: str) -> int:
    """How many decimals a currency has: 2 for EUR, 0 for JPY, 3 for KWD."""
    return get_currency_precision(code)


def money(
    value: Any,
    decimals: Decimals,
    declared: str,
    *,
    beside: str = "",
    minor: bool = False,
    exchange: Exchange | None = None,
) -> Amount:
    """An amount in the major unit, rounded half to even to the currency's minor unit.

    Args:
        value: A number; text with or without a currency; or an object with ``amount`` (or ``value``) and ``currency``.
        decimals: How text writes a fraction.
        declared: The currency that it shall be in; empty: it stays in the one that is told.
        beside: The currency that another field tells; empty: none does.
        minor: A number counts minor units: 1250 is 12.50 in euros.
        exchange: Makes `declared` of another currency; None: nobody can.

    Raises:
        Unfit: If it is no amount, or in no one currency.
        Foreign: If it is one in another currency than `declared` that cannot be exchanged.
    """
    told = beside
    if isinstance(value, dict):
        if (said := value.get("currency")) is not None:
            told = _one(told, currency(said, told or declared))
        value = value.get("amount", value.get("value"))
    if isinstance(value, str) and len(value) <= _MOST_CHARS and (match := _AMOUNT.search(value)):
        around = (value[: match.start()] + " " + value[match.end() :]).strip()
        if around.startswith(("-", "−")):
            raise Unfit("the sign of the amount stands apart from it")
        if around:
            told = _one(told, currency(around, told or declared))
        value = match[0]
    code = told or declared
    if not code:
        raise Unfit("nothing tells its currency")
    amount = exact(value, decimals)
    if declared and code != declared:
        return _exchanged(amount / 10 ** digits(code) if minor else amount, code, declared, exchange)
    return _rounded(amount, code, minor=minor)


def _one(told: str, named: str) -> str:
    if told and named != told:
        raise Unfit(f"it names two currencies, {told} and {named}")
    return named


def _exchanged(amount: Fraction, code: str, wanted: str, exchange: Exchange | None) -> Amount:
    original = Original(plain(amount), code)
    if exchange is None:
        raise Foreign(f"it is in {code}, not in {wanted}", original)
    try:
        rate = exchange(code, wanted)
    except Unfit as why:
        raise Foreign(f"it is in {code}, not in {wanted}, and {why}", original) from None
    made = _rounded(amount * rate, wanted, minor=False)
    return Amount(made.value, wanted, rounded=False, original=original)


def _rounded(amount: Fraction, code: str, *, minor: bool) -> Amount:
    places = digits(code)
    scale = 10**places
    whole = amount if minor else amount * scale
    nearest = round(whole)  # half to even, exactly
    return Amount(plain(Fraction(nearest, scale)), code, abs(whole - nearest) > max(_NOISE, abs(whole) * _NOISE))


def language(value: Any) -> str:
    """The BCP 47 tag of a code (``de_DE``, ``ger``) or of a name in any language.

    Raises:
        Unfit: If no language is called so.
    """
    if not isinstance(value, str) or len(value) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no language")
    text = value.strip().partition(".")[0].partition("@")[0]
    if match := _LANGUAGE.fullmatch(text):
        tag, script, region = match.groups()
        tag = language_aliases().get(tag.lower(), tag.lower())
        if tag in codes().languages:
            parts = [tag, script.title() if script else "", region.upper() if region else ""]
            return "-".join(filter(None, parts))
    found = names().languages.get(folded(value))
    if found is None:
        raise Unfit(f"{shape(value)} is no language that is known, by code or name")
    return found.replace("_", "-")
