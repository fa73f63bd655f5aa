"""Lists of people over HTTP: changed by programs and tools, 200 only after the log has the change durably."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.facts import ListInfo
from mailwright.core.instants import format_iso
from mailwright.ingest.lists import parse_list
from mailwright.runtime.engine.sql_segments import newest_refresh
from mailwright.segments.sql import LIST_PREFIX
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.keys import write_key
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1/lists", dependencies=[Depends(allowed)])

Name = Annotated[str, Path(max_length=80)]


@router.get("")
def all_lists(context: Context) -> Response:
    """Every list that was ever told of: its size, when it was last changed, and by whom."""
    return json_response({"lists": [_told(context, name, one) for name, one in context.engine.status().lists.items()]})


@router.get("/{name}")
def one_list(context: Context, name: Name) -> Response:
    """One list."""
    lists = context.engine.status().lists
    if name not in lists:
        raise NotFound("list.unknown", f"there is no list {name!r}", nearest(name, lists))
    return json_response(_told(context, name, lists[name]))


@router.post("/{name}")
async def change(request: Request, context: Context, name: Name) -> Response:
    """Add people to a list, take them off, or say anew who is on it; see docs/how-to/sql-and-lists.md."""
    body = await read_body(request, context.settings.limits.request_bytes)
    source = context.sources.get(write_key(request.headers.get("authorization")) or "")
    return await run_in_threadpool(_take, context, name, source.name if source else "page", body)


def _take(context: WebContext, name: str, source: str, body: bytes) -> Response:
    parsed = parse_list(body, name=name, source=source, seal=context.seal, limits=context.settings.limits)
    context.count(source, "list entries", parsed.accepted, parsed.refused)
    if parsed.refused and not parsed.records:
        one = parsed.refused[0]
        raise InvalidInput.one("list.entry", f"no entry could be taken; {one.field}[{one.index}] {one.reason}")
    if parsed.records:
        context.log.append(list(parsed.records), context.clock.now())
    refused = [{"index": one.index, "field": one.field, "reason": one.reason} for one in parsed.refused]
    return json_response({"accepted": parsed.accepted, "refused": refused})


def _told(context: WebContext, name: str, info: ListInfo) -> dict[str, object]:
    told = {"name": name, "size": info.size, "changed_at": format_iso(info.at), "source": info.source}
    run = newest_refresh(context.records.meta, name.removeprefix(LIST_PREFIX)) if name.startswith(LIST_PREFIX) else None
    if run is None:
        return told
    return told | {"refreshed_at": format_iso(run.ran_at), "rows": run.rows, "error": run.error}
