"""Who is who over HTTP: a person's graph, and merges and splits by hand."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from mailwright.core.events import PeopleMerged, PersonSplit
from mailwright.core.happenings import Whose
from mailwright.core.instants import format_iso
from mailwright.core.person_graph import PersonGraph
from mailwright.reports.identity import bringers
from mailwright.reports.timeline import timeline
from mailwright.runtime.corrections import correct, correction
from mailwright.runtime.identity_changes import carry_out, merge_asked, people_after, split_asked
from mailwright.web.access import allowed
from mailwright.web.context import WebContext
from mailwright.web.described import Answer, ApiRoute, Told, When, also, json_body
from mailwright.web.keys import write_key
from mailwright.web.pages.people import Who, whom
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1/people", tags=["Who is who"], dependencies=[Depends(allowed)], route_class=ApiRoute)

MOST_HAPPENED = 200


class MergeCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/people/merge``.

    Attributes:
        one: Who stays, unless the other alone has a user_id: a person's number as an integer, ``number:12``,
            ``kind:value``, an address or id. Digits as text are an id.
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


class Bringer(Told):
    """The event that brought a name."""

    source: str
    name: str
    message_id: str


class GraphName(Told):
    """One name of a person; of a personal kind with its keyed hash.

    Attributes:
        via: The name because of which it was linked; null for the one with which the person began.
        joins: Whether it still joins people: not once its kind's limit has passed it by.
        event: What brought it, as far as History holds that.
    """

    identifier: str
    since: When
    via: str | None
    joins: bool
    event: Bringer | None


class MergeTold(Told):
    """Two people turned out to be one.

    Attributes:
        merge: The number by which a split names it.
        would_move: What taking it back would give to the other person; null: not worked out.
    """

    merge: int
    at: When
    into: int
    gone: int
    between: list[str]
    reason: str
    source: str | None
    message_id: str | None
    by: str | None
    would_move: list[str] | None
    undone: bool


class NotJoined(Told):
    """Two names that came together and were left with their people; `last` is the last of `times`."""

    between: list[str]
    reason: str
    last: When
    times: int


class GraphTold(Told):
    """A person's names and merges; `numbers` are all that stand for the person."""

    person: int
    numbers: list[int]
    identifiers: list[GraphName]
    merges: list[MergeTold]
    refused: list[NotJoined]
    kept_apart_from: list[int]


class Changed(Told):
    """What came of it: 202 and `folded` false if the engine has not got to it yet; then nobody is named."""

    folded: bool
    people: list[int]


class HappenedTold(Told):
    """One thing that happened to a person.

    Attributes:
        kind: ``event``, ``entered`` and ``left`` of a segment, ``merge`` or ``split``.
        name: The event's name, or its call; the segment's; ``#`` and the number of the other person.
        source: What brought the event; why a segment changed; who merged or split by hand. Null: nobody.
        detail: The event's properties, of identify and group the traits; of a merge ``into``, ``other``, ``reason``.
        offset: Its place in the log.
    """

    at: When
    kind: Literal["event", "entered", "left", "merge", "split"]
    name: str
    source: str | None
    detail: dict[str, Any]
    offset: int


class TimelineTold(Told):
    """A stretch of a person's timeline.

    Attributes:
        next: What `before` takes for the next, older stretch; null: this was the last.
        complete: False while History is so far behind that some of the last minutes is missing.
    """

    person: int
    happened: list[HappenedTold]
    next: str | None
    complete: bool


class CorrectCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/people/{who}/traits``.

    Attributes:
        traits: Trait -> its right value; null removes it. The project's normaliser and tracking plan apply.
        because: Why; kept in the log as it is written.
    """

    traits: dict[str, Any]
    because: str


@router.get("/{who:path}/graph")
@also(404)
def graph(context: Context, who: Who) -> GraphTold:
    """A person's identifiers, what joined them, and what was not joined.

    As of the last record. Hashed identifiers stay hashes.
    """
    return _graph(context, context.engine.graph(whom(context, who)))


@router.get("/{who:path}/timeline")
@also(404)
def person_timeline(
    context: Context,
    who: Who,
    before: Annotated[str | None, Query(max_length=400)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_HAPPENED)] = 50,
) -> TimelineTold:
    """What happened to a person, newest stamp first; `before`: the ``next`` of the answer before.

    As of the last record that the engine has folded, whether History holds it yet or not. Sealed values stay sealed.
    """
    whose = Whose.of(context.engine.graph(whom(context, who)))
    found = timeline(context.engine, context.history, whose, before=before, limit=limit + 1)
    shown = found.happened[:limit]
    return TimelineTold(
        person=whose.person,
        happened=[
            HappenedTold(
                at=format_iso(one.at),
                kind=one.kind,
                name=one.label,
                source=one.source or None,
                detail=one.detail,
                offset=one.offset,
            )
            for one in shown
        ],
        next=shown[-1].cursor if len(found.happened) > limit else None,
        complete=found.complete,
    )


_HINT = "see docs/reference/http.md"


@router.post("/merge")
@also(202, 404, 409)
def merge(
    request: Request,
    context: Context,
    call: Annotated[MergeCall, Depends(json_body(MergeCall, "request.body", hint=_HINT))],
) -> Answer[Changed]:
    """Make two people one, whatever identifiers they have; 200 once the log has it durably."""
    by = by_of(request, context)
    body = merge_asked(context.engine, context.seal, call.one, call.other, reason=call.reason, by=by)
    return _done(context, body, None)


@router.post("/{who:path}/split")
@also(202, 404, 409)
def split(
    request: Request,
    context: Context,
    who: Who,
    call: Annotated[SplitCall, Depends(json_body(SplitCall, "request.body", hint=_HINT))],
) -> Answer[Changed]:
    """Take one merge back, or identifiers out; both people are then what each would be without it."""
    body = split_asked(
        context.engine,
        context.seal,
        who,
        merge=call.merge,
        identifiers=call.identifiers,
        reason=call.reason,
        by=by_of(request, context),
    )
    return _done(context, body, context.engine.graph(body.person))


@router.post("/{who:path}/traits")
@also(202, 404, 409)
def correct_traits(
    request: Request,
    context: Context,
    who: Who,
    call: Annotated[CorrectCall, Depends(json_body(CorrectCall, "request.body", hint=_HINT))],
) -> Answer[Changed]:
    """Correct traits of one person: an identify of the source ``correction``, as which its history shows it."""
    number = whom(context, who)
    facts, by = context.engine.facts([number])[number], by_of(request, context)
    event = correction(
        facts, context.engine, context.ingest_rules, context.clock, traits=call.traits, reason=call.because, by=by
    )
    folded = correct(context.log, context.clock, context.engine, event)
    return Answer(Changed(folded=folded, people=[number] if folded else []), 200 if folded else 202)


def _done(context: WebContext, body: PeopleMerged | PersonSplit, before: PersonGraph | None) -> Answer[Changed]:
    folded = carry_out(context.log, context.clock, context.engine, body)
    people = people_after(context.engine, body, before) if folded else []
    return Answer(Changed(folded=folded, people=list(people)), 200 if folded else 202)


def by_of(request: Request, context: WebContext) -> str:
    """Who asks: a server key's name, or the user who is signed in."""
    source = context.sources.get(write_key(request.headers.get("authorization")) or "")
    return source.name if source else str(request.state.user)


def _graph(context: WebContext, found: PersonGraph) -> GraphTold:
    """A graph, each identifier with the event that brought it, as far as History holds that."""
    events = bringers(context.history, (each.offset for each in found.identifiers))
    return GraphTold(
        person=found.person,
        numbers=list(found.numbers),
        identifiers=[
            GraphName(
                identifier=each.key,
                since=format_iso(each.since_at),
                via=each.via or None,
                joins=each.joins,
                event=Bringer(source=by.source, name=by.what, message_id=by.message_id)
                if (by := events.get(each.offset))
                else None,
            )
            for each in found.identifiers
        ],
        merges=[
            MergeTold(
                merge=each.number,
                at=format_iso(each.at),
                into=each.into,
                gone=each.gone,
                between=[each.one, each.other],
                reason=each.reason,
                source=each.source or None,
                message_id=each.message_id or None,
                by=each.by or None,
                would_move=each.moves,
                undone=each.undone,
            )
            for each in found.merges
        ],
        refused=[
            NotJoined(between=[each.one, each.other], reason=each.reason, last=format_iso(each.at), times=each.times)
            for each in found.refused
        ],
        kept_apart_from=list(found.apart),
    )
