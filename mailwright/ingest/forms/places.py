"""Countries, postal codes and cities: their shape, and whether they belong together by the shop's table."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from rapidfuzz.fuzz import ratio
from rapidfuzz.process import extractOne

from mailwright.core.place_names import folded, is_short_for, spellings
from mailwright.core.ports import PostalPlaces
from mailwright.ingest.forms.answers import Checked
from mailwright.ingest.forms.texts import Texts, locale_of
from mailwright.ingest.forms.words import ANY_POSTAL_CODE, POSTAL_CODES, POSTAL_EXAMPLES

_SLIP, _MEANT = 80, 60  # how alike two names are in percent: to be taken for one, to be suggested
_MOST_NAMED = 3
_UNIONS = frozenset({"EU", "EZ", "UN", "ZZ", "QO"})


@cache
def country_names(language: str) -> dict[str, str]:
    """ISO 3166 code -> the country's name in that language (English where it is unknown), by name."""
    names = locale_of(language).territories
    found = {code: names[code] for code in map(str, names) if len(code) == 2 and code.isalpha()}
    return {code: found[code] for code in sorted(found, key=lambda code: found[code].casefold()) if code not in _UNIONS}


def check_country(say: Texts, text: str) -> Checked:
    """A country by its code."""
    code = text.upper()
    return Checked(code) if code in country_names("en") else Checked(fault=say("no_country"))


def check_postal_code(say: Texts, text: str, country: str | None, places: PostalPlaces | None) -> Checked:
    """A postal code has the shape of its country's, and is there if the table knows that country."""
    code = " ".join(text.upper().split())
    named = country_names(say.language).get(country or "", country or "")
    if not POSTAL_CODES.get(country or "", ANY_POSTAL_CODE).fullmatch(code):
        fault = say("no_postal_code_of", country=named) if country else say("no_postal_code")
        example = POSTAL_EXAMPLES.get(country or "")
        return Checked(fault=f"{fault}: {say('postal_code_like', example=example)}" if example else fault)
    if country and places and places.knows(country) and not any(places.at(country, code)):
        return Checked(fault=say("unknown_postal_code", code=code, country=named))
    return Checked(code)


def check_city(
    say: Texts, text: str, country: str | None, postal_code: str | None, places: PostalPlaces | None
) -> Checked:
    """A city has a name, and is one of its postal code's if the table knows that.

    Other spellings and names with words left out are the same; a slip is taken too, with what was probably meant,
    unless it is the name of another place.
    """
    city = " ".join(text.split())
    if not _is_name(city):
        return Checked(fault=say("no_city"))
    names, around = places.at(country, postal_code) if places and country and postal_code else ((), ())
    if not places or not country or not names:
        return Checked(city)
    if any(_is_same(city, name) for name in [*names, *around]):
        return Checked(city)
    meant, alike = _nearest(city, names)
    if alike >= _SLIP and not places.is_city(country, city):
        return Checked(city, suggestion=meant)
    listed = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    fault = say("other_city", code=postal_code, cities=listed)
    return Checked(fault=fault, suggestion=meant if len(names) == 1 or alike >= _MEANT else "")


def _is_name(text: str) -> bool:
    """Names of places have letters, at least two different ones, and no digits or addresses in them."""
    letters = {each.lower() for each in text if each.isalpha()}
    odd = any(not (each.isalpha() or unicodedata.combining(each) or each in " .'’-()/,") for each in text)
    return not odd and (len(letters) > 1 or text in ("Å", "Ö", "Y"))


def _is_same(city: str, name: str) -> bool:
    """Whether two names mean one place; what stands behind a slash, comma or bracket is a name too: *Biel/Bienne*."""
    others = [name, *name.replace(",", "/").replace("(", "/").replace(")", "").split("/")]
    typed = spellings(city)
    return any(not typed.isdisjoint(spellings(other)) for other in others) or (
        is_short_for(city, name) or is_short_for(name, city)
    )


def _nearest(city: str, names: Sequence[str]) -> tuple[str, float]:
    best = extractOne(city, names, processor=folded, scorer=ratio)
    return (best[0], best[1]) if best else ("", 0.0)
