"""The API twins of the pages, for programs: JSON under /v1, with a session or a server key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query

from mailwright.core.durations import duration_micros
from mailwright.core.instants import SECOND, format_iso, iso_or_none
from mailwright.core.messages import Message
from mailwright.core.ports import Consent
from mailwright.reports.sessions import Visit, sessions_of
from mailwright.runtime.installation import service_health
from mailwright.runtime.person_consents import consent_rows, consent_states, suppressions
from mailwright.web.access import allowed
from mailwright.web.api_accounts import KnownTold, history_told, known_told
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.pages.mails import message_by_id
from mailwright.web.pages.people import Who, person_facts, whom
from mailwright.web.pages.shell import Context

open_router = APIRouter(tags=["State"], route_class=ApiRoute)
router = APIRouter(prefix="/v1", tags=["People and messages"], dependencies=[Depends(allowed)], route_class=ApiRoute)

Gap = Annotated[str, Query(max_length=40, description="A length such as 30 minutes.")]
Limit = Annotated[int, Query(ge=1, le=500)]


# --- how the installation does ---------------------------------------------------------------------------------------


class Health(Told):
    """The door answers; `records` is the number of the log's newest, `offset` how far the engine has read."""

    status: str
    records: int
    offset: int


class LogTold(Told):
    """The log: the number of its newest record, and when that was written."""

    records: int
    at: When


class EngineTold(Told):
    """The engine.

    Attributes:
        offset: Of the last record folded; `tick_offset` of the last tick evaluated.
        version: Of the definitions in force.
    """

    offset: int
    tick_offset: int
    at: When
    version: int


class LookupTold(Told):
    """A service that does not do well: failures in a row, and until when it is left alone."""

    name: str
    state: str
    failures: int
    until: When | None
    why: str


class Status(Told):
    """Where everything stands.

    Attributes:
        open_messages: Queued or being sent.
        outbox: Rows that are still to be written into the log.
        lookups: Services that do not do well.
    """

    log: LogTold
    engine: EngineTold
    profiles: int
    events: int
    duplicates: int
    items: int
    open_messages: int
    outbox: int
    lookups: list[LookupTold]


@open_router.get("/healthz")
def healthz(context: Context) -> Health:
    """200 while the door, the log and the engine answer; says nothing that is secret."""
    number, _ = context.log.last()
    return Health(status="ok", records=number, offset=context.engine.status().offset)


@open_router.get("/v1/status", dependencies=[Depends(allowed)])
def status(context: Context) -> Status:
    """Where the log and the engine stand, and which services that lookups ask do not do well."""
    found = context.engine.status()
    number, at = context.log.last()
    return Status(
        log=LogTold(records=number, at=format_iso(at)),
        engine=EngineTold(
            offset=found.offset, tick_offset=found.tick_offset, at=format_iso(found.at), version=found.version
        ),
        profiles=found.n_persons,
        events=found.n_events,
        duplicates=found.n_duplicates,
        items=found.n_items,
        open_messages=context.records.messages.open_count(),
        outbox=context.records.outbox.pending_count(),
        lookups=_failing_lookups(context),
    )


def _failing_lookups(context: WebContext) -> list[LookupTold]:
    meta = context.records.meta
    found = [(name, service_health(meta, f"lookup:{name}")) for name in context.project.lookups]
    return [
        LookupTold(name=name, state=one.state, failures=one.failures, until=iso_or_none(one.until), why=one.why)
        for name, one in found
        if one.state != "well"
    ]


# --- people ----------------------------------------------------------------------------------------------------------


class VisitTold(Told):
    """One visit; `path` names its first pages and events, at most ten."""

    started_at: When
    length_s: float
    pages: int
    events: int
    device: str | None
    source: str | None
    path: list[str]


class Visits(Told):
    """A person's visits, newest first."""

    person: int
    sessions: list[VisitTold]


class IdentifierTold(Told):
    """One name of a person; of a personal kind the value is its keyed hash."""

    kind: str
    value: str


class TimeZoneTold(Told):
    """A person's time zone, and what tells it: a trait, where they were seen last, or the shop."""

    name: str
    origin: str = msgspec.field(name="from")


class ConsentTold(Told):
    """The newest word on a purpose by one address; `address_hash` is its keyed hash, as in `identifiers`."""

    purpose: str
    state: Literal["granted", "withdrawn"]
    since: When
    source: str
    address_hash: str


class SuppressedTold(Told):
    """An address that gets no mail at all, not even a receipt; `reason`: the first that was given."""

    address_hash: str
    reason: str


class PersonTold(Told, omit_defaults=True):
    """One person.

    Attributes:
        at: As of when.
        suppressed: Addresses on the suppression list: there no consent counts.
        sources: Source -> the newest stamp of an event that it brought.
        history: Trait -> its kept writes, newest first; only if it was asked for.
    """

    person: int
    at: When
    identifiers: list[IdentifierTold]
    traits: dict[str, KnownTold]
    attributes: dict[str, KnownTold]
    segments: list[str]
    events: int
    first_seen_at: When
    last_seen_at: When
    sources: dict[str, str]
    accounts: list[str]
    consents: list[ConsentTold]
    suppressed: list[SuppressedTold]
    time_zone: TimeZoneTold
    history: dict[str, list[KnownTold]] | None = None


@router.get("/people/{who:path}/sessions")
@also(404)
def person_sessions(context: Context, who: Who, gap: Gap = "30 minutes", limit: Limit = 50) -> Visits:
    """A person's visits, newest first: start, length in seconds, pages, device, traffic source. `gap` ends one."""
    facts = person_facts(context, whom(context, who))
    told = sessions_of(context.history, facts.identifiers, gap=duration_micros(gap), limit=limit)
    return Visits(person=facts.person, sessions=[_visit(one) for one in told])


def _consent(one: Consent) -> ConsentTold:
    return ConsentTold(
        purpose=one.purpose,
        state="granted" if one.granted else "withdrawn",
        since=format_iso(one.at),
        source=one.source,
        address_hash=one.address_hash,
    )


def _visit(one: Visit) -> VisitTold:
    return VisitTold(
        started_at=format_iso(one.started_at),
        length_s=one.length_micros / SECOND,
        pages=one.pages,
        events=one.events,
        device=one.device,
        source=one.source,
        path=list(one.path),
    )


@router.get("/people/{who:path}")
@also(404)
def person(context: Context, who: Who, history: Annotated[bool, Query()] = False) -> PersonTold:
    """What is known of one person: by ``number:12``, an identifier as ``user_id:42``, an address, phone or id.

    As of the last tick, at most a second ago, and consents, the newest word on each purpose by each address, as of
    now; with ``history=true`` every kept write of its traits too. Personal values are in clear text; hashed
    identifiers stay hashes.
    """
    facts = person_facts(context, whom(context, who), past=history)
    return PersonTold(
        person=facts.person,
        at=format_iso(facts.at),
        identifiers=[IdentifierTold(kind=one.kind, value=one.value) for one in facts.identifiers],
        traits={name: known_told(context, one) for name, one in facts.traits.items()},
        attributes={name: known_told(context, one) for name, one in facts.attributes.items()},
        segments=facts.segments,
        events=facts.n_events,
        first_seen_at=format_iso(facts.first_seen_at),
        last_seen_at=format_iso(facts.last_seen_at),
        sources={name: format_iso(at) for name, at in facts.sources.items()},
        accounts=facts.accounts,
        consents=[_consent(one) for one in consent_states(consent_rows(context.records.consents, facts))],
        suppressed=[
            SuppressedTold(address_hash=one, reason=reason)
            for one, reason in suppressions(context.records.consents, facts).items()
        ],
        time_zone=TimeZoneTold(name=facts.time_zone, origin=facts.time_zone_from),
        history=history_told(context, facts.history) if history else None,
    )


# --- messages --------------------------------------------------------------------------------------------------------


class MessageTold(Told):
    """One message; what has not been reached yet is null.

    Attributes:
        reason: Why it was not sent, or the server's reply.
        p_variant: With which probability the variant was drawn.
        decision: The decision record: candidates, scores, rules, variants.
    """

    id: str
    origin: str
    step: str
    occurrence: str
    person: int
    purpose: str
    state: str
    reason: str | None
    attempts: int
    queued_at: When | None
    send_by_at: When | None
    finished_at: When | None
    subject: str | None
    experiment: str | None
    variant: str | None
    p_variant: float | None
    template_version: str | None
    decision: dict[str, Any] | None


@router.get("/messages/{message_id}")
@also(404)
def message(context: Context, message_id: str) -> MessageTold:
    """One message with its decision record."""
    return _message(message_by_id(context, message_id))


def _message(one: Message) -> MessageTold:
    return MessageTold(
        id=one.id,
        origin=one.origin,
        step=one.step,
        occurrence=one.occurrence,
        person=one.person,
        purpose=one.purpose,
        state=one.state,
        reason=one.reason,
        attempts=one.attempts,
        queued_at=iso_or_none(one.queued_at),
        send_by_at=iso_or_none(one.send_by_at),
        finished_at=iso_or_none(one.finished_at),
        subject=one.subject,
        experiment=one.experiment,
        variant=one.variant,
        p_variant=one.p_variant,
        template_version=one.template_version,
        decision=one.decision,
    )
