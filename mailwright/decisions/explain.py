"""A decision record in plain words, for pages and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mailwright.core.durations import duration_text
from mailwright.core.instants import SECOND, Instant, format_iso

Topic = Literal["outcome", "why", "facts", "experiment", "content", "recommendations", "variables", "versions"]

_HIDDEN = "(sealed)"


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of an explanation under its topic."""

    topic: Topic
    text: str


def explain(kept: Mapping[str, Any]) -> list[Line]:
    """The record as sentences, in reading order. Sealed values are not opened."""
    return [
        *_outcome(kept),
        *_matched(kept),
        *_experiment(kept),
        *_content(kept),
        *_recommendations(kept),
        *_variables(kept),
        *_versions(kept),
    ]


def explain_text(kept: Mapping[str, Any]) -> str:
    """The same as text: topics as headings, sentences indented below."""
    rows: list[str] = []
    topic = ""
    for line in explain(kept):
        if line.topic != topic:
            topic = line.topic
            rows.append(f"{topic}:")
        rows.append(f"  {line.text}")
    return "\n".join(rows)


def _outcome(kept: Mapping[str, Any]) -> Iterator[Line]:
    outcome, whom = kept["outcome"], kept["first_identifier"] or f"person {kept['person']}"
    when = format_iso(Instant(kept["decided_at"]))
    if outcome["kind"] == "mail":
        template = kept["mail"]["template"]
        yield Line("outcome", f"{whom} gets {template} of {kept['origin']}, step {kept['step']}, decided {when}")
        return
    detail = f": {outcome['detail']}" if outcome["detail"] else ""
    who = "the mail itself" if outcome["kind"] == "skip" else "the gate"
    yield Line("outcome", f"{whom} gets no mail of {kept['origin']}, step {kept['step']}, decided {when}")
    yield Line("outcome", f"{who} refused it: {outcome['reason']}{detail}")


def _matched(kept: Mapping[str, Any]) -> Iterator[Line]:
    for one in kept["matched"]:
        truth = "holds" if one["truth"] else "does not hold"
        yield Line("why", f"{one['condition']} {truth}: {one['rule']}")
    for name, known in kept["facts"].items():
        yield Line("facts", f"{name} is not known" if known is None else f"{name} = {_known(known)}")


def _known(known: Mapping[str, Any]) -> str:
    since = f", {format_iso(Instant(known['at']))}" if known["at"] is not None else ""
    return f"{_shown(known['value'])} (from {known['source']}{since})"


def _experiment(kept: Mapping[str, Any]) -> Iterator[Line]:
    arm = kept.get("experiment")
    if arm:
        share = f"{arm['probability'] * 100:g} %"
        yield Line("experiment", f"{arm['name']}: variant {arm['variant']}, drawn with probability {share}")


def _content(kept: Mapping[str, Any]) -> Iterator[Line]:
    for one in kept.get("content", ()):
        why = f" because {one['when']}" if one["when"] else " because no row holds"
        yield Line("content", f"slot {one['slot']}: {one['rule']} chose {one['row']}{why}")
        if one["lost"]:
            yield Line("content", f"slot {one['slot']}: {', '.join(one['lost'])} would hold too but come later")


def _recommendations(kept: Mapping[str, Any]) -> Iterator[Line]:
    found = kept.get("recommendations")
    if not found:
        return
    for rung in found["tried"]:
        what = f"{rung['n']} item{'' if rung['n'] == 1 else 's'} from {rung['source']}"
        yield Line("recommendations", what + (f": {rung['why']}" if rung["why"] else ""))
    for place, item in enumerate(found["items"], start=1):
        score = "" if item["score"] is None else f", score {item['score']:.4g}"
        reason = f" - {item['reason']}" if item["reason"] else ""
        yield Line("recommendations", f"{place}. {_title(item)}{reason} ({item['model'] or item['source']}{score})")
    if found["excluded"]:
        yield Line("recommendations", f"left out: {', '.join(found['excluded'])}")


def _title(item: Mapping[str, Any]) -> str:
    title = item["facts"].get("title")
    return f"{title} ({item['item_id']})" if title else str(item["item_id"])


def _variables(kept: Mapping[str, Any]) -> Iterator[Line]:
    for one in kept.get("variables", ()):
        if one["used"] == "none":
            yield Line("variables", f"{one['name']} is required: {one['why']}")
        elif one["used"] == "value":
            age = f", {_age(one['age_micros'])} old" if one["age_micros"] is not None else ""
            told = f" told by {one['origin']}" if one["origin"] else ""
            yield Line("variables", f"{one['name']} = {_shown(one['value'])}, from {one['source']}{told}{age}")
        else:
            yield Line("variables", f"{one['name']} = {_shown(one['value'])} ({one['used']}): {one['why']}")


def _age(micros: int) -> str:
    for size in (86_400 * SECOND, 3600 * SECOND, 60 * SECOND):
        if micros >= size:
            return duration_text(micros // size * size)
    return duration_text(max(0, micros))


def _versions(kept: Mapping[str, Any]) -> Iterator[Line]:
    engine = kept["engine"]
    seen = f", people as of {format_iso(Instant(engine['at']))} (offset {engine['offset']})" if engine else ""
    yield Line("versions", f"definitions {kept['definitions_version']}{seen}")


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "sealed" in value:
        return _HIDDEN
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value) or "nothing"
    return "missing" if value is None else str(value)
