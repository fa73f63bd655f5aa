"""Data quality: what looks wrong, the newest audit, and the jobs that look."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mailwright.core.findings import KnownFinding
from mailwright.core.instants import format_iso
from mailwright.runtime.jobs.runs import newest_run
from mailwright.runtime.quality.audit import newest_audit
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])

MOST_FINDINGS = 200
"""Findings on the page and in an answer: all that last, then the newest that are gone."""


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
def quality_api(context: Context) -> Response:
    """Findings as JSON, lasting ones first."""
    return json_response({"findings": [_told(one) for one in context.records.findings.newest(MOST_FINDINGS)]})


@api_router.get("/quality/audit")
def audit_api(context: Context) -> Response:
    """The newest audit's report; null before the first."""
    return json_response({"audit": newest_audit(context.records.meta)})


def _told(one: KnownFinding) -> dict[str, object]:
    finding = one.finding
    return {
        "monitor": finding.monitor,
        "subject": finding.subject,
        "severity": finding.severity,
        "message": finding.message,
        "example": finding.example,
        "suggestion": finding.suggestion,
        "figures": finding.figures,
        "first_at": format_iso(one.first_at),
        "last_at": format_iso(one.last_at),
        "resolved_at": None if one.resolved_at is None else format_iso(one.resolved_at),
    }
