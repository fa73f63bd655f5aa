"""What runs by schedule, for programs: declared imports, jobs, and how their newest runs went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mailwright.core.instants import Instant, iso_or_none
from mailwright.core.ports import MetaRecords
from mailwright.ingest.imports import ImportDefinition
from mailwright.runtime.imports.state import read_state
from mailwright.runtime.jobs.runs import JobRun, newest_run
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response
from mailwright.web.context import WebContext
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTold:
    """A declared import and the newest run that was done.

    Attributes:
        schedule: In words; empty if it runs by hand only.
        ran_at: None if it never ran; the counts are then 0.
        taken: What came in of `rows`, `deleted` of it for deleted rows. `faults` were left out.
        error: Why its job failed since; empty if it did not.
    """

    name: str
    title: str
    origin: str
    schedule: str
    ran_at: Instant | None
    rows: int
    taken: int
    held: int
    deleted: int
    faults: int
    error: str


def imports_told(context: WebContext) -> list[ImportTold]:
    """Every declared import, in the order of the project."""
    meta = context.records.meta
    return [_import_told(meta, name, one) for name, one in context.project.imports.items()]


def _import_told(meta: MetaRecords, name: str, one: ImportDefinition) -> ImportTold:
    state, run = read_state(meta, name), newest_run(meta, f"import:{name}")
    return ImportTold(
        name=name,
        title=one.title,
        origin=one.origin,
        schedule=str(one.schedule or ""),
        ran_at=state.ran_at if state.n_run else None,
        rows=state.n_rows,
        taken=state.n_things,
        held=state.n_held,
        deleted=state.n_deleted,
        faults=state.n_faults,
        error=run.error if run and run.ended_at > state.ran_at else "",
    )


@router.get("/imports")
def imports(context: Context) -> Response:
    """Every declared import with its schedule and what its newest run brought; never run: `ran_at` is null."""
    told = [
        {
            "name": one.name,
            "title": one.title,
            "from": one.origin,
            "schedule": one.schedule or None,
            "ran_at": iso_or_none(one.ran_at),
            "rows": one.rows,
            "taken": one.taken,
            "held": one.held,
            "deleted": one.deleted,
            "faults": one.faults,
            "error": one.error,
        }
        for one in imports_told(context)
    ]
    return json_response({"imports": told})


@router.get("/jobs")
def jobs(context: Context) -> Response:
    """Every job with its schedule and its newest run, null if there was none."""
    meta = context.records.meta
    told = [
        {
            "name": job.name,
            "title": job.title,
            "schedule": str(job.schedule),
            "newest_run": _run(newest_run(meta, job.name)),
        }
        for job in context.jobs().values()
    ]
    return json_response({"jobs": told})


def _run(run: JobRun | None) -> Mapping[str, Any] | None:
    if run is None:
        return None
    return {
        "planned_at": iso_or_none(run.planned_at),
        "started_at": iso_or_none(run.started_at),
        "ended_at": iso_or_none(run.ended_at),
        "said": run.said,
        "error": run.error,
        "failures": run.failures,
    }
