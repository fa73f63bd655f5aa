"""Lists of people over HTTP: changed by programs and tools, 200 only after the log has the change durably."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.facts import ListInfo
from mailwright.core.instants import format_iso
from mailwright.ingest.lists import ListCall, parse_list
from mailwright.runtime.engine.sql_segments import newest_refresh
from mailwright.segments.sql import LIST_PREFIX
from mailwright.web.access import allowed
from mailwright.web.bodies import read_body
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.keys import write_key
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1/lists", tags=["Lists"], dependencies=[Depends(allowed)], route_class=ApiRoute)

Name = Annotated[str, Path(max_length=80)]


class ListTold(Told, omit_defaults=True):
    """A list of people.

    Attributes:
        size: Identifiers on it.
        source: Who told of it last.
        refreshed_at: Of a SQL segment: when it ran last; `rows` is what that found, `error` why it failed.
    """

    name: str
    size: int
    changed_at: When
    source: str
    refreshed_at: When | None = None
    rows: int | None = None
    error: str | None = None


class Lists(Told):
    """Every list that was ever told of."""

    lists: list[ListTold]


class ListRefusal(Told):
    """An entry that was not taken: its place in `field`, and why."""

    index: int
    field: str
    reason: str


class ListChange(Told):
    """How many entries were taken, and the others."""

    accepted: int
    refused: list[ListRefusal]


@router.get("")
def all_lists(context: Context) -> Lists:
    """Every list that was ever told of: its size, when it was last changed, and by whom."""
    return Lists(lists=[_told(context, name, one) for name, one in context.engine.status().lists.items()])


@router.get("/{name}")
@also(404)
def one_list(context: Context, name: Name) -> ListTold:
    """One list."""
    lists = context.engine.status().lists
    if name not in lists:
        raise NotFound("list.unknown", f"there is no list {name!r}", nearest(name, lists))
    return _told(context, name, lists[name])


async def _body(request: Request, context: Context) -> bytes:
    return await read_body(request, context.settings.limits.request_bytes)


_body.struct = ListCall  # type: ignore[attr-defined]  # `parse_list` reads it, for it names each entry that is wrong


@router.post("/{name}")
def change(request: Request, context: Context, name: Name, body: Annotated[bytes, Depends(_body)]) -> ListChange:
    """Add people to a list, take them off, or say anew who is on it; see docs/how-to/sql-and-lists.md."""
    found = context.sources.get(write_key(request.headers.get("authorization")) or "")
    source = found.name if found else "page"
    parsed = parse_list(body, name=name, source=source, seal=context.seal, limits=context.settings.limits)
    context.count(source, "list entries", parsed.accepted, parsed.refused)
    if parsed.refused and not parsed.records:
        one = parsed.refused[0]
        raise InvalidInput.one("list.entry", f"no entry could be taken; {one.field}[{one.index}] {one.reason}")
    if parsed.records:
        context.log.append(list(parsed.records), context.clock.now())
    refused = [ListRefusal(index=one.index, field=one.field, reason=one.reason) for one in parsed.refused]
    return ListChange(accepted=parsed.accepted, refused=refused)


def _told(context: WebContext, name: str, info: ListInfo) -> ListTold:
    told = ListTold(name=name, size=info.size, changed_at=format_iso(info.at), source=info.source)
    run = newest_refresh(context.records.meta, name.removeprefix(LIST_PREFIX)) if name.startswith(LIST_PREFIX) else None
    if run is None:
        return told
    return msgspec.structs.replace(told, refreshed_at=format_iso(run.ran_at), rows=run.rows, error=run.error)
