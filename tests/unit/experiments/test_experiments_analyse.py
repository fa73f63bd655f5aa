"""Intervals against published tables and scipy, verdicts at their edges, coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mailwright.core.errors import InvalidInput
from mailwright.experiments.analyse import Arm, analyse
from mailwright.experiments.intervals import newcombe, sample_ratio_p, wilson


@pytest.mark.parametrize(
    ("clicks", "n", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(clicks: int, n: int, low: float, high: float) -> None:
    assert wilson(clicks, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=100, deadline=None)
def test_wilson_as_scipy(n: int, share: float, confidence: float) -> None:
    clicks = round(share * n)
    oracle = stats.binomtest(clicks, n).proportion_ci(confidence, method="wilson")
    assert wilson(clicks, n, confidence) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_as_published(one: tuple[int, int], other: tuple[int, int], low: float, high: float) -> None:
    assert newcombe(*one, *other) == pytest.approx((low, high), abs=5e-5)


def test_the_difference_turned_round_is_the_same_interval_turned_round() -> None:
    low, high = newcombe(56, 70, 48, 80)
    assert newcombe(48, 80, 56, 70) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("counts", "shares"), [([480, 520], [0.5, 0.5]), ([100, 320, 580], [0.1, 0.3, 0.6])])
def test_sample_ratio_as_scipy(counts: list[int], shares: list[float]) -> None:
    oracle = stats.chisquare(counts, [sum(counts) * share for share in shares]).pvalue
    assert sample_ratio_p(counts, shares) == pytest.approx(oracle)


def test_intervals_cover_what_they_promise() -> None:
    """Simulated with a fixed seed at small click rates: the mean coverage of both is at least 94.5 %."""
    random = np.random.default_rng(20171204)
    for rate, control in [(0.02, 0.02), (0.05, 0.03), (0.3, 0.25)]:
        draws = zip(random.binomial(400, rate, 2000), random.binomial(500, control, 2000), strict=True)
        hits = both = 0
        for clicks, others in draws:
            low, high = wilson(int(clicks), 400)
            hits += low <= rate <= high
            low, high = newcombe(int(clicks), 400, int(others), 500)
            both += low <= rate - control <= high
        assert hits / 2000 > 0.935
        assert both / 2000 > 0.945


@pytest.mark.parametrize(
    ("n", "rate", "confidence"), [(1000, 0.04, 0.95), (1000, 0.04, 0.975), (400, 0.02, 0.95), (200, 0.3, 0.95)]
)
def test_an_experiment_without_effect_is_seldom_called_one(n: int, rate: float, confidence: float) -> None:
    """A/A, exact by summing over all outcomes: both arms alike, a verdict at most as often as promised."""
    counts = np.arange(int(n * rate + 8 * np.sqrt(n * rate)))
    weight = stats.binom.pmf(counts, n, rate)
    false = 0.0
    for one in counts[weight > 1e-9]:
        for other in counts[weight > 1e-9]:
            low, high = newcombe(int(one), n, int(other), n, confidence)
            false += weight[one] * weight[other] * (low > 0 or high < 0)
    # Hybrid score intervals are approximate: at the high rate of the last row it is 5.02 %.
    assert 0.5 * (1 - confidence) < false <= 1.005 * (1 - confidence)


@pytest.mark.parametrize(
    ("clicks", "verdict"),
    [(100, "not proven"), (140, "better"), (60, "worse")],
)
def test_verdicts(clicks: int, verdict: str) -> None:
    control, arm = analyse([Arm(name="popular", n=1000, clicks=100), Arm(name="personal", n=1000, clicks=clicks)]).arms
    assert control.verdict == "control"
    assert control.difference is None
    assert arm.verdict == verdict
    assert arm.text.startswith("not proven" if verdict == "not proven" else f"personal is {verdict} than popular")


def test_the_verdict_turns_where_the_interval_leaves_zero() -> None:
    verdicts = []
    for clicks in range(100, 150):
        arm = analyse([Arm(name="a", n=1000, clicks=100), Arm(name="b", n=1000, clicks=clicks)]).arms[1]
        assert arm.difference_low is not None
        assert (arm.verdict == "better") == (arm.difference_low > 0)
        verdicts.append(arm.verdict)
    assert verdicts == sorted(verdicts, reverse=True)
    assert set(verdicts) == {"not proven", "better"}


def test_groups_of_the_wrong_size_block_the_verdict() -> None:
    result = analyse([Arm(name="a", n=1000, clicks=10), Arm(name="b", n=800, clicks=400)])
    assert result.blocked
    assert result.arms[1].verdict == "blocked"
    assert result.verdict.startswith("blocked")


def test_unequal_groups_are_right_when_they_were_drawn_so() -> None:
    arms = [Arm(name="a", n=900, clicks=10), Arm(name="b", n=100, clicks=50)]
    assert analyse(arms).blocked
    assert analyse(arms, {"a": 0.9, "b": 0.1}).arms[1].verdict == "better"


def test_nobody_sent_proves_nothing() -> None:
    result = analyse([Arm(name="a", n=0, clicks=0), Arm(name="b", n=0, clicks=0)])
    assert [arm.rate for arm in result.arms] == [None, None]
    assert result.arms[1].verdict == "not proven"
    assert result.arms[1].difference is None


def test_more_arms_make_the_intervals_wider() -> None:
    two = analyse([Arm(name="a", n=1000, clicks=100), Arm(name="b", n=1000, clicks=120)]).arms[1]
    three = analyse(
        [Arm(name=name, n=1000, clicks=clicks) for name, clicks in (("a", 100), ("b", 120), ("c", 90))]
    ).arms[1]
    assert two.confidence == pytest.approx(0.95)
    assert three.confidence == pytest.approx(0.975)
    assert three.difference_low is not None
    assert two.difference_low is not None
    assert three.difference_low < two.difference_low


@pytest.mark.parametrize("arms", [[("a", 10, 11), ("b", 10, 0)], [("a", 10, 1)], [("a", 10, -1), ("b", 1, 0)]])
def test_counts_that_cannot_be_are_refused(arms: list[tuple[str, int, int]]) -> None:
    with pytest.raises(InvalidInput):
        analyse([Arm(name=name, n=n, clicks=clicks) for name, n, clicks in arms])


def test_an_arm_without_a_share_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no share"):
        analyse([Arm(name="a", n=1, clicks=0), Arm(name="b", n=1, clicks=0)], {"a": 1.0})
