"""Resolving the variables of a mail: value, source, age, and what happened where it was missing or too old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mailwright.core.durations import duration_micros, duration_text
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.instants import Instant
from mailwright.decisions.content_rules import Choice
from mailwright.decisions.mail import Source, VariableDefinition, parse_source

Used = Literal["value", "fallback", "blank", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """One variable.

    Attributes:
        name: Name in the template; `source` where the value was looked for.
        value: What the template gets. A sealed value stays the sealed object; who renders opens it.
        used: ``value`` as found, ``fallback``, ``blank``, or ``none``: missing, and the mail is skipped for it.
        why: Why the value was not used; empty if it was.
        at: Stamp of the newest fact behind the value found; None if nothing has one.
        origin: Which write key told it, ``attribute``, ``segment`` or the content rule and row.
        age_micros: Decision's instant minus `at`; None without one.
    """

    name: str
    source: str
    value: Any
    used: Used
    why: str = ""
    at: Instant | None = None
    origin: str = ""
    age_micros: int | None = None


def resolve(
    name: str, definition: VariableDefinition, facts: PersonFacts, choices: Sequence[Choice], now: Instant
) -> Resolved:
    """The value of one variable for one person at `now`.

    Missing is: no such fact, None, or empty text. Older than ``max_age`` is: ``now - at > max_age``; a value that has
    no stamp has no age and passes.
    """
    source = parse_source(definition.source)
    known = look_up(source, facts, choices)
    age = None if known is None or known.at is None else now - known.at
    why = _why_not(source, known, age, definition.max_age)
    used, value = _instead(definition) if why or known is None else ("value", known.value)
    return Resolved(
        name=name,
        source=str(source),
        value=value,
        used=used,
        why=why,
        at=known.at if known else None,
        origin=known.source if known else "",
        age_micros=age,
    )


def look_up(source: Source, facts: PersonFacts, choices: Sequence[Choice] = ()) -> Known | None:
    """The fact that a source names, or None if there is none. A path leads into objects: ``trait email.domain``."""
    match source.kind:
        case "trait":
            return _nested(facts.traits, source.path)
        case "attribute":
            return _nested(facts.attributes, source.path)
        case "segment":
            return Known(value=source.path in facts.segments, at=None, source="segment")
        case "content":
            return _chosen(choices, source.path)


def _nested(known: Mapping[str, Known], path: str) -> Known | None:
    """The longest prefix of `path` that is a name, then the rest as keys of its object."""
    steps = path.split(".")
    for n in range(len(steps), 0, -1):
        found = known.get(".".join(steps[:n]))
        if found is not None:
            return Known(value=_inside(found.value, steps[n:]), at=found.at, source=found.source)
    return None


def _inside(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _chosen(choices: Sequence[Choice], path: str) -> Known | None:
    slot, *steps = path.split(".")
    for choice in choices:
        value = _inside(dict(choice.use), steps) if choice.slot == slot else None
        if value is not None:
            return Known(value=value, at=None, source=f"{choice.rule}: {choice.row}")
    return None


def _why_not(source: Source, known: Known | None, age: int | None, max_age: str | None) -> str:
    if known is None or known.value is None or known.value == "":
        return f"{source} is not known"
    if max_age is not None and age is not None and age > duration_micros(max_age):
        return f"{source} is {duration_text(age)} old, more than {max_age}"
    return ""


def _instead(definition: VariableDefinition) -> tuple[Used, Any]:
    match definition.on_missing:
        case "fallback":
            return "fallback", definition.fallback
        case "blank":
            return "blank", ""
        case "skip":
            return "none", None
