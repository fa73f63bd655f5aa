"""The data map: what comes in, who answers for it, what uses it, and what nothing uses."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mailwright.reports.data_map import RECENT_DAYS
from mailwright.runtime.quality.data_map import newest_map
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])

KINDS = {
    "source": "Sources",
    "event": "Events",
    "property": "Properties",
    "trait": "Traits",
    "account": "Traits of accounts",
}


@router.get("/data-map")
def data_map(request: Request, context: Context) -> Response:
    """The newest data map, a table for each kind."""
    made = newest_map(context.records.meta)
    kinds = {
        title: [piece for piece in made.pieces if piece.kind == kind] if made else [] for kind, title in KINDS.items()
    }
    unused = sum(piece.unused for piece in made.pieces) if made else 0
    values = {"made": made, "kinds": kinds, "accounts": KINDS["account"], "unused": unused, "days": RECENT_DAYS}
    return page_response(request, "data_map.html", values)


@api_router.get("/data-map")
def data_map_api(context: Context) -> Response:
    """The newest data map as JSON; null before the first."""
    return json_response({"data_map": newest_map(context.records.meta)})
