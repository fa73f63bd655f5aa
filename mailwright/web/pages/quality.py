"""Data quality: what looks wrong, the newest audit, and the jobs that look."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mailwright.core.findings import KnownFinding, Severity
from mailwright.core.instants import format_iso, iso_or_none
from mailwright.reports.quality.people import Pair
from mailwright.runtime.jobs.runs import newest_run
from mailwright.runtime.quality.audit import newest_audit
from mailwright.web.access import allowed
from mailwright.web.described import ApiRoute, Told, When
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", tags=["Quality"], dependencies=[Depends(allowed)], route_class=ApiRoute)

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
    found = context.records.findings.newest(MOST_FINDINGS)
    values = {
        "lasting": [one for one in found if one.resolved_at is None],
        "gone": [one for one in found if one.resolved_at is not None],
        "audit": newest_audit(context.records.meta),
        "archive_after": context.project.quality.audit.archive_after,
        "runs": {name: newest_run(context.records.meta, name) for name in ("quality", "audit")},
    }
    return page_response(request, "quality.html", values)


@api_router.get("/quality")
def quality_api(context: Context) -> Findings:
    """Findings, lasting ones first."""
    return Findings(findings=[_told(one) for one in context.records.findings.newest(MOST_FINDINGS)])


@api_router.get("/quality/audit")
def audit_api(context: Context) -> Audit:
    """The newest audit's report; null before the first."""
    found = newest_audit(context.records.meta)
    return Audit(audit=AuditTold(**msgspec.structs.asdict(found) | {"at": format_iso(found.at)}) if found else None)


def _told(one: KnownFinding) -> FindingTold:
    return FindingTold(
        **msgspec.structs.asdict(one.finding),
        first_at=format_iso(one.first_at),
        last_at=format_iso(one.last_at),
        resolved_at=iso_or_none(one.resolved_at),
    )
