"""The data map: what comes in, who answers for it, what uses it, and what nothing uses."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mailwright.core.instants import format_iso, iso_or_none
from mailwright.reports.data_map import RECENT_DAYS, Answer, Influence, Kind, Piece
from mailwright.runtime.jobs.runs import asked_for
from mailwright.runtime.quality.data_map import newest_map
from mailwright.web.access import allowed
from mailwright.web.described import ApiRoute, Told, When
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", tags=["Quality"], dependencies=[Depends(allowed)], route_class=ApiRoute)

KINDS = {
    "source": "Sources",
    "event": "Events",
    "property": "Properties",
    "trait": "Traits",
    "account": "Traits of accounts",
}


class PieceTold(Told):
    """A source, event, property or trait.

    Attributes:
        answer: Who answers for it, on which basis.
        types: What its values are, as seen.
        n: How often it came in the last four weeks.
        used_by: Definitions that use it.
        influence: On conversion; null where too few people tell.
        unused: Nothing uses it and nobody says why it stays.
    """

    kind: Kind
    name: str
    answer: Answer
    types: tuple[str, ...]
    n: int
    first_at: When | None
    last_at: When | None
    used_by: tuple[str, ...]
    influence: Influence | None
    unused: bool


class DataMapTold(Told):
    """The data map as it was made at an instant."""

    at: When
    pieces: list[PieceTold]


class DataMapAnswer(Told):
    """The newest data map."""

    data_map: DataMapTold | None


@router.get("/data-map")
def data_map(request: Request, context: Context) -> Response:
    """The newest data map, a table for each kind."""
    made = newest_map(context.records.meta)
    kinds = {
        title: [piece for piece in made.pieces if piece.kind == kind] if made else [] for kind, title in KINDS.items()
    }
    unused = sum(piece.unused for piece in made.pieces) if made else 0
    values: dict[str, Any] = {
        "made": made,
        "kinds": kinds,
        "accounts": KINDS["account"],
        "unused": unused,
        "days": RECENT_DAYS,
    }
    values["asked"] = asked_for(context.records.meta, "data-map")
    return page_response(request, "data_map.html", values)


@api_router.get("/data-map")
def data_map_api(context: Context) -> DataMapAnswer:
    """The newest data map; null before the first."""
    made = newest_map(context.records.meta)
    told = DataMapTold(at=format_iso(made.at), pieces=[_piece(one) for one in made.pieces]) if made else None
    return DataMapAnswer(data_map=told)


def _piece(one: Piece) -> PieceTold:
    return PieceTold(
        **msgspec.structs.asdict(one) | {"first_at": iso_or_none(one.first_at), "last_at": iso_or_none(one.last_at)}
    )
