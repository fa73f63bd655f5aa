"""Whether a model may serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailwright.models.evaluate import Evaluation, best


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A verdict: `text` says why in words; `difference` and its interval are None where nothing had to be beaten."""

    passed: bool
    text: str
    baseline: str | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None


BASELINE = Gate(passed=True, text="a baseline: it serves as it is and has nothing to beat")


def judge(evaluation: Evaluation, model: str, metric: str, baselines: Sequence[str]) -> Gate:
    """Let a model pass only if it beats the best baseline beyond chance.

    The lower end of the 95 % paired bootstrap interval of its difference must be above zero: to be as good is not
    enough, because a baseline is simpler.
    """
    baseline = best(evaluation, metric, baselines)
    difference, low, high = evaluation.difference(metric, model, baseline)
    passed = low > 0
    means = [float(evaluation.values[name][metric].mean()) for name in (model, baseline)]
    verdict = "beats" if passed else "does not beat"
    text = (
        f"{metric} {means[0]:.4f} {verdict} {baseline} with {means[1]:.4f}: difference {difference:+.4f}, "
        f"interval {low:+.4f} to {high:+.4f} over {evaluation.n_users:,} people"
    )
    return Gate(passed=passed, text=text, baseline=baseline, difference=difference, low=low, high=high)
