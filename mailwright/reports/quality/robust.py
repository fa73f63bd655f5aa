"""How unusual a day is, beside the days before it, in a way that a few odd days in the past cannot spoil."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WEEK = 7
MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""

LEAST_SAME_DAYS = 3


class Unusual(NamedTuple):
    """How a day compares: what was to be expected, and how many robust standard deviations it is away from that."""

    expected: float
    z: float


def against_season(days: NDArray[np.float64], *, noise: NDArray[np.float64] | float, least: float) -> Unusual:
    """Compare the last of `days` with those before it, season of the week included.

    The expected value is the median of the same weekday (of all days, with fewer than `LEAST_SAME_DAYS` of them), and
    the scale the MAD of all earlier days about their own weekday's median, but never less than the noise that chance
    alone brings, nor than `least`.

    Args:
        days: One value per day, oldest first, without gaps; at least two.
        noise: Standard deviation by chance of the last day, such as the root of an expected count.
        least: The scale's floor.

    Source: Rousseeuw, P. J. and Croux, C. (1993), Alternatives to the median absolute deviation, JASA 88, 1273-1283,
    for the MAD as a scale; the day of the week as season as in Cleveland et al. (1990), STL.
    """
    past, last = days[:-1], float(days[-1])
    # The last day has index n - 1: days of its weekday lie a whole number of weeks before it.
    weekday = (np.arange(len(past)) - len(past)) % WEEK
    usual = np.empty(len(past))
    for day in range(WEEK):
        same = weekday == day
        usual[same] = np.median(past[same] if same.sum() >= LEAST_SAME_DAYS else past) if same.any() else 0
    today = past[weekday == 0]
    expected = float(np.median(today if len(today) >= LEAST_SAME_DAYS else past))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(past - usual)))
    scale = max(spread, float(noise), least)
    return Unusual(expected, (last - expected) / scale)
