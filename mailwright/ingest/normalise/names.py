"""What countries, languages and currencies are called, in all languages that the Unicode CLDR knows.

The tables are made once, when the first name that is no code is met, and take about a second and 40 MB.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from babel import localedata
from babel.core import get_global

_FIRST = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da")
"""Where one name means two things in two languages, it means what it does in the first of these that knows it."""


class Names(NamedTuple):
    """Folded name -> code."""

    countries: Mapping[str, str]
    languages: Mapping[str, str]
    currencies: Mapping[str, str]


def folded(text: str) -> str:
    """A name as it is looked up: case, accents' composition, dots and white space do not count."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace(".", "").replace("’", "'")
    return " ".join(plain.split()).removeprefix("the ")


@cache
def codes() -> Names:
    """Every known code, each under itself."""
    english = localedata.load("en")
    countries = {code for code in english["territories"] if len(code) == 2 and code.isalpha()} - {"EU", "UN", "ZZ"}
    countries -= {"EZ", "XA", "XB", "QO"}
    languages = {code for code in english["languages"] if "_" not in code} - {"root", "und", "mul", "zxx"}
    return Names(
        countries={code: code for code in countries},
        languages={code: code for code in languages},
        currencies={code: code for code in english["currency_names"]},
    )


@cache
def names() -> Names:
    """All names; those of which nothing tells what they mean are left out."""
    known = codes()
    found: tuple[dict[str, str | None], ...] = ({}, {}, {})
    sure: set[str] = set()
    for locale in _locales():
        data = localedata.load(locale, merge_inherited=False)
        if locale not in _FIRST:
            localedata._cache.pop(locale, None)  # else all languages would stay in memory
        parts = (_territories(data), _tongues(data), _moneys(data))
        for book, wanted, named in zip(found, known, parts, strict=True):
            for code, name in named:
                if code in wanted and (key := folded(name)):
                    meant = book.setdefault(key, code)
                    if meant != code and locale not in _FIRST and key not in sure:
                        book[key] = None  # two languages, two meanings
            if locale == _FIRST[-1]:
                sure |= book.keys()
    return Names(*({name: code for name, code in book.items() if code is not None} for book in found))


def _locales() -> list[str]:
    plain = [name for name in localedata.locale_identifiers() if "_" not in name]
    return [*_FIRST, *sorted(set(plain) - set(_FIRST))]


def _territories(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((code, str(name)) for code, name in data.get("territories", {}).items())


def _tongues(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((code, str(name)) for code, name in data.get("languages", {}).items())


def _moneys(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((code, str(name)) for code, name in data.get("currency_names", {}).items())
    for code, forms in data.get("currency_names_plural", {}).items():
        yield from ((code, str(name)) for name in forms.values())


@cache
def territory_aliases() -> Mapping[str, str]:
    """Alpha-3, numeric and older codes that mean one country -> alpha-2."""
    return {old: new[0] for old, new in get_global("territory_aliases").items() if len(new) == 1}


@cache
def language_aliases() -> Mapping[str, str]:
    """Three-letter and older codes -> the code that BCP 47 prefers."""
    return {old: new for old, new in get_global("language_aliases").items() if new.isalpha()}
