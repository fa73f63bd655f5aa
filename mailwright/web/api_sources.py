"""API twins of the page Sources: keys, live items, violations, quarantine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from mailwright.core.instants import format_iso, iso_or_none
from mailwright.core.sources import Quarantined, QuarantineFilter, WriteKey, summed
from mailwright.ingest.mending import Patch, read_patches
from mailwright.runtime.write_keys import create_client, create_key, revoke_key
from mailwright.web.access import allowed, asker, owner
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also, json_body
from mailwright.web.pages.shell import Context
from mailwright.web.sources_view import (
    VIOLATION_DAYS,
    SourceTold,
    counts_told,
    live_told,
    replay,
    sources_told,
    violations_told,
)

router = APIRouter(prefix="/v1", tags=["Sources and quarantine"], dependencies=[Depends(allowed)], route_class=ApiRoute)

Text = Annotated[str, Query(max_length=300)]
Number = Annotated[int, Path(ge=1, lt=2**53)]


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A key or OAuth client to be made.

    Attributes:
        public_key: PEM; a client that has one proves itself by signed assertions instead of a secret.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    kind: Literal["server", "browser", "oauth"] = "server"
    public_key: str = ""


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """Which held events are meant: by number, or all that fit what is said."""

    ids: Annotated[list[Annotated[int, msgspec.Meta(ge=1, lt=2**53)]], msgspec.Meta(max_length=1000)] = []
    source: str = ""
    event: str = ""
    field: str = ""
    kind: str = ""


class MendAsked(Chosen, forbid_unknown_fields=True):
    """Held events and what to change in them."""

    patch: list[Patch] = []


class KeyTold(Told):
    """A key as it is kept: by its id and name, never itself."""

    id: str
    name: str
    kind: str
    client_id: str
    created_at: When
    revoked_at: When | None


class Keys(Told):
    """All keys and OAuth clients."""

    keys: list[KeyTold]


class KeyMade(Told):
    """A new key, shown this once."""

    key: str


class ClientMade(Told):
    """A new OAuth client; its secret, empty with a public key, is shown this once."""

    client_id: str
    client_secret: str


class KeyRevoked(Told):
    """The key that counts no more."""

    id: str
    name: str


class SourceRow(Told):
    """A source and what it brought.

    Attributes:
        held: Items that the tracking plan held back.
    """

    name: str
    kind: str
    keys: list[KeyTold]
    first_seen_at: When | None
    last_seen_at: When | None
    in_minute: int
    in_hour: int
    accepted: int
    refused: int
    held: int


class Sources(Told):
    """Every source, by name."""

    sources: list[SourceRow]


class LiveItem(Told):
    """An item as it came in; `who` is its first identifier, empty for what was not taken."""

    at: When
    source: str
    what: str
    who: str
    outcome: str
    reason: str


class Live(Told):
    """The newest items."""

    items: list[LiveItem]


class CountTold(Told, omit_defaults=True):
    """How much of a kind a source brought: all of it is `received`.

    Attributes:
        kind: Of call: ``track``, ``consents``, ``items`` and the like.
        dropped_fields: That were left out of what was accepted.
        day: UTC; only with `by_day`.
    """

    source: str
    kind: str
    received: int
    accepted: int
    refused: int
    held: int
    dropped_fields: int
    day: str | None = None


class Counts(Told):
    """By source and kind."""

    counts: list[CountTold]


class ViolationTold(Told):
    """A field that was not as the tracking plan says, `n` times; `policy` is what was done about it."""

    source: str
    event: str
    field: str
    kind: str
    n: int
    policy: str
    reason: str
    example: str
    last_at: When


class Violations(Told):
    """The most frequent first."""

    violations: list[ViolationTold]


class Reason(Told):
    """Why an event is held."""

    field: str
    kind: str
    reason: str


class HeldItem(Told):
    """An event that is held back."""

    id: int
    message_id: str
    source: str
    event: str
    received_at: When
    reasons: list[Reason]


class HeldCall(HeldItem):
    """An event that is held back, with its call; personal values stay sealed."""

    call: dict[str, Any]


class Held(Told):
    """A page of held events, of `held` in all."""

    held: int
    items: list[HeldItem]


class Mended(Told):
    """How many were changed."""

    mended: int


class Discarded(Told):
    """How many were dropped."""

    discarded: int


class Still(Told):
    """An event that stays held, and why."""

    id: int
    reason: str


class ReplayTold(Told):
    """The numbers of those that are in now, and those that stay."""

    taken: list[int]
    still: list[Still]


# --- sources ---------------------------------------------------------------------------------------------------------


@router.get("/sources")
def all_sources(context: Context) -> Sources:
    """Every source: its keys (never the keys themselves), when it was seen, and how much it brought."""
    return Sources(sources=[_source(one) for one in sources_told(context)])


def _source(one: SourceTold) -> SourceRow:
    seen = one.seen
    return SourceRow(
        name=one.name,
        kind=one.kind,
        keys=[_key(key) for key in one.keys],
        first_seen_at=iso_or_none(seen.first_at if seen else None),
        last_seen_at=iso_or_none(seen.last_at if seen else None),
        in_minute=seen.in_minute if seen else 0,
        in_hour=seen.in_hour if seen else 0,
        accepted=seen.accepted if seen else 0,
        refused=seen.refused if seen else 0,
        held=seen.held if seen else 0,
    )


@router.get("/sources/live")
def live(context: Context, source: Text = "", limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Live:
    """The newest items, taken or not; personal values stay sealed."""
    told = [
        LiveItem(
            at=format_iso(row.at),
            source=row.source,
            what=row.what,
            who=row.who,
            outcome=row.outcome,
            reason=row.reason,
        )
        for row in live_told(context, source, limit)
    ]
    return Live(items=told)


@router.get("/sources/counts")
def counts(
    context: Context,
    source: Text = "",
    days: Annotated[int, Query(ge=1, le=800)] = VIOLATION_DAYS,
    by_day: bool = False,
) -> Counts:
    """How much of what kind each source brought in the last days (UTC), what became of it, and fields left out.

    `received` is `accepted`, `refused` and `held` together. An event that was held and let in counts as accepted on
    the day on which it came, one that was discarded as refused.
    """
    found = counts_told(context, days, source)
    told = [
        CountTold(
            day=one.date if by_day else None,
            source=one.source,
            kind=one.kind,
            received=one.received,
            accepted=one.accepted,
            refused=one.refused,
            held=one.held,
            dropped_fields=one.dropped,
        )
        for one in (found if by_day else summed(found))
    ]
    return Counts(counts=told)


@router.get("/violations")
def violations(context: Context, days: Annotated[int, Query(ge=1, le=90)] = 7) -> Violations:
    """How often which field was not as the tracking plan says, in the last days (UTC), the most frequent first."""
    told = [
        ViolationTold(
            source=one.source,
            event=one.event,
            field=one.field,
            kind=one.kind,
            n=one.n,
            policy=one.policy,
            reason=one.reason,
            example=one.example,
            last_at=format_iso(one.last_at),
        )
        for one in violations_told(context, days)
    ]
    return Violations(violations=told)


@router.get("/keys")
def keys(context: Context) -> Keys:
    """All write keys and OAuth clients, revoked ones too."""
    return Keys(keys=[_key(key) for key in context.records.sources.all_keys()])


@router.post("/keys", status_code=201, dependencies=[Depends(owner)])
@also(409)
def make_key(
    request: Request, context: Context, asked: Annotated[KeyAsked, Depends(json_body(KeyAsked, "request.body"))]
) -> KeyMade | ClientMade:
    """Make a key or an OAuth client; the answer shows it, this once."""
    sources, now, who = context.records.sources, context.lease_clock.now(), asker(request)
    if asked.kind == "oauth":
        client = create_client(sources, asked.name, public_key=asked.public_key, now=now, who=who)
        return ClientMade(client_id=client.id, client_secret=client.secret)
    return KeyMade(key=create_key(sources, asked.name, server=asked.kind == "server", now=now, who=who))


@router.delete("/keys/{key_id}", dependencies=[Depends(owner)])
@also(404)
def remove_key(request: Request, context: Context, key_id: Annotated[str, Path(max_length=64)]) -> KeyRevoked:
    """Revoke a key: every door refuses it within two seconds."""
    found = revoke_key(context.records.sources, key_id, who=asker(request), now=context.lease_clock.now())
    return KeyRevoked(id=found.id, name=found.name)


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
) -> Held:
    """Events that the tracking plan held back, newest first; `before` the number of the last one seen, for more."""
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind, before=before)
    found = context.quarantine.find(wanted, limit)
    return Held(held=context.records.quarantine.count(), items=[HeldItem(**_item(item)) for item in found])


@router.get("/quarantine/{number}")
@also(404)
def one(context: Context, number: Number) -> HeldCall:
    """One held event with its call; personal values stay sealed."""
    item = context.quarantine.get(number)
    return HeldCall(**_item(item), call=context.quarantine.shown(item))


@router.post("/quarantine/mend")
@also(404)
def mend(
    request: Request, context: Context, asked: Annotated[MendAsked, Depends(json_body(MendAsked, "request.body"))]
) -> Mended:
    """Rename, cast, drop or set fields of held events; they stay held until they are replayed."""
    patches = read_patches(msgspec.to_builtins(asked.patch))
    numbers = _numbers(context, asked)
    context.quarantine.mend(numbers, patches, who=asker(request))
    return Mended(mended=len(numbers))


@router.post("/quarantine/replay")
@also(404)
def replay_(
    request: Request, context: Context, asked: Annotated[Chosen, Depends(json_body(Chosen, "request.body"))]
) -> ReplayTold:
    """Let held events in, with their own time, if the plan in force takes them; the others stay, with the reason."""
    done = replay(context, _numbers(context, asked), asker(request))
    return ReplayTold(taken=list(done.taken), still=[Still(id=number, reason=why) for number, why in done.still])


@router.post("/quarantine/discard")
@also(404)
def discard(
    request: Request, context: Context, asked: Annotated[Chosen, Depends(json_body(Chosen, "request.body"))]
) -> Discarded:
    """Drop held events for good."""
    return Discarded(discarded=context.quarantine.discard(_numbers(context, asked), who=asker(request)))


def _numbers(context: WebContext, asked: Chosen) -> list[int]:
    wanted = QuarantineFilter(source=asked.source, event=asked.event, field=asked.field, kind=asked.kind)
    return context.quarantine.chosen(asked.ids, wanted)


def _key(key: WriteKey) -> KeyTold:
    return KeyTold(
        id=key.id,
        name=key.name,
        kind=key.kind,
        client_id=key.client,
        created_at=format_iso(key.created_at),
        revoked_at=iso_or_none(key.revoked_at),
    )


def _item(item: Quarantined) -> dict[str, Any]:
    """The fields of `HeldItem`."""
    return {
        "id": item.id,
        "message_id": item.message_id,
        "source": item.source,
        "event": item.event,
        "received_at": format_iso(item.received_at),
        "reasons": [Reason(field=one.field, kind=one.kind, reason=one.reason) for one in item.reasons],
    }
