"""Why an item is recommended: a code with an argument, made where the score is made, so that it is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class ReasonCode(IntEnum):
    """Stored in prediction tables: numbers may be added, never changed."""

    NONE = 0
    OFTEN = 1
    """Bought on at least `OFTEN_TIMES` occasions; the argument is how many."""
    BEFORE = 2
    """Bought before, fewer times."""
    DUE = 3
    """Bought often, and the usual gap has passed; the argument is the mean gap in whole days."""
    BECAUSE = 4
    """The item that adds most to the score; the argument is its place among the table's items."""
    POPULAR = 5
    """Among the most bought of a recent window; the argument is the window in days."""


OFTEN_TIMES = 3
"""Three occasions make two gaps, the least from which a habit shows."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason. `item_id` is the other item of BECAUSE, `number` the argument of the others."""

    code: ReasonCode
    number: int = 0
    item_id: str = ""

    def text(self, titles: Mapping[str, str]) -> str:
        """A sentence for the reader; `titles` names items, one without a title leaves a general sentence."""
        match self.code:
            case ReasonCode.NONE:
                return ""
            case ReasonCode.OFTEN:
                return "You buy this often"
            case ReasonCode.BEFORE:
                return "You bought this before"
            case ReasonCode.DUE:
                days = "every day" if self.number <= 1 else f"about every {self.number} days"
                return f"Time for more: you buy this {days}"
            case ReasonCode.BECAUSE:
                title = titles.get(self.item_id)
                return f"Because you bought {title}" if title else "Because of what you bought"
            case ReasonCode.POPULAR:
                return "Popular this month" if 28 <= self.number <= 31 else f"Popular in the last {self.number} days"
