"""What comes of checking an answer, and what a check may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailwright.core.ports import PostalPlaces

TakesMail = Callable[[str], bool | None]
"""A domain in ASCII -> whether it takes mail; None: nobody can tell now."""


def nobody_knows(_domain: str) -> None:
    """Where DNS is not asked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one answer.

    Attributes:
        value: The answer as the trait gets it; None for none.
        fault: Why it is refused, for whoever typed it; empty if it is not.
        suggestion: What was probably meant.
        warning: What is odd about an answer that is taken.
    """

    value: Any = None
    fault: str = ""
    suggestion: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What checks go by.

    Attributes:
        takes_mail: Asks DNS.
        places: The table of postal codes; None: their shape alone is checked.
        allow_reserved: Take addresses at example.com and the like (demo and tests).
    """

    takes_mail: TakesMail = nobody_knows
    places: PostalPlaces | None = None
    allow_reserved: bool = False
