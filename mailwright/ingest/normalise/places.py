"""Countries, postal codes, places and postal addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from mailwright.ingest.normalise.faults import Unfit, shape
from mailwright.ingest.normalise.names import codes, folded, names, territory_aliases

_MOST_CHARS = 200
_OTHER_NAMES = {
    "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB", "great britain": "GB",
    "britain": "GB", "holland": "NL", "america": "US", "united states of america": "US", "brd": "DE", "uae": "AE",
}  # fmt: skip


class _Postal(NamedTuple):
    """Of a country: what remains of a postal code without spaces and hyphens, and what stands before place `at`.

    A negative `at` counts from the end; up to `lost` zeros that a number lost at its front are filled up to `digits`.
    """

    pattern: str
    at: int = 0
    mark: str = ""
    digits: int = 0
    lost: int = 1


_FOUR, _FIVE, _SIX = (_Postal(rf"[0-9]{{{n}}}", digits=n) for n in (4, 5, 6))
_POSTAL: Mapping[str, _Postal] = {
    **dict.fromkeys(("AT", "AU", "BE", "BG", "CH", "CY", "DK", "HU", "LI", "LU", "NO", "NZ", "SI", "ZA"), _FOUR),
    **dict.fromkeys(("DE", "EE", "ES", "FI", "FR", "HR", "IT", "LT", "MC", "MX", "MY", "RS", "TH", "TR", "UA"), _FIVE),
    **dict.fromkeys(("CN", "CO", "IN", "RO", "RU", "SG", "VN"), _SIX),
    "KR": _FIVE,
    "BR": _Postal(r"[0-9]{8}", 5, "-", 8),
    "CA": _Postal(r"[ABCEGHJ-NPRSTVXY][0-9][A-Z][0-9][A-Z][0-9]", 3, " "),
    "CZ": _Postal(r"[0-9]{5}", 3, " ", 5),
    "GB": _Postal(r"[A-Z]{1,2}[0-9][0-9A-Z]?[0-9][A-Z]{2}", -3, " "),
    "GR": _Postal(r"[0-9]{5}", 3, " ", 5),
    "IE": _Postal(r"[A-Z][0-9][0-9W][0-9A-Z]{4}", 3, " "),
    "JP": _Postal(r"[0-9]{7}", 3, "-", 7),
    "LV": _Postal(r"[0-9]{4}", 0, "LV-", 4),
    "NL": _Postal(r"[1-9][0-9]{3}[A-Z]{2}", 4, " "),
    "PL": _Postal(r"[0-9]{5}", 2, "-", 5),
    "PT": _Postal(r"[0-9]{7}", 4, "-", 7),
    "SE": _Postal(r"[0-9]{5}", 3, " ", 5),
    "SK": _Postal(r"[0-9]{5}", 3, " ", 5),
    "US": _Postal(r"[0-9]{5}(?:[0-9]{4})?", 5, "-", 5, 2),
}
_APART = re.compile(r"[\s\-‐‑–—.]+")
_SIGN = re.compile(r"^(?:[A-Z]{1,2})(?=[0-9])")
_SIGNS = {"DE": ("D", "DE"), "AT": ("A", "AT"), "FR": ("F", "FR"), "BE": ("B", "BE"), "LU": ("L", "LU"),
          "IT": ("I", "IT"), "ES": ("E", "ES"), "SE": ("S", "SE"), "NO": ("N", "NO")}  # fmt: skip


def is_country(code: str) -> bool:
    """Whether a text is an ISO 3166 alpha-2 code in capitals."""
    return code in codes().countries


def country(value: Any) -> str:
    """The alpha-2 code of a code (alpha-2, alpha-3, numeric) or of a name in any language.

    Raises:
        Unfit: If no country is called so.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:03d}"[:_MOST_CHARS] if 0 <= value < 1000 else ""
    if not isinstance(value, str) or len(value) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no country")
    text = value.strip()
    if is_country(text):
        return text
    plain = text.replace(".", "").upper()
    if plain.isascii():
        found = plain if is_country(plain) else territory_aliases().get(plain)
        if found is not None and is_country(found):
            return found
    key = folded(text)
    found = _OTHER_NAMES.get(key) or names().countries.get(key)
    if found is None:
        raise Unfit(f"{shape(value)} is no country that is known, by code or name")
    return found


def place(value: Any) -> str:
    """A city or the like: white space is trimmed, and case is left alone.

    Raises:
        Unfit: If it is no text.
    """
    if not isinstance(value, str):
        raise Unfit(f"{shape(value)} is no name of a place")
    return " ".join(unicodedata.normalize("NFC", value).split())


def postal_code(value: Any, of: str) -> str:
    """A postal code as it is written in country `of`; of one whose codes are not known here it is only trimmed.

    Raises:
        Unfit: If it is none of that country.
    """
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no postal code")
    form = _POSTAL.get(of)
    text = unicodedata.normalize("NFKC", str(value)).strip().upper()
    if form is None:
        return " ".join(text.split())
    compact = _APART.sub("", text)
    if isinstance(value, int) or compact.isdecimal():
        compact = compact.zfill(form.digits) if _lost_zeros(value, compact, form) else compact
    elif (sign := _SIGN.match(compact)) and sign[0] in _SIGNS.get(of, (of,)):
        compact = compact[sign.end() :]
    if not compact.isascii() or not re.fullmatch(form.pattern, compact):
        raise Unfit(f"{shape(value)} is no postal code of {of}")
    at = form.at if form.at >= 0 else len(compact) + form.at
    return compact[:at] + form.mark + compact[at:] if at < len(compact) else compact


def _lost_zeros(value: str | int, compact: str, form: _Postal) -> bool:
    """Whether a number may have lost zeros that a code begins with."""
    return isinstance(value, int) and form.digits - form.lost <= len(compact) < form.digits
