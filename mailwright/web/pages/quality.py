"""Data quality: what looks wrong, the newest audit, and the jobs that look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.facts import PersonFacts
from mailwright.core.findings import KnownFinding, Severity
from mailwright.core.instants import Instant, format_iso, iso_or_none, to_datetime
from mailwright.reports.quality.people import Pair
from mailwright.runtime.identity_changes import REASON_CHARS, apart_asked, carry_out, merge_asked
from mailwright.runtime.jobs.runs import asked_for, newest_run
from mailwright.runtime.quality.audit import newest_audit
from mailwright.runtime.quality.known import Known, known, leave_alone
from mailwright.web.access import allowed, owner
from mailwright.web.api_jobs import ask_for
from mailwright.web.api_people import by_of
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also, json_body
from mailwright.web.pages.people import known_email, known_name
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.sessions import FORM_BYTES, checked_form
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", tags=["Quality"], dependencies=[Depends(allowed)], route_class=ApiRoute)

JOBS = ("quality", "audit")
MOST_PAIRS = 50
"""Pairs on the page: the best."""

MOST_FINDINGS = 200
"""Findings on the page and in an answer: all that last, then the newest that are gone."""


class FindingTold(Told):
    """Something that looks wrong, over time.

    Attributes:
        subject: What it is about.
        message: What was found, with its figures.
        example: One case to look at; never a personal value.
        suggestion: What to do.
        resolved_at: When it was gone; null while it lasts.
        known_until: Until when it is left alone because somebody knows of it, as `known_by` said; else null.
    """

    monitor: str
    subject: str
    severity: Severity
    message: str
    example: str
    suggestion: str
    figures: dict[str, Any]
    first_at: When
    last_at: When
    resolved_at: When | None
    known_until: When | None
    known_by: str | None


class Findings(Told):
    """Lasting ones first, then those that are gone."""

    findings: list[FindingTold]


class AuditTold(Told):
    """What an audit saw and did; see `docs/how-to/data-quality.md`.

    Attributes:
        lacking: Expected trait -> people without it.
        pairs: Probable duplicates, the best of `n_pairs`.
        merged: Pairs that were merged.
        filled: Trait -> people who were given a value.
        archived: People who came on the list of that name; `returned` those who left it.
    """

    at: When
    n_people: int
    n_stale: int
    n_unreachable: int
    lacking: dict[str, int]
    pairs: list[Pair]
    n_pairs: int
    merged: int
    filled: dict[str, int]
    archived: int
    returned: int


class Audit(Told):
    """The newest audit."""

    audit: AuditTold | None


@router.get("/quality")
def quality(request: Request, context: Context) -> Response:
    """Findings that last, those that are gone, and what the audit saw."""
    meta, now = context.records.meta, context.clock.now()
    found = context.records.findings.newest(MOST_FINDINGS)
    lasting = [one for one in found if one.resolved_at is None]
    left = {one.finding.key: told for one in lasting if (told := known(meta, one.finding.key, now))}
    report = newest_audit(meta)
    values = {
        "lasting": [one for one in lasting if one.finding.key not in left],
        "known": [(one, left[one.finding.key]) for one in lasting if one.finding.key in left],
        "gone": [one for one in found if one.resolved_at is not None],
        "audit": report,
        "pairs": _pairs(context, report.pairs[:MOST_PAIRS]) if report else [],
        "archive_after": context.project.quality.audit.archive_after,
        "runs": {name: newest_run(meta, name) for name in JOBS},
        "asked": {name for name in JOBS if asked_for(meta, name)},
        "today": to_datetime(now).astimezone(context.project.zone).date(),
        "reason_chars": REASON_CHARS,
    }
    return page_response(request, "quality.html", values)


def _pairs(context: WebContext, pairs: Sequence[Pair]) -> list[tuple[Pair, str, str]]:
    """Pairs that are still two, with the names of both, opened for this page."""
    facts = context.engine.facts(sorted({one for pair in pairs for one in (pair.one, pair.other)}))
    found = []
    for pair in pairs:
        one, other = facts.get(pair.one), facts.get(pair.other)
        if one is None or other is None or one.person == other.person:
            continue
        if other.person not in context.engine.graph(one.person).apart:
            found.append((pair, _name(context, one), _name(context, other)))
    return found


def _name(context: WebContext, facts: PersonFacts) -> str:
    name, email = known_name(context, facts), known_email(context, facts)
    return f"{name}, {email}" if email and email != name else name


@router.post("/quality/run/{job}", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def run_now(request: Request, context: Context, job: Literal["quality", "audit", "data-map"]) -> Response:
    """Let the worker look, audit or make the data map now."""
    ask_for(context, job, request.state.user)
    return RedirectResponse("/data-map" if job == "data-map" else "/quality", 303)


@router.post("/quality/pairs", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def decide_pair(
    request: Request,
    context: Context,
    one: Annotated[int, Form(ge=0, lt=2**31)],
    other: Annotated[int, Form(ge=0, lt=2**31)],
    say: Annotated[Literal["merge", "apart"], Form()],
    reason: Annotated[str, Form(max_length=2 * REASON_CHARS)] = "",
) -> Response:
    """Two people who look alike are one, or two: both is remembered, the second as after a split."""
    ask = merge_asked if say == "merge" else apart_asked
    usual = "alike by the audit" if say == "merge" else "not the same, by the audit's proposal"
    body = ask(context.engine, context.seal, one, other, reason=reason.strip() or usual, by=request.state.user)
    carry_out(context.log, context.clock, context.engine, body)
    return RedirectResponse("/quality", 303)


@router.post("/quality/known", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def know(
    request: Request,
    context: Context,
    finding: Annotated[str, Form(min_length=1, max_length=2000)],
    until: Annotated[date, Form()],
) -> Response:
    """Leave a finding alone to the end of a day; of a day past, no more."""
    _leave_alone(context, finding, until, request.state.user)
    return RedirectResponse("/quality", 303)


class KnownCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/quality/known``.

    Attributes:
        monitor: Of the finding.
        subject: Of the finding.
        until: The last day on which it is left alone, in the shop's time zone; a day past ends it.
    """

    monitor: str
    subject: str
    until: date


class LeftAloneTold(Told):
    """What is left alone, and until when."""

    finding: str
    until: When


@api_router.post("/quality/known", dependencies=[Depends(owner)])
@also(404)
def know_api(
    request: Request, context: Context, call: Annotated[KnownCall, Depends(json_body(KnownCall, "request.body"))]
) -> LeftAloneTold:
    """Leave a finding alone until a day: it is on the page apart from the others, and tells nobody."""
    key = f"{call.monitor}: {call.subject}"
    return LeftAloneTold(finding=key, until=format_iso(_leave_alone(context, key, call.until, by_of(request, context))))


def _leave_alone(context: WebContext, key: str, day: date, by: str) -> Instant:
    return leave_alone(context.records, key, day, context.project.zone, by, context.clock.now())


@api_router.get("/quality")
def quality_api(context: Context) -> Findings:
    """Findings, lasting ones first."""
    meta, now = context.records.meta, context.clock.now()
    found = context.records.findings.newest(MOST_FINDINGS)
    return Findings(findings=[_told(one, known(meta, one.finding.key, now)) for one in found])


@api_router.get("/quality/audit")
def audit_api(context: Context) -> Audit:
    """The newest audit's report; null before the first."""
    found = newest_audit(context.records.meta)
    return Audit(audit=AuditTold(**msgspec.structs.asdict(found) | {"at": format_iso(found.at)}) if found else None)


def _told(one: KnownFinding, left: Known | None) -> FindingTold:
    left = left if one.resolved_at is None else None
    return FindingTold(
        **msgspec.structs.asdict(one.finding),
        first_at=format_iso(one.first_at),
        last_at=format_iso(one.last_at),
        resolved_at=iso_or_none(one.resolved_at),
        known_until=iso_or_none(left.until if left else None),
        known_by=left.by if left else None,
    )
