"""API twins of the page Sources: keys, live items, violations, quarantine."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import format_iso, iso_or_none
from mailwright.core.sources import Quarantined, QuarantineFilter, WriteKey, summed
from mailwright.ingest.mending import Patch, read_patches
from mailwright.runtime.write_keys import create_client, create_key, revoke_key
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.errors import Refused
from mailwright.web.keys import write_key
from mailwright.web.pages.shell import Context
from mailwright.web.sources_view import (
    VIOLATION_DAYS,
    counts_told,
    live_told,
    replay,
    replayed_told,
    sources_told,
    violations_told,
)

router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])

Text = Annotated[str, Query(max_length=300)]
Number = Annotated[int, Path(ge=1, lt=2**53)]
_BODY_BYTES = 262_144
_Body = TypeVar("_Body")


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A key or OAuth client to be made."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    kind: Literal["server", "browser", "oauth"] = "server"
    public_key: str = ""


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """Which held events are meant: by number, or all that fit what is said."""

    ids: Annotated[list[Annotated[int, msgspec.Meta(ge=1)]], msgspec.Meta(max_length=1000)] = []
    source: str = ""
    event: str = ""
    field: str = ""
    kind: str = ""


class MendAsked(Chosen, forbid_unknown_fields=True):
    """Held events and what to change in them."""

    patch: list[Patch] = []


# --- sources ---------------------------------------------------------------------------------------------------------


@router.get("/sources")
def all_sources(context: Context) -> Response:
    """Every source: its keys (never the keys themselves), when it was seen, and how much it brought."""
    told = [
        {
            "name": one.name,
            "kind": one.kind,
            "keys": [_key(key) for key in one.keys],
            "first_seen_at": iso_or_none(one.seen.first_at if one.seen else None),
            "last_seen_at": iso_or_none(one.seen.last_at if one.seen else None),
            "in_minute": one.seen.in_minute if one.seen else 0,
            "in_hour": one.seen.in_hour if one.seen else 0,
            "accepted": one.seen.accepted if one.seen else 0,
            "refused": one.seen.refused if one.seen else 0,
            "held": one.seen.held if one.seen else 0,
        }
        for one in sources_told(context)
    ]
    return json_response({"sources": told})


@router.get("/sources/live")
def live(context: Context, source: Text = "", limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """The newest items, taken or not; personal values stay sealed."""
    told = [
        {
            "at": format_iso(row.at),
            "source": row.source,
            "what": row.what,
            "who": row.who,
            "outcome": row.outcome,
            "reason": row.reason,
        }
        for row in live_told(context, source, limit)
    ]
    return json_response({"items": told})


@router.get("/sources/counts")
def counts(
    context: Context,
    source: Text = "",
    days: Annotated[int, Query(ge=1, le=800)] = VIOLATION_DAYS,
    by_day: bool = False,
) -> Response:
    """How much of what kind each source brought in the last days (UTC), what became of it, and fields left out.

    `received` is `accepted`, `refused` and `held` together. An event that was held and let in counts as accepted on
    the day on which it came, one that was discarded as refused.
    """
    found = counts_told(context, days, source)
    told = [
        {
            **({"day": one.date} if by_day else {}),
            "source": one.source,
            "kind": one.kind,
            "received": one.received,
            "accepted": one.accepted,
            "refused": one.refused,
            "held": one.held,
            "dropped_fields": one.dropped,
        }
        for one in (found if by_day else summed(found))
    ]
    return json_response({"counts": told})


@router.get("/violations")
def violations(context: Context, days: Annotated[int, Query(ge=1, le=90)] = 7) -> Response:
    """How often which field was not as the tracking plan says, in the last days (UTC), the most frequent first."""
    told = [
        {
            "source": one.source,
            "event": one.event,
            "field": one.field,
            "kind": one.kind,
            "n": one.n,
            "policy": one.policy,
            "reason": one.reason,
            "example": one.example,
            "last_at": format_iso(one.last_at),
        }
        for one in violations_told(context, days)
    ]
    return json_response({"violations": told})


@router.get("/keys")
def keys(context: Context) -> Response:
    """All write keys and OAuth clients, revoked ones too."""
    return json_response({"keys": [_key(key) for key in context.records.sources.all_keys()]})


def _owner(request: Request) -> None:
    """Let in who may make and revoke keys: a server key or a session.

    An access token lasts an hour, and a key that it made would outlast it and its client.

    Raises:
        Refused: ``key.token``.
    """
    key = write_key(request.headers.get("authorization"))
    if key is not None and not key.startswith("sk_"):
        raise Refused(
            "key.token", "an access token can neither make nor revoke keys", "use a server key (sk_...) or sign in"
        )


@router.post("/keys", dependencies=[Depends(_owner)])
async def make_key(request: Request, context: Context) -> Response:
    """Make a key or an OAuth client; the answer shows it, this once."""
    asked = await _read(request, KeyAsked)
    return await run_in_threadpool(_make_key, context, asked, _who(request, context))


def _make_key(context: WebContext, asked: KeyAsked, who: str) -> Response:
    sources, now = context.records.sources, context.lease_clock.now()
    if asked.kind == "oauth":
        client = create_client(sources, asked.name, public_key=asked.public_key, now=now, who=who)
        return json_response({"client_id": client.id, "client_secret": client.secret}, 201)
    key = create_key(sources, asked.name, server=asked.kind == "server", now=now, who=who)
    return json_response({"key": key}, 201)


@router.delete("/keys/{key_id}", dependencies=[Depends(_owner)])
def remove_key(request: Request, context: Context, key_id: Annotated[str, Path(max_length=64)]) -> Response:
    """Revoke a key: every door refuses it within two seconds."""
    found = revoke_key(context.records.sources, key_id, who=_who(request, context), now=context.lease_clock.now())
    return json_response({"id": found.id, "name": found.name})


# --- quarantine ------------------------------------------------------------------------------------------------------


@router.get("/quarantine")
def held(
    context: Context,
    source: Text = "",
    event: Text = "",
    field: Text = "",
    kind: Text = "",
    before: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Events that the tracking plan held back, newest first; `before` the number of the last one seen, for more."""
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind, before=before)
    found = context.quarantine.find(wanted, limit)
    return json_response({"held": context.records.quarantine.count(), "items": [_item(item) for item in found]})


@router.get("/quarantine/{number}")
def one(context: Context, number: Number) -> Response:
    """One held event with its call; personal values stay sealed."""
    item = context.quarantine.get(number)
    return json_response(_item(item) | {"call": context.quarantine.shown(item)})


@router.post("/quarantine/mend")
async def mend(request: Request, context: Context) -> Response:
    """Rename, cast, drop or set fields of held events; they stay held until they are replayed."""
    asked = await _read(request, MendAsked)

    def run() -> Response:
        patches = read_patches(msgspec.to_builtins(asked.patch))
        numbers = _numbers(context, asked)
        context.quarantine.mend(numbers, patches, who=_who(request, context))
        return json_response({"mended": len(numbers)})

    return await run_in_threadpool(run)


@router.post("/quarantine/replay")
async def replay_(request: Request, context: Context) -> Response:
    """Let held events in, with their own time, if the plan in force takes them; the others stay, with the reason."""
    asked = await _read(request, Chosen)

    def run() -> Response:
        return json_response(replayed_told(replay(context, _numbers(context, asked), _who(request, context))))

    return await run_in_threadpool(run)


@router.post("/quarantine/discard")
async def discard(request: Request, context: Context) -> Response:
    """Drop held events for good."""
    asked = await _read(request, Chosen)

    def run() -> Response:
        n = context.quarantine.discard(_numbers(context, asked), who=_who(request, context))
        return json_response({"discarded": n})

    return await run_in_threadpool(run)


def _numbers(context: WebContext, asked: Chosen) -> list[int]:
    if asked.ids:
        return [context.quarantine.get(number).id for number in asked.ids]
    wanted = QuarantineFilter(source=asked.source, event=asked.event, field=asked.field, kind=asked.kind)
    if wanted == QuarantineFilter():
        raise InvalidInput.one(
            "quarantine.chosen", "nothing is named", hint="send ids, or source, event, field or kind"
        )
    return context.quarantine.numbers(wanted)


async def _read(request: Request, kind: type[_Body]) -> _Body:
    body = await read_body(request, _BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput.one("request.body", f"the body cannot be read: {error}") from None


def _who(request: Request, context: WebContext) -> str:
    user = getattr(request.state, "user", None)
    if user:
        return str(user)
    source = context.sources.get(write_key(request.headers.get("authorization")) or "")
    return f"key of {source.name}" if source else "unknown"


def _key(key: WriteKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "kind": key.kind,
        "client_id": key.client,
        "created_at": format_iso(key.created_at),
        "revoked_at": iso_or_none(key.revoked_at),
    }


def _item(item: Quarantined) -> dict[str, Any]:
    return {
        "id": item.id,
        "message_id": item.message_id,
        "source": item.source,
        "event": item.event,
        "received_at": format_iso(item.received_at),
        "reasons": [{"field": one.field, "kind": one.kind, "reason": one.reason} for one in item.reasons],
    }
