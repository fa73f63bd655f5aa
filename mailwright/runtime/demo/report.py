"""The demo's report: one dictionary, written as ``report.json`` and as one self-contained page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from mailwright.core.messages import Message, MessageState
from mailwright.core.ports import ModelVersion
from mailwright.decisions.explain import explain
from mailwright.models.definitions import BASELINES
from mailwright.reports.overview import (
    ExperimentReport,
    experiment_reports,
    mail_outcomes,
    model_reports,
    reactions,
    segment_sizes,
)
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project

NOTE = (
    "Reactions are replayed, not caused: a household opens a mail if it really came to the shop in the seven days "
    "after it, and clicks a product if it really bought it. Nobody bought because of these mails."
)

EXAMPLES = 3


def make_report(
    there: Installation,
    project: Project,
    measured: Mapping[str, Mapping[str, float]],
    timings_s: Mapping[str, float],
) -> dict[str, Any]:
    """Everything the demo has to tell, as plain JSON. History must hold all that happened.

    Args:
        there: Where it ran.
        project: Its definitions.
        measured: Model or baseline -> its figures on the four weeks that were played.
        timings_s: Seconds per stage.
    """
    status = there.engine.status()
    outcomes = mail_outcomes(there.records.messages)
    reacted = reactions(there.history)
    titles = {name: segment.title for name, segment in project.segments.items()}
    reasons: Counter[str] = Counter()
    for (_, reason), n in outcomes.by_reason.items():
        reasons[reason] += n
    return {
        "shop": project.name,
        "note": NOTE,
        "profiles": status.n_persons,
        "events": status.n_events,
        "duplicates_dropped": status.n_duplicates,
        "products": status.n_items,
        "segments": {one.name: one.size for one in segment_sizes(status.segments, titles, status.n_persons)},
        "segment_titles": titles,
        "models": {one.version.name: _model(one.version, measured) for one in model_reports(there.records.models)},
        "messages": {
            "outcomes": {state.value: n for state, n in sorted(outcomes.by_state.items())},
            "not_sent_reasons": dict(reasons.most_common()),
            "by_origin": {
                origin: {state.value: n for state, n in sorted(states.items())}
                for origin, states in sorted(outcomes.by_origin.items())
            },
        },
        "reactions": {
            "opened": reacted.opened,
            "clicked": reacted.clicked,
            "open_rate": reacted.open_rate,
            "click_rate": reacted.click_rate,
        },
        "experiments": {one.name: _experiment(one) for one in experiment_reports(there.history, _experiments(project))},
        "examples": [_example(there, message) for message in _chosen(there)],
        "timings_s": {stage: round(seconds, 1) for stage, seconds in timings_s.items()},
    }


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write ``report.json`` and ``report.html`` into `folder`."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    template = files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = lambda share: "–" if share is None else f"{share:.1%}"
    environment.filters["number"] = lambda n: f"{n:,}"
    (folder / "report.html").write_text(environment.from_string(template).render(report), encoding="utf-8")


def _experiments(project: Project) -> dict[str, Any]:
    found = [campaign.experiment for campaign in project.campaigns.values()]
    return {experiment.name: experiment for experiment in found if experiment is not None}


def _model(version: ModelVersion, measured: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """`metrics` and `baselines` on the weeks that were played; `gate_metrics` on the four weeks before them."""
    return {
        "kind": version.kind,
        "passed": version.passed,
        "gate": version.gate,
        "metrics": measured[version.name],
        "baselines": {name: measured[name] for name in BASELINES},
        "gate_metrics": version.metrics,
    }


def _experiment(found: ExperimentReport) -> dict[str, Any]:
    analysis = found.analysis
    return {
        "verdict": analysis.verdict,
        "sample_ratio_p": analysis.sample_ratio_p,
        "arms": {
            arm.name: {
                "n": arm.n,
                "clicks": arm.clicks,
                "rate": arm.rate,
                "interval": [arm.low, arm.high],
                "difference": arm.difference,
                "difference_interval": None
                if arm.difference_low is None
                else [arm.difference_low, arm.difference_high],
                "verdict": arm.verdict,
                "mails": found.mails[arm.name][0],
            }
            for arm in analysis.arms
        },
    }


def _chosen(there: Installation) -> list[Message]:
    """One sent mail of each of the first origins by name, so that the examples differ."""
    chosen: list[Message] = []
    origins = sorted({origin for origin, state, *_ in there.records.messages.counts() if state is MessageState.SENT})
    for origin in (origins * EXAMPLES)[:EXAMPLES]:
        known = {message.id for message in chosen}
        page = there.records.messages.page(before=None, limit=10, state=MessageState.SENT, origin=origin)
        chosen += [message for message in page if message.id not in known][:1]
    return chosen


def _example(there: Installation, message: Message) -> dict[str, Any]:
    full = there.records.messages.by_id(message.id) or message
    lines = explain(full.decision) if full.decision else []
    return {
        "id": full.id,
        "origin": full.origin,
        "subject": full.subject,
        "explanation": [{"topic": line.topic, "text": line.text} for line in lines],
    }
