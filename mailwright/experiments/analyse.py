"""What the counts of an experiment allow to say, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailwright.core.errors import InvalidInput, Issue
from mailwright.experiments.intervals import newcombe, sample_ratio_p, wilson

SAMPLE_RATIO_ALARM_P = 0.001
"""Below this p-value the groups are not what was drawn and no verdict is given (Fabijan et al. 2019 use it too)."""

Verdict = Literal["control", "better", "worse", "not proven", "blocked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Counts of one variant: `n` people who were sent the mail, `clicks` of them with at least one human click."""

    name: str
    n: int
    clicks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm's part of the result.

    Attributes:
        rate: clicks / n; None if n is 0.
        low: Lower and `high` upper end of Wilson's 95 % interval of the rate.
        difference: Rate minus the control's rate; None for the control, or if either has no people.
        difference_low: Ends of Newcombe's interval of the difference, at `confidence`; None for the control.
        confidence: 0.95, made stricter for several arms (Bonferroni): 1 - 0.05 / (number of arms - 1).
        verdict: ``not proven`` where the interval of the difference covers zero.
        text: The verdict in a sentence.
    """

    name: str
    n: int
    clicks: int
    rate: float | None
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    confidence: float
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The whole result; `sample_ratio_p` < 0.001 blocks every verdict."""

    arms: tuple[ArmResult, ...]
    sample_ratio_p: float
    blocked: bool
    verdict: str


def analyse(arms: Sequence[Arm], shares: Mapping[str, float] | None = None, confidence: float = 0.95) -> Analysis:
    """Compare every arm with the first one, the control, once, at the end (not after every look).

    Args:
        arms: At least two, control first.
        shares: Arm -> probability with which it was drawn; None means equal ones.
        confidence: Of the rates, and family-wise of the differences.

    Raises:
        InvalidInput: If there are fewer than two arms, clicks exceed n, or an arm has no share.
    """
    _check(arms, shares)
    expected = [shares[arm.name] if shares else 1 / len(arms) for arm in arms]
    ratio_p = sample_ratio_p([arm.n for arm in arms], expected)
    blocked = ratio_p < SAMPLE_RATIO_ALARM_P
    each = 1 - (1 - confidence) / (len(arms) - 1)
    results = tuple(_result(arm, arms[0], confidence, each, blocked) for arm in arms)
    return Analysis(arms=results, sample_ratio_p=ratio_p, blocked=blocked, verdict=_overall(results, blocked, ratio_p))


def _check(arms: Sequence[Arm], shares: Mapping[str, float] | None) -> None:
    issues = [
        Issue(path=arm.name, message=f"{arm.clicks} of {arm.n} people clicked, which cannot be")
        for arm in arms
        if not 0 <= arm.clicks <= arm.n
    ]
    if len(arms) < 2:
        issues.append(Issue(path="", message="an experiment needs at least two arms to compare"))
    if shares is not None:
        issues += [Issue(path=arm.name, message="the arm has no share") for arm in arms if arm.name not in shares]
    if issues:
        raise InvalidInput("experiment.counts", issues)


def _result(arm: Arm, control: Arm, confidence: float, each: float, blocked: bool) -> ArmResult:
    low, high = wilson(arm.clicks, arm.n, confidence)
    rate = arm.clicks / arm.n if arm.n else None
    compared = arm is not control
    ends = newcombe(arm.clicks, arm.n, control.clicks, control.n, each) if compared else (None, None)
    difference = arm.clicks / arm.n - control.clicks / control.n if compared and arm.n and control.n else None
    verdict = _verdict(ends, blocked) if compared else "control"
    return ArmResult(
        name=arm.name,
        n=arm.n,
        clicks=arm.clicks,
        rate=rate,
        low=low,
        high=high,
        difference=difference,
        difference_low=ends[0],
        difference_high=ends[1],
        confidence=each,
        verdict=verdict,
        text=_text(arm, control, difference, ends, verdict),
    )


def _verdict(ends: tuple[float | None, float | None], blocked: bool) -> Verdict:
    low, high = ends
    if blocked or low is None or high is None:
        return "blocked"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not proven"


def _text(
    arm: Arm, control: Arm, difference: float | None, ends: tuple[float | None, float | None], verdict: Verdict
) -> str:
    if verdict == "control":
        return f"{arm.name} is the arm that the others are compared with"
    if verdict == "blocked":
        return f"no verdict on {arm.name}: the groups are not the sizes that were drawn"
    if difference is None or ends[0] is None or ends[1] is None:
        return f"not proven: nobody was sent {arm.name if not arm.n else control.name}"
    span = f"{difference * 100:+.2f} points, interval {ends[0] * 100:+.2f} to {ends[1] * 100:+.2f}"
    if verdict == "not proven":
        return f"not proven: {arm.name} against {control.name} is {span}, which covers zero"
    return f"{arm.name} is {verdict} than {control.name}: {span}"


def _overall(results: Sequence[ArmResult], blocked: bool, ratio_p: float) -> str:
    if blocked:
        return f"blocked: the sizes of the arms do not fit their shares (p = {ratio_p:.2g}); find out why first"
    return "; ".join(result.text for result in results[1:])
