"""The API twins of the pages, for programs: JSON under /v1, with a session or a server key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from mailwright.core.durations import duration_micros
from mailwright.core.instants import SECOND, format_iso, iso_or_none
from mailwright.core.messages import Message
from mailwright.reports.sessions import Visit, sessions_of
from mailwright.runtime.installation import service_health
from mailwright.runtime.who import in_path, person_of
from mailwright.web.access import allowed
from mailwright.web.api_accounts import history_body, known_body
from mailwright.web.bodies import json_response
from mailwright.web.context import WebContext
from mailwright.web.pages.mails import message_by_id
from mailwright.web.pages.people import person_facts
from mailwright.web.pages.shell import Context

open_router = APIRouter()

Gap = Annotated[str, Query(max_length=40, description="A length such as 30 minutes.")]
Limit = Annotated[int, Query(ge=1, le=500)]


router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])


@open_router.get("/healthz")
def healthz(context: Context) -> Response:
    """200 while the door, the log and the engine answer; says nothing that is secret."""
    number, _ = context.log.last()
    return json_response({"status": "ok", "records": number, "offset": context.engine.status().offset})


@router.get("/status")
def status(context: Context) -> Response:
    """Where the log and the engine stand, and which services that lookups ask do not do well."""
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
            "lookups": _failing_lookups(context),
        }
    )


def _failing_lookups(context: WebContext) -> list[dict[str, Any]]:
    """Those that do not do well: failures in a row, and until when they are left alone."""
    meta = context.records.meta
    found = [(name, service_health(meta, f"lookup:{name}")) for name in context.project.lookups]
    return [
        {"name": name, "state": one.state, "failures": one.failures, "until": iso_or_none(one.until), "why": one.why}
        for name, one in found
        if one.state != "well"
    ]


@router.get("/people/{number:int}/sessions")
def person_sessions(context: Context, number: int, gap: Gap = "30 minutes", limit: Limit = 50) -> Response:
    """A person's visits, newest first: start, length in seconds, pages, device, traffic source. `gap` ends one."""
    facts = person_facts(context, number)
    told = sessions_of(context.history, facts.identifiers, gap=duration_micros(gap), limit=limit)
    return json_response({"person": facts.person, "sessions": [_visit(one) for one in told]})


def _visit(one: Visit) -> dict[str, Any]:
    return {
        "started_at": format_iso(one.started_at),
        "length_s": one.length_micros / SECOND,
        "pages": one.pages,
        "events": one.events,
        "device": one.device,
        "source": one.source,
        "path": one.path,
    }


@router.get("/people/{who:path}")
def person(
    context: Context, who: Annotated[str, Path(max_length=400)], history: Annotated[bool, Query()] = False
) -> Response:
    """What is known of one person: by number, ``#12``, an identifier as ``user_id:42``, an address, phone or id.

    As of the last tick, at most a second ago; with ``history=true`` every kept write of its traits too. Personal
    values are in clear text; hashed identifiers stay hashes.
    """
    facts = person_facts(context, person_of(context.engine, context.seal, in_path(who)), past=history)
    past = {"history": history_body(context, facts.history)} if history else {}
    return json_response(
        {
            "person": facts.person,
            "at": format_iso(facts.at),
            "identifiers": [{"kind": one.kind, "value": one.value} for one in facts.identifiers],
            "traits": {name: known_body(context, one) for name, one in facts.traits.items()},
            "attributes": {name: known_body(context, one) for name, one in facts.attributes.items()},
            "segments": facts.segments,
            "events": facts.n_events,
            "first_seen_at": format_iso(facts.first_seen_at),
            "last_seen_at": format_iso(facts.last_seen_at),
            "sources": {name: format_iso(at) for name, at in facts.sources.items()},
            "accounts": facts.accounts,
            "time_zone": {"name": facts.time_zone, "from": facts.time_zone_from},
        }
        | past
    )


@router.get("/messages/{message_id}")
def message(context: Context, message_id: str) -> Response:
    """One message with its decision record."""
    return json_response(_message(message_by_id(context, message_id)))


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
        "queued_at": iso_or_none(one.queued_at),
        "send_by_at": iso_or_none(one.send_by_at),
        "finished_at": iso_or_none(one.finished_at),
        "subject": one.subject,
        "experiment": one.experiment,
        "variant": one.variant,
        "p_variant": one.p_variant,
        "template_version": one.template_version,
        "decision": one.decision,
    }
