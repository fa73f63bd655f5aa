"""The decision record: all that a mail, or its absence, was decided on, as one JSON-shaped dict.

It is kept as long as the message. Fields may be added, never renamed; ``version`` says by which rules it was written.
Fields that end in ``_at`` are instants (integer microseconds). Sealed values stay sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailwright.core.facts import PersonFacts
from mailwright.core.instants import Instant
from mailwright.core.messages import SendRequest
from mailwright.decisions.decide import Decision, Ground, Skip, variables_of
from mailwright.decisions.mail import parse_source
from mailwright.decisions.matched import Match
from mailwright.decisions.recommend import Recommendations
from mailwright.decisions.variables import Resolved, look_up

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No mail, by the gate, before anything was decided: ``no_consent``, ``suppressed``, ``expired``."""

    reason: str
    detail: str = ""


def record(
    outcome: Decision | Skip | Refused,
    request: SendRequest,
    facts: PersonFacts | None,
    *,
    matched: Sequence[Match],
    definitions_version: int,
    now: Instant,
) -> dict[str, Any]:
    """The record of one decision.

    Args:
        outcome: What came out.
        request: What was asked for.
        facts: What was known; None if the gate refused without asking.
        matched: Conditions asked of this person, those of content rows included, with the facts that they read.
        definitions_version: Version of the project's definitions in force.
        now: The project clock's instant of the decision.
    """
    ground = None if isinstance(outcome, Refused) else outcome.ground
    return {
        "version": VERSION,
        "decided_at": now,
        "origin": request.origin,
        "step": request.step,
        "occurrence": request.occurrence,
        "purpose": request.purpose,
        "person": request.person,
        "first_identifier": facts.first_identifier if facts else None,
        "definitions_version": definitions_version,
        "engine": {"offset": facts.offset, "at": facts.at} if facts else None,
        "outcome": _outcome(outcome),
        "matched": [
            {"condition": one.condition, "rule": one.rule, "truth": one.truth, "uses": list(one.uses)}
            for one in matched
        ],
        "facts": _facts(facts, matched) if facts else {},
        "segments": list(facts.segments) if facts else [],
    } | (_ground(ground) if ground else {})


def rerender_variables(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the template got, from a record: equal to `Decision.variables` of the time."""
    return variables_of(
        {one["name"]: one["value"] for one in kept.get("variables", [])},
        [(one["slot"], one["use"]) for one in kept.get("content", [])],
        None
        if kept.get("recommendations") is None
        else [(one["facts"], one["item_id"], one["reason"], one["source"]) for one in kept["recommendations"]["items"]],
    )


def _outcome(outcome: Decision | Skip | Refused) -> dict[str, Any]:
    if isinstance(outcome, Decision):
        return {"kind": "mail", "reason": "", "detail": ""}
    kind = "skip" if isinstance(outcome, Skip) else "refused"
    return {"kind": kind, "reason": outcome.reason, "detail": outcome.detail}


def _facts(facts: PersonFacts, matched: Sequence[Match]) -> dict[str, Any]:
    wanted = sorted({name for one in matched for name in one.uses})
    found = {name: look_up(parse_source(name), facts) for name in wanted}
    return {
        name: {"value": known.value, "at": known.at, "source": known.source} if known else None
        for name, known in found.items()
    }


def _ground(ground: Ground) -> dict[str, Any]:
    assignment = ground.assignment
    return {
        "mail": {"template": ground.mail.template, "subject": ground.mail.subject},
        "experiment": None
        if assignment is None
        else {
            "name": assignment.experiment,
            "variant": assignment.variant,
            "probability": assignment.probability,
        },
        "content": [
            {
                "rule": one.rule,
                "slot": one.slot,
                "row": one.row,
                "when": one.when,
                "use": dict(one.use),
                "lost": list(one.lost),
            }
            for one in ground.choices
        ],
        "recommendations": _recommendations(ground.recommendations) if ground.recommendations else None,
        "variables": [_variable(one) for one in ground.resolved],
    }


def _recommendations(found: Recommendations) -> dict[str, Any]:
    return {
        "items": [
            {
                "item_id": item.item_id,
                "score": item.score,
                "reason": item.reason,
                "source": item.source,
                "model": item.model,
                "facts": dict(item.facts),
            }
            for item in found.items
        ],
        "tried": [{"source": rung.source, "n": rung.n, "why": rung.why} for rung in found.tried],
        "excluded": list(found.excluded),
    }


def _variable(one: Resolved) -> dict[str, Any]:
    return {
        "name": one.name,
        "source": one.source,
        "origin": one.origin,
        "value": one.value,
        "used": one.used,
        "why": one.why,
        "at": one.at,
        "age_micros": one.age_micros,
    }
