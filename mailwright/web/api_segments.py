"""Segments for programs: sizes, members, overlap, and what a rule would mean before it is applied."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import format_iso
from mailwright.core.previews import MAX_SAMPLE, Count
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.errors import error_body
from mailwright.web.pages.shell import AfterPerson, Context, defined
from mailwright.web.rule_previews import RulePreviews, Told

router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])

BODY_BYTES = 200_000
MOST_MEMBERS = 10_000
MOST_WAIT_S = 60
UNREADABLE = 422

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


_asked = msgspec.json.Decoder(Asked)


@router.get("/segments")
def segments(context: Context) -> Response:
    """All segments with sizes and rules."""
    sizes = context.engine.status().segments
    rows = [
        {"name": name, "title": one.title, "description": one.description, "rule": one.text, "size": sizes.get(name)}
        for name, one in context.project.segments.items()
    ]
    return json_response({"segments": rows})


@router.get("/segments/{name}")
def segment(context: Context, name: str) -> Response:
    """One segment."""
    one = defined("segment", context.project.segments, name)
    found = context.engine.status()
    shown = {"name": name, "title": one.title, "rule": one.text, "size": found.segments.get(name)}
    return json_response({**shown, "at": format_iso(found.at), "people": found.n_persons})


@router.get("/segments/{name}/members")
def members(context: Context, name: str, after: AfterPerson, limit: Limit = 1000) -> Response:
    """Members by person number, with first identifiers; `next` is the `after` of the next page, null at the end."""
    found = context.engine.members(name, after, limit + 1)
    names = context.engine.first_identifiers(found[:limit])
    rows = [{"person": person, "identifier": names.get(person, "")} for person in found[:limit]]
    return json_response({"segment": name, "members": rows, "next": found[limit - 1] if len(found) > limit else None})


@router.get("/segments/{name}/overlap")
def overlap(
    context: Context, name: str, others: Annotated[str, Query(alias="with", max_length=20_000)] = ""
) -> Response:
    """How many members a segment has in common with others: those of `with=a,b`, else all."""
    asked = [one for one in others.split(",") if one] or [one for one in context.project.segments if one != name]
    both = context.engine.overlap(name, asked)
    sizes = context.engine.status().segments
    rows = [{"name": other, "both": n, "size": sizes.get(other)} for other, n in both.items()]
    return json_response({"segment": name, "size": sizes.get(name), "overlap": rows})


@router.post("/segments/preview")
async def preview(request: Request, context: Context) -> Response:
    """Who `{"rule": text or tree, "segment", "limit"}` holds for.

    200 with the figures if all that it needs is kept live. Else 202 with an estimate, its 95 % interval and an `id`
    to ask for the exact figures. A rule that cannot be read is 422: each issue has its span, hint and caret text.
    """
    body = await read_body(request, BODY_BYTES)
    try:
        asked = _asked.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        hint = 'send {"rule": "did \'Order Completed\' within 30 days"}'
        raise InvalidInput.one("preview.body", f"this is no preview: {error}", hint=hint) from error
    return await run_in_threadpool(_previewed, context, request.app.state.previews, asked)


def _previewed(context: WebContext, previews: RulePreviews, asked: Asked) -> Response:
    try:
        rule = context.project.asked_rule(asked.rule, asked.segment or "")
        told = previews.ask(rule, asked.segment, asked.limit)
    except InvalidInput as error:
        return json_response(error_body(error), UNREADABLE)
    return _told(context, told)


@router.get("/segments/previews/{preview_id}")
def preview_again(
    request: Request, context: Context, preview_id: str, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 0
) -> Response:
    """What is known now of a preview: 200 when it is exact, else 202. `wait`: seconds to wait for the exact figures."""
    return _told(context, request.app.state.previews.again(preview_id, wait))


@router.delete("/segments/previews/{preview_id}")
def forget_preview(request: Request, preview_id: str) -> Response:
    """Nobody waits for a preview any more: stop working on it."""
    request.app.state.previews.forget(preview_id)
    return Response(status_code=204)


def _told(context: WebContext, told: Told) -> Response:
    found = told.preview
    people = sorted({*found.sample, *found.entering_sample, *found.leaving_sample})
    names = context.engine.first_identifiers(people) if people else {}
    body: dict[str, Any] = {
        "exact": found.exact,
        "at": format_iso(found.at),
        "people": found.n_persons,
        **_count("size", found.size),
        "share": found.share,
        "sample": [{"person": person, "identifier": names.get(person, "")} for person in found.sample],
    }
    for name, count, sample in (
        ("entering", found.entering, found.entering_sample),
        ("leaving", found.leaving, found.leaving_sample),
    ):
        if count is not None:
            rows = [{"person": person, "identifier": names.get(person, "")} for person in sample]
            body |= {**_count(name, count), f"{name}_sample": rows}
    if not found.exact:
        body |= {"id": told.id or None, "missing": len(found.missing)}
    return json_response(body, 200 if found.exact else 202)


def _count(name: str, count: Count | None) -> dict[str, Any]:
    """A count, and its interval where it is an estimate."""
    if count is None:
        return {name: None}
    interval = {} if count.low == count.high == count.n else {f"{name}_interval": [count.low, count.high]}
    return {name: count.n, **interval}
