"""Aggregates over values in order of (stamp, offset, place in list)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from mailwright.rules.values import average_micro_units, from_micro_units, identity, to_micro_units


def aggregate(function: str, values: Sequence[Any]) -> Any:
    """The aggregate of known values, oldest first; None where nothing gives none.

    ``sum``, ``count`` and ``distinct`` of nothing are 0. ``sum``, ``average``, ``min`` and ``max`` skip what is no
    number, and are exact in micro-units.
    """
    match function:
        case "count":
            return len(values)
        case "distinct":
            return len({identity(value) for value in values})
        case "first":
            return values[0] if values else None
        case "last":
            return values[-1] if values else None
        case "most_frequent":
            return most_frequent(values)
        case _:
            return _of_numbers(function, [units for value in values if (units := to_micro_units(value)) is not None])


def _of_numbers(function: str, units: Sequence[int]) -> Any:
    if function == "sum":
        return from_micro_units(sum(units))
    if not units:
        return None
    if function == "average":
        return from_micro_units(average_micro_units(sum(units), len(units)))
    return from_micro_units(min(units) if function == "min" else max(units))


def most_frequent(values: Sequence[Any]) -> Any:
    """The value that occurs most often, of several the one seen latest; None of nothing."""
    counts = Counter(identity(value) for value in values)
    most = max(counts.values(), default=0)
    return next((value for value in reversed(values) if counts[identity(value)] == most), None)


def last_distinct(values: Sequence[Any], n: int) -> list[Any]:
    """The last `n` distinct values, latest first."""
    found: dict[Hashable, Any] = {}
    for value in reversed(values):
        if len(found) < n:
            found.setdefault(identity(value), value)
    return list(found.values())
