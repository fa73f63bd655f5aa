"""Declared rates of exchange, ``rates.csv``: what one unit of a currency was worth in the shop's, by day."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from mailwright.core.errors import Issue, Span, nearest
from mailwright.ingest.normalise.faults import Unfit
from mailwright.ingest.normalise.money import is_currency
from mailwright.ingest.normalise.names import codes

RATES_FILE = "rates.csv"
COLUMNS = ("day", "currency", "rate")
MOST_LINES = 100_000
_RATE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Dated(NamedTuple):
    """The days of a currency, ascending, and its rate from each on."""

    days: Sequence[date]
    rates: Sequence[Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Rates of exchange of a project.

    Attributes:
        currency: The shop's own, whose rate is 1 on every day.
        days: The others.
        max_age_days: How many days before the one asked for a rate may be of; 0: of that very day alone.
    """

    currency: str = "USD"
    days: Mapping[str, Dated] = field(default_factory=dict)
    max_age_days: int = 7

    def exchange(self, told: str, wanted: str, day: date) -> Fraction:
        """How many `wanted` one `told` was worth on a day: by the latest rates of that day or before it.

        Raises:
            Unfit: If there is no rate, or none that is young enough.
        """
        return self._worth(told, day) / self._worth(wanted, day)

    def _worth(self, code: str, day: date) -> Fraction:
        if code == self.currency:
            return Fraction(1)
        known = self.days.get(code)
        if known is None:
            raise Unfit(f"there is no rate of {code} in rates.csv")
        place = bisect_right(known.days, day)
        if not place:
            raise Unfit(f"the first rate of {code} in rates.csv is of {known.days[0]}, after {day}")
        newest = known.days[place - 1]
        if (day - newest).days > self.max_age_days:
            raise Unfit(f"the newest rate of {code} up to {day} is of {newest}, more than {self.max_age_days} days old")
        return known.rates[place - 1]


def read_rates(text: str | None, currency: str) -> tuple[dict[str, Dated], list[Issue]]:
    """The days of each currency, and every fault of the file.

    Args:
        text: CSV with the columns of `COLUMNS`: day as ``2026-11-22``, an ISO 4217 code, and what one unit of it is
            worth in `currency`, with a decimal point and no sign. Lines may stand in any order; ``#`` begins a comment.
            None: there is no file.
        currency: The shop's own; it needs no rate.
    """
    if text is None:
        return {}, []
    reading = _Reading(text, currency)
    found: dict[str, dict[date, Fraction]] = {}
    for day, code, rate in reading.lines():
        found.setdefault(code, {})[day] = rate
    return {code: Dated(*zip(*sorted(rates.items()), strict=True)) for code, rates in found.items()}, reading.issues


class _Reading:
    """The lines of a file, and what is wrong with them."""

    def __init__(self, text: str, currency: str) -> None:
        self._text, self._currency = text, currency
        self._seen: dict[tuple[date, str], int] = {}
        self.issues: list[Issue] = []

    def lines(self) -> Iterator[tuple[date, str, Fraction]]:
        """Every line that is right."""
        rows = [
            (number, row)
            for number, row in enumerate(self._text.splitlines(), 1)
            if row.strip() and not row.lstrip().startswith("#")
        ]
        if len(rows) > MOST_LINES:
            self._fault(rows[MOST_LINES], 0, f"more than {MOST_LINES:,} lines", "leave out days that are long past")
            return
        if not rows or tuple(self._cells(rows[0])) != COLUMNS:
            first = rows[0] if rows else (1, "")
            self._fault(first, None, "the first line names the columns", "write it as day,currency,rate")
            return
        for row in rows[1:]:
            if (made := self._line(row)) is not None:
                yield made

    def _line(self, row: tuple[int, str]) -> tuple[date, str, Fraction] | None:
        cells = self._cells(row)
        if len(cells) != len(COLUMNS):
            self._fault(row, None, f"{len(cells)} values where there are three columns", "write 2026-11-22,GBP,1.14")
            return None
        day, rate = _day_of(cells[0]), _rate_of(cells[2])
        n_before = len(self.issues)
        if day is None:
            self._fault(row, 0, f"{cells[0]!r} is no day", "write it like 2026-11-22")
        if not is_currency(cells[1]):
            self._fault(row, 1, f"{cells[1]!r} is no ISO 4217 code", nearest(cells[1], codes().currencies))
        elif cells[1] == self._currency:
            self._fault(row, 1, f"{cells[1]} is the shop's own currency, and is worth 1 of it", "leave the line out")
        if rate is None:
            self._fault(row, 2, f"{cells[2]!r} is no rate", "write a positive number with a decimal point, like 1.0853")
        if day is None or rate is None or len(self.issues) > n_before:
            return None
        if (line := self._seen.setdefault((day, cells[1]), row[0])) != row[0]:
            self._fault(row, 0, f"{cells[1]} has a rate of {day} in line {line} already", "leave one of them")
            return None
        return day, cells[1], rate

    def _cells(self, row: tuple[int, str]) -> list[str]:
        return [cell.strip() for cell in row[1].split(",")]

    def _fault(self, row: tuple[int, str], cell: int | None, message: str, hint: str) -> None:
        number, text = row
        start = len(",".join(text.split(",")[:cell])) + (1 if cell else 0) if cell is not None else 0
        length = len(text.split(",")[cell]) if cell is not None else len(text)
        span = Span(line=number, column=start + 1, length=max(1, length))
        self.issues.append(Issue(path=RATES_FILE, message=message, hint=hint, span=span, source=self._text))


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _rate_of(text: str) -> Fraction | None:
    rate = Fraction(text) if _RATE.fullmatch(text) else None
    return rate or None
