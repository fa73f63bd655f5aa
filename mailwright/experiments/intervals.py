"""Intervals for proportions and their difference; the sample-ratio test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import chdtrc, ndtri


def wilson(clicks: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, without continuity correction.

    Args:
        clicks: Successes, 0 <= clicks <= n.
        n: Trials; with none of them nothing is known: (0, 1).
        confidence: Coverage wanted, in (0, 1).

    Source: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22,
    209-212; equation in Newcombe (1998), Statistics in Medicine 17, 857-872, method 3.
    """
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri((1 + confidence) / 2))
    rate = clicks / n
    centre = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the edges the formula gives exactly 0 or 1; floating point misses it by an ulp.
    low = 0.0 if clicks == 0 else (centre - half) / scale
    high = 1.0 if clicks == n else (centre + half) / scale
    return low, high


def newcombe(clicks: int, n: int, control_clicks: int, control_n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Newcombe's hybrid score interval of the difference ``clicks/n - control_clicks/control_n``.

    With no trials in an arm its rate counts as the middle of (0, 1) and the interval covers zero.

    Source: Newcombe, R. G. (1998), Interval estimation for the difference between independent proportions: comparison
    of eleven methods, Statistics in Medicine 17, 873-890, method 10.
    """
    rate, control = _rate(clicks, n), _rate(control_clicks, control_n)
    low, high = wilson(clicks, n, confidence)
    control_low, control_high = wilson(control_clicks, control_n, confidence)
    difference = rate - control
    return (
        difference - math.hypot(rate - low, control_high - control),
        difference + math.hypot(high - rate, control - control_low),
    )


def _rate(clicks: int, n: int) -> float:
    return clicks / n if n else 0.5


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """p-value of Pearson's chi-squared test that `counts` were drawn with `shares`; 1 where nothing was drawn.

    Args:
        counts: People per arm.
        shares: Probability of each arm, all > 0, summing to 1.

    Source: Pearson (1900); for experiments Fabijan et al., Diagnosing sample ratio mismatch in online controlled
    experiments, KDD 2019.
    """
    total = sum(counts)
    if total == 0:
        return 1.0
    statistic = sum((count - total * share) ** 2 / (total * share) for count, share in zip(counts, shares, strict=True))
    return float(chdtrc(len(counts) - 1, statistic))
