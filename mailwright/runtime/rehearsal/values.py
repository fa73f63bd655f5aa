"""What a value expression gives over everybody: how many have it, and what it is like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec

from mailwright.core.events import Offset
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.runtime.past import Past
from mailwright.runtime.project.load import Project
from mailwright.runtime.rehearsal.asof import Moment, moment_at, replayed_to
from mailwright.runtime.rehearsal.replay import InForce
from mailwright.runtime.rehearsal.scope import ASKED, rules_for_value
from mailwright.runtime.rehearsal.story import Told, untold

TOP = 10
"""Values that are named at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Values of an expression, JSON-shaped.

    Attributes:
        n: People who have a value; `missing` those who have none.
        low: Least of the values that are numbers, as are `middle` (the median) and `high`; None without any.
        top: The most frequent values with how many have each, most frequent first.
    """

    n: int
    missing: int
    low: float | None
    middle: float | None
    high: float | None
    top: list[tuple[Any, int]]


def value_as_of(
    past: Past, project: Project, node: s.Expression, at: Instant, *, told: Told = untold
) -> tuple[Moment, Distribution]:
    """A value in the words of `project`, over everybody at an instant, as known then."""
    moment = moment_at(past, at)
    version = InForce(offset=Offset(0), version=0, rules=rules_for_value(project.rules, node))
    replay = replayed_to(past, [version], moment, told)
    return moment, distribution(replay.fold.attribute(ASKED, replay.living()))


def distribution(values: Sequence[Any]) -> Distribution:
    """Of JSON-shaped values, None being missing."""
    there = [value for value in values if value is not None]
    numbers = [value for value in there if isinstance(value, int | float) and not isinstance(value, bool)]
    texts = Counter(msgspec.json.encode(value, order="sorted") for value in there)
    return Distribution(
        n=len(there),
        missing=len(values) - len(there),
        low=min(numbers, default=None),
        middle=median(numbers) if numbers else None,
        high=max(numbers, default=None),
        top=[(msgspec.json.decode(text), n) for text, n in texts.most_common(TOP)],
    )
