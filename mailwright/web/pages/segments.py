"""Segments: their sizes, their rules and what another rule would change, who is in them, who came, who left and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.core.previews import Count
from mailwright.reports.overview import segment_sizes
from mailwright.reports.transitions import Growth, growth, latest_transitions
from mailwright.web.charts import Chart, Series
from mailwright.web.context import Definition, WebContext
from mailwright.web.errors import caret
from mailwright.web.pages.people import known_name, person_rows
from mailwright.web.pages.shell import AfterPerson, Context, defined, pages_router, titles
from mailwright.web.rule_previews import RulePreviews, Told
from mailwright.web.sessions import checked_form
from mailwright.web.templating import number, page_response

router = pages_router()

NEWEST = 12
SAMPLE = 6
FORM_BYTES = 200_000
CAUSES = {
    "event": "something they did",
    "time": "time passed",
    "import": "imported history",
    "definition": "the rule changed",
    "merge": "people were merged",
    "split": "a person was split",
    "list": "a list was changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Somebody came or left."""

    person: Person
    name: str
    entered: bool
    at: Instant
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Another segment, and how many members of this one are in it."""

    name: str
    title: str
    both: int
    share: float


@router.get("/segments")
def segments(request: Request, context: Context) -> Response:
    """All segments."""
    status = context.engine.status()
    found = context.project.segments
    sizes = segment_sizes(status.segments, titles(found), status.n_persons)
    return page_response(request, "segments.html", {"sizes": sizes, "definitions": found, "status": status})


@router.get("/try")
def try_rule(request: Request, context: Context) -> Response:
    """An empty editor: who would a rule hold for?"""
    del context
    return page_response(request, "try.html", {"rule_text": "", "segment": ""})


@router.post("/try", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def tried_rule(
    request: Request,
    context: Context,
    rule: Annotated[str, Form(max_length=100_000)] = "",
    segment: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    """What a rule would mean now: size, sample, and, as another rule of `segment`, who would enter and leave."""
    previews: RulePreviews = request.app.state.previews
    try:
        node = context.project.asked_rule(rule, segment)
        told = previews.ask(node, segment or None, SAMPLE)
    except InvalidInput as error:
        values: dict[str, Any] = {"faults": [(issue, caret(issue)) for issue in error.issues], "told": None}
    else:
        values = {"faults": [], **_told(context, told)}
    return _tried(request, values, rule, segment)


def _tried(request: Request, values: dict[str, Any], rule: str, segment: str) -> Response:
    if request.headers.get("hx-request") == "true":
        return page_response(request, "rule_preview.html", values)
    return page_response(request, "try.html", {"rule_text": rule, "segment": segment, **values})


@router.get("/try/{preview_id}")
def tried_again(request: Request, context: Context, preview_id: Annotated[str, Path(max_length=64)]) -> Response:
    """The same when everybody has been counted; until then the estimate."""
    previews: RulePreviews = request.app.state.previews
    try:
        values = {"faults": [], **_told(context, previews.again(preview_id, 0))}
    except MailwrightError as error:
        values = {"faults": [], "told": None, "failure": error.message}
    return page_response(request, "rule_preview.html", values)


def _told(context: WebContext, told: Told) -> dict[str, Any]:
    found = told.preview
    samples = {"sample": found.sample, "entering": found.entering_sample, "leaving": found.leaving_sample}
    people = sorted({person for sample in samples.values() for person in sample})
    facts = context.engine.facts(people) if people else {}
    names = {person: known_name(context, one) for person, one in facts.items()}
    return {
        "told": told,
        "preview": found,
        "counted": counted,
        "people": {
            kind: [(person, names[person]) for person in sample if person in names] for kind, sample in samples.items()
        },
    }


def counted(count: Count | None) -> str:
    """``1,204``, or for an estimate ``about 1,204``."""
    if count is None:
        return "–"
    return number(count.n) if count.low == count.high == count.n else f"about {number(count.n)}"


@router.get("/segments/{name}")
def segment(request: Request, context: Context, name: str, after: AfterPerson) -> Response:
    """One segment and a page of its members."""
    definition = defined("segment", context.project.segments, name)
    if request.headers.get("hx-request") == "true":
        return page_response(request, "people_rows.html", _members(context, name, after))
    status = context.engine.status()
    size = status.segments.get(name, 0)
    grown = growth(context.history, name, context.project.zone, status.at)
    values = {
        "definition": definition,
        "size": size,
        "status": status,
        "rule_text": definition.text,
        "segment": name,
        "growth_chart": _growth_chart(definition, grown, size),
        "moves_chart": _moves_chart(definition, grown),
        "causes": [(CAUSES.get(cause, cause), came, gone) for cause, (came, gone) in grown.causes.items()],
        "entered": sum(came for came, _ in grown.causes.values()),
        "left": sum(gone for _, gone in grown.causes.values()),
        "moves": _moves(context, name),
        "cause_words": CAUSES,
        "overlaps": _overlaps(context, name, size),
        **_members(context, name, after),
    }
    return page_response(request, "segment.html", values)


@router.get("/segments/{name}/moves")
def segment_moves(request: Request, context: Context, name: str) -> Response:
    """Who came and left last: the page asks anew while it is open."""
    definition = defined("segment", context.project.segments, name)
    values = {"moves": _moves(context, name), "cause_words": CAUSES, "definition": definition}
    return page_response(request, "segment_moves.html", values)


def _members(context: WebContext, name: str, after: Person | None) -> dict[str, Any]:
    limit = context.settings.page_rows
    members = context.engine.members(name, after, limit + 1)
    return {
        "rows": person_rows(context, members[:limit]),
        "next": members[limit - 1] if len(members) > limit else None,
        "list_address": f"/segments/{name}",
    }


def _moves(context: WebContext, name: str) -> list[Move]:
    found = latest_transitions(context.engine, context.history, name, NEWEST)
    facts = context.engine.facts(sorted({one.person for one in found})) if found else {}
    return [
        Move(
            person=one.person,
            name=known_name(context, facts[one.person]) if one.person in facts else f"#{one.person}",
            entered=one.entered,
            at=one.at,
            cause=one.cause,
        )
        for one in found
    ]


def _overlaps(context: WebContext, name: str, size: int) -> Sequence[Shared]:
    others = [other for other in context.project.segments if other != name]
    both = context.engine.overlap(name, others) if others and size else {}
    named = titles(context.project.segments)
    rows = [Shared(name=other, title=named[other], both=n, share=n / size) for other, n in both.items()]
    return sorted(rows, key=lambda row: -row.both)


def _growth_chart(definition: Definition, grown: Growth, size: int) -> Chart | None:
    if not grown.days:
        return None
    sizes = [*grown.size[:-1], size]  # today is as live as the figure above the chart
    label = f"People in {definition.title} per day, from {number(sizes[0])} to {number(size)}"
    return Chart(kind="line", names=grown.days, series=[Series(name="People", values=sizes)], corner="Day", label=label)


def _moves_chart(definition: Definition, grown: Growth) -> Chart | None:
    if not grown.days:
        return None
    series = [Series(name="Entered", values=grown.entered), Series(name="Left", values=grown.left)]
    label = f"People who entered and left {definition.title} per day"
    return Chart(kind="line", names=grown.days, series=series, corner="Day", label=label)
