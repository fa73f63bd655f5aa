"""The API twins of the pages, for programs: JSON under /v1, with a session or a server key."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from mailwright.core.facts import Known
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import Message
from mailwright.web.context import WebContext
from mailwright.web.errors import NotSignedIn
from mailwright.web.keys import write_key
from mailwright.web.pages.mails import message_by_id
from mailwright.web.pages.people import opened, person_facts
from mailwright.web.pages.shell import Context, defined
from mailwright.web.sessions import signed_in

open_router = APIRouter()


def allowed(request: Request) -> None:
    """Let a signed-in user or a server key in.

    Raises:
        NotSignedIn: If the request has neither.
    """
    context: WebContext = request.app.state.context
    key = write_key(request.headers.get("authorization"))
    if key is None:
        signed_in(request)
        return
    source = context.sources.get(key)
    if source is None or source.kind != "server":
        raise NotSignedIn("key.unknown", "this key may not read", "use a server key (sk_...) or sign in")


router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])


def json_response(value: Any, status: int = 200) -> Response:
    """JSON by msgspec."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


@open_router.get("/healthz")
def healthz(context: Context) -> Response:
    """200 while the door, the log and the engine answer; says nothing that is secret."""
    number, _ = context.log.last()
    return json_response({"status": "ok", "records": number, "offset": context.engine.status().offset})


@router.get("/status")
def status(context: Context) -> Response:
    """Where the log and the engine stand."""
    found = context.engine.status()
    number, at = context.log.last()
    return json_response(
        {
            "log": {"records": number, "at": format_iso(at)},
            "engine": {
                "offset": found.offset,
                "tick_offset": found.tick_offset,
                "at": format_iso(found.at),
                "version": found.version,
            },
            "profiles": found.n_persons,
            "events": found.n_events,
            "duplicates": found.n_duplicates,
            "items": found.n_items,
            "open_messages": context.records.messages.open_count(),
            "outbox": context.records.outbox.pending_count(),
        }
    )


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
    size = context.engine.status().segments.get(name)
    return json_response({"name": name, "title": one.title, "rule": one.text, "size": size})


@router.get("/people/{number}")
def person(context: Context, number: Annotated[int, Path(ge=0, lt=2**31)]) -> Response:
    """What is known of one person, personal values in clear text; hashed identifiers stay hashes."""
    facts = person_facts(context, number)
    return json_response(
        {
            "person": facts.person,
            "at": format_iso(facts.at),
            "identifiers": [{"kind": one.kind, "value": one.value} for one in facts.identifiers],
            "traits": {name: _known(context, one) for name, one in facts.traits.items()},
            "attributes": {name: _known(context, one) for name, one in facts.attributes.items()},
            "segments": facts.segments,
            "events": facts.n_events,
            "first_seen_at": format_iso(facts.first_seen_at),
            "last_seen_at": format_iso(facts.last_seen_at),
        }
    )


@router.get("/messages/{message_id}")
def message(context: Context, message_id: str) -> Response:
    """One message with its decision record."""
    return json_response(_message(message_by_id(context, message_id)))


def _known(context: WebContext, one: Known) -> dict[str, Any]:
    value = opened(context, one.value)[0] if context.sealer.is_sealed(one.value) else one.value
    return {"value": value, "at": _iso(one.at), "source": one.source}


def _message(one: Message) -> dict[str, Any]:
    return {
        "id": one.id,
        "origin": one.origin,
        "step": one.step,
        "occurrence": one.occurrence,
        "person": one.person,
        "purpose": one.purpose,
        "state": one.state,
        "reason": one.reason,
        "attempts": one.attempts,
        "queued_at": _iso(one.queued_at),
        "send_by_at": _iso(one.send_by_at),
        "finished_at": _iso(one.finished_at),
        "subject": one.subject,
        "experiment": one.experiment,
        "variant": one.variant,
        "p_variant": one.p_variant,
        "template_version": one.template_version,
        "decision": one.decision,
    }


def _iso(at: Instant | None) -> str | None:
    return None if at is None else format_iso(at)
