"""Who is who over HTTP: a person's graph, and merges and splits by hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput
from mailwright.core.events import PeopleMerged, PersonSplit
from mailwright.core.instants import format_iso
from mailwright.core.person_graph import PersonGraph
from mailwright.reports.identity import bringers
from mailwright.runtime.identity_changes import carry_out, merge_asked, people_after, split_asked
from mailwright.runtime.who import in_path, person_of
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.keys import write_key
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1/people", dependencies=[Depends(allowed)])

BODY_BYTES = 64 * 1024


class MergeCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/people/merge``.

    Attributes:
        one: Who stays, unless the other alone has a user_id: a number, ``#12``, ``kind:value``, an address or id.
        other: Who is the same person.
        reason: Why; kept in the log as it is written.
    """

    one: str | int
    other: str | int
    reason: str


class SplitCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/people/{who}/split``: one of the first two.

    Attributes:
        merge: Number of the merge to take back.
        identifiers: ``kind:value`` of those to take out, for a new person.
        reason: Why; kept in the log as it is written.
    """

    merge: int | None = None
    identifiers: list[str] = []
    reason: str


Who = Annotated[str, Path(max_length=400)]


@router.get("/{who:path}/graph")
def graph(context: Context, who: Who) -> Response:
    """A person's identifiers, what joined them, and what was not joined; by number or ``kind:value``.

    As of the last record. Hashed identifiers stay hashes.
    """
    return json_response(
        graph_body(context, context.engine.graph(person_of(context.engine, context.seal, in_path(who))))
    )


@router.post("/merge")
async def merge(request: Request, context: Context) -> Response:
    """Make two people one, whatever identifiers they have; 200 once the log has it durably."""
    call = await _read(request, MergeCall)
    by = _by(request, context)
    return await run_in_threadpool(_merge, context, call, by)


@router.post("/{who:path}/split")
async def split(request: Request, context: Context, who: Who) -> Response:
    """Take one merge back, or identifiers out; both people are then what each would be without it."""
    call = await _read(request, SplitCall)
    by = _by(request, context)
    return await run_in_threadpool(_split, context, in_path(who), call, by)


def _merge(context: WebContext, call: MergeCall, by: str) -> Response:
    body = merge_asked(context.engine, context.seal, call.one, call.other, reason=call.reason, by=by)
    return _done(context, body, None)


def _split(context: WebContext, who: str | int, call: SplitCall, by: str) -> Response:
    body = split_asked(
        context.engine,
        context.seal,
        who,
        merge=call.merge,
        identifiers=call.identifiers,
        reason=call.reason,
        by=by,
    )
    return _done(context, body, context.engine.graph(body.person))


def _done(context: WebContext, body: PeopleMerged | PersonSplit, before: PersonGraph | None) -> Response:
    folded = carry_out(context.log, context.clock, context.engine, body)
    people = people_after(context.engine, body, before) if folded else []
    return json_response({"folded": folded, "people": people}, 200 if folded else 202)


def _by(request: Request, context: WebContext) -> str:
    """Who asks: a server key's name, or the user who is signed in."""
    source = context.sources.get(write_key(request.headers.get("authorization")) or "")
    return source.name if source else str(request.state.user)


async def _read(request: Request, kind: type[Any]) -> Any:
    raw = await read_body(request, BODY_BYTES)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidInput.one(
            "request.body", f"the body cannot be read: {error}", hint="see docs/reference/http.md"
        ) from None


def graph_body(context: WebContext, found: PersonGraph) -> dict[str, Any]:
    """A graph as JSON, each identifier with the event that brought it, as far as History holds that."""
    events = bringers(context.history, (each.offset for each in found.identifiers))
    return {
        "person": found.person,
        "numbers": found.numbers,
        "identifiers": [
            {
                "identifier": each.key,
                "since": format_iso(each.since_at),
                "via": each.via or None,
                "joins": each.joins,
                "event": {"source": by.source, "name": by.what, "message_id": by.message_id}
                if (by := events.get(each.offset))
                else None,
            }
            for each in found.identifiers
        ],
        "merges": [
            {
                "merge": each.number,
                "at": format_iso(each.at),
                "into": each.into,
                "gone": each.gone,
                "between": [each.one, each.other],
                "reason": each.reason,
                "source": each.source or None,
                "message_id": each.message_id or None,
                "by": each.by or None,
                "would_move": each.moves,
                "undone": each.undone,
            }
            for each in found.merges
        ],
        "refused": [
            {
                "between": [each.one, each.other],
                "reason": each.reason,
                "last": format_iso(each.at),
                "times": each.times,
            }
            for each in found.refused
        ],
        "kept_apart_from": found.apart,
    }
