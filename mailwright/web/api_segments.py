"""Segments for programs: sizes, members, overlap, and what a rule would mean before it is applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Person
from mailwright.core.instants import format_iso
from mailwright.core.previews import MAX_SAMPLE, Count
from mailwright.web.access import allowed
from mailwright.web.context import WebContext
from mailwright.web.described import Answer, ApiRoute, Told, When, also, json_body
from mailwright.web.errors import UnreadableRule
from mailwright.web.pages.shell import AfterPerson, Context, defined
from mailwright.web.rule_previews import RulePreviews
from mailwright.web.rule_previews import Told as Previewed

router = APIRouter(prefix="/v1", tags=["Segments"], dependencies=[Depends(allowed)], route_class=ApiRoute)

MOST_MEMBERS = 10_000
MOST_WAIT_S = 60

Limit = Annotated[int, Query(ge=1, le=MOST_MEMBERS)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a preview is asked for.

    Attributes:
        rule: Text, or a syntax tree.
        segment: The segment that it would be the rule of: then who would enter and leave it is told too.
        limit: People to name.
    """

    rule: str | dict[str, Any]
    segment: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_SAMPLE)] = 10


class SegmentRow(Told):
    """A segment; `size` is null until its past has been counted."""

    name: str
    title: str
    description: str
    rule: str
    size: int | None


class Segments(Told):
    """All segments, in the order of their file."""

    segments: list[SegmentRow]


class SegmentTold(Told):
    """A segment, with how many people there are in all."""

    name: str
    title: str
    rule: str
    size: int | None
    at: When
    people: int


class Named(Told):
    """A person by number, and the first identifier: of a personal kind its keyed hash."""

    person: int
    identifier: str


class Members(Told):
    """A page of members; `next` is the `after` of the next, null at the end."""

    segment: str
    members: list[Named]
    next: int | None


class Both(Told):
    """Another segment: how many are in both, and its size."""

    name: str
    both: int
    size: int | None


class Overlap(Told):
    """A segment beside others."""

    segment: str
    size: int | None
    overlap: list[Both]


class PreviewTold(Told):
    """What a rule means now.

    Attributes:
        exact: Whether the figures are counted; else they are estimated, each with its 95 % interval.
        people: How many people there are.
        share: Of all people.
        entering: Who would enter the segment that was named; so `leaving`.
        id: To ask again for the exact figures.
        missing: How many parts of the rule are not kept live.
    """

    exact: bool
    at: When
    people: int
    size: int | None
    share: float | None
    sample: list[Named]
    size_interval: list[int] | msgspec.UnsetType = msgspec.UNSET
    entering: int | msgspec.UnsetType = msgspec.UNSET
    entering_interval: list[int] | msgspec.UnsetType = msgspec.UNSET
    entering_sample: list[Named] | msgspec.UnsetType = msgspec.UNSET
    leaving: int | msgspec.UnsetType = msgspec.UNSET
    leaving_interval: list[int] | msgspec.UnsetType = msgspec.UNSET
    leaving_sample: list[Named] | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType | None = msgspec.UNSET
    missing: int | msgspec.UnsetType = msgspec.UNSET


@router.get("/segments")
def segments(context: Context) -> Segments:
    """All segments with sizes and rules."""
    sizes = context.engine.status().segments
    return Segments(
        segments=[
            SegmentRow(name=name, title=one.title, description=one.description, rule=one.text, size=sizes.get(name))
            for name, one in context.project.segments.items()
        ]
    )


@router.get("/segments/{name}")
@also(404)
def segment(context: Context, name: str) -> SegmentTold:
    """One segment."""
    one = defined("segment", context.project.segments, name)
    found = context.engine.status()
    return SegmentTold(
        name=name,
        title=one.title,
        rule=one.text,
        size=found.segments.get(name),
        at=format_iso(found.at),
        people=found.n_persons,
    )


@router.get("/segments/{name}/members")
@also(404)
def members(context: Context, name: str, after: AfterPerson, limit: Limit = 1000) -> Members:
    """Members by person number, with first identifiers; `next` is the `after` of the next page, null at the end."""
    found = context.engine.members(name, after, limit + 1)
    more = found[limit - 1] if len(found) > limit else None
    return Members(segment=name, members=_named(context, found[:limit]), next=more)


@router.get("/segments/{name}/overlap")
@also(404)
def overlap(
    context: Context, name: str, others: Annotated[str, Query(alias="with", max_length=20_000)] = ""
) -> Overlap:
    """How many members a segment has in common with others: those of `with=a,b`, else all."""
    asked = [one for one in others.split(",") if one] or [one for one in context.project.segments if one != name]
    both = context.engine.overlap(name, asked)
    sizes = context.engine.status().segments
    rows = [Both(name=other, both=n, size=sizes.get(other)) for other, n in both.items()]
    return Overlap(segment=name, size=sizes.get(name), overlap=rows)


_HINT = 'send {"rule": "did \'Order Completed\' within 30 days"}'


@router.post("/segments/preview")
@also(202, 404, 422)
def preview(
    request: Request, context: Context, asked: Annotated[Asked, Depends(json_body(Asked, "preview.body", hint=_HINT))]
) -> Answer[PreviewTold]:
    """Who `{"rule": text or tree, "segment", "limit"}` holds for.

    200 with the figures if all that it needs is kept live. Else 202 with an estimate, its 95 % interval and an `id`
    to ask for the exact figures. A rule that cannot be read is 422: each issue has its span, hint and caret text.
    """
    previews: RulePreviews = request.app.state.previews
    try:
        rule = context.project.asked_rule(asked.rule, asked.segment or "")
        told = previews.ask(rule, asked.segment, asked.limit)
    except InvalidInput as error:
        raise UnreadableRule(error.code, error.issues, error.hint) from error
    return _told(context, told)


@router.get("/segments/previews/{preview_id}")
@also(202, 404)
def preview_again(
    request: Request, context: Context, preview_id: str, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 0
) -> Answer[PreviewTold]:
    """What is known now of a preview: 200 when it is exact, else 202. `wait`: seconds to wait for the exact figures."""
    return _told(context, request.app.state.previews.again(preview_id, wait))


@router.delete("/segments/previews/{preview_id}", status_code=204)
def forget_preview(request: Request, preview_id: str) -> None:
    """Nobody waits for a preview any more: stop working on it."""
    request.app.state.previews.forget(preview_id)


def _told(context: WebContext, told: Previewed) -> Answer[PreviewTold]:
    found = told.preview
    body: dict[str, Any] = _count("size", found.size)
    for name, count, sample in (
        ("entering", found.entering, found.entering_sample),
        ("leaving", found.leaving, found.leaving_sample),
    ):
        if count is not None:
            body |= {**_count(name, count), f"{name}_sample": _named(context, sample)}
    if not found.exact:
        body |= {"id": told.id or None, "missing": len(found.missing)}
    shown = PreviewTold(
        exact=found.exact,
        at=format_iso(found.at),
        people=found.n_persons,
        share=found.share,
        sample=_named(context, found.sample),
        **body,
    )
    return Answer(shown, 200 if found.exact else 202)


def _named(context: WebContext, people: Sequence[Person]) -> list[Named]:
    names = context.engine.first_identifiers(people) if people else {}
    return [Named(person=person, identifier=names.get(person, "")) for person in people]


def _count(name: str, count: Count | None) -> dict[str, Any]:
    """A count, and its interval where it is an estimate."""
    if count is None:
        return {name: None}
    interval = {} if count.low == count.high == count.n else {f"{name}_interval": [count.low, count.high]}
    return {name: count.n, **interval}
