"""Names of places as people write them: with or without accents, hyphens and the words that nobody says."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = str.maketrans({"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "æ": "ae", "Æ": "ae", "œ": "oe",
                        "Œ": "oe", "ı": "i"})  # fmt: skip
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue", "å": "aa", "Å": "aa",
                              "ø": "oe", "Ø": "oe"})  # fmt: skip
_SAINTS = {"sankt": "st", "saint": "st", "sainte": "st", "ste": "st"}
_WORD = re.compile(r"\w+")


def folded(name: str) -> str:
    """Letters and digits alone, without case and accents: what spellings of one name have in common."""
    plain = unicodedata.normalize("NFKD", name.translate(_PLAIN)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def spellings(name: str) -> set[str]:
    """`folded`, and as it is where umlauts are two letters: ``koln`` and ``koeln``."""
    composed = unicodedata.normalize("NFC", name)
    return {folded(composed), folded(composed.translate(_TWO_LETTERS))} - {""}


def is_short_for(short: str, name: str) -> bool:
    """Whether one name is the other with words left out, but not the longest: *Frankfurt* of *Frankfurt am Main*."""
    few, many = _words(short), _words(name)
    longest = max(map(len, many), default=0)
    return few <= many and any(len(word) == longest for word in few)


def _words(name: str) -> set[str]:
    words = (folded(word) for word in _WORD.findall(unicodedata.normalize("NFC", name)))
    return {_SAINTS.get(word, word) for word in words} - {""}
