"""Segments: their sizes, their rules, who is in them."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from mailwright.reports.overview import segment_sizes
from mailwright.web.pages.people import person_rows
from mailwright.web.pages.shell import AfterPerson, Context, defined, pages_router, titles
from mailwright.web.templating import page_response

router = pages_router()


@router.get("/segments")
def segments(request: Request, context: Context) -> Response:
    """All segments."""
    status = context.engine.status()
    found = context.project.segments
    sizes = segment_sizes(status.segments, titles(found), status.n_persons)
    return page_response(request, "segments.html", {"sizes": sizes, "definitions": found, "status": status})


@router.get("/segments/{name}")
def segment(request: Request, context: Context, name: str, after: AfterPerson) -> Response:
    """One segment and a page of its members."""
    definition = defined("segment", context.project.segments, name)
    status = context.engine.status()
    limit = context.settings.page_rows
    members = context.engine.members(name, after, limit + 1)
    rows = person_rows(context, members[:limit])
    values = {
        "definition": definition,
        "size": status.segments.get(name, 0),
        "status": status,
        "rows": rows,
        "next": members[limit - 1] if len(members) > limit else None,
        "list_address": f"/segments/{name}",
    }
    return page_response(request, "people_rows.html" if _is_more(request) else "segment.html", values)


def _is_more(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"
