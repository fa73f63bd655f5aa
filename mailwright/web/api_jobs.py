"""What runs by schedule, for programs: declared imports, jobs, and how their newest runs went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Request

from mailwright.core.errors import NotFound, nearest
from mailwright.core.instants import Instant, format_iso, iso_or_none
from mailwright.core.ports import MetaRecords
from mailwright.ingest.imports import ImportDefinition
from mailwright.runtime.imports.state import read_state
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.jobs.runs import Asked, Begun, JobRun, ask_for_run, asked_for, newest_run, unended
from mailwright.web.access import allowed, asker, owner
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.pages.shell import Context

router = APIRouter(prefix="/v1", tags=["Jobs"], dependencies=[Depends(allowed)], route_class=ApiRoute)


class ImportRow(Told):
    """A declared import and what its newest run brought.

    Attributes:
        schedule: In words; null if it runs by hand only.
        ran_at: Null if it never ran; the counts are then 0.
        taken: What came in of `rows`, `deleted` of it for deleted rows. `held` are in quarantine, `faults` were
            left out, `passed_over` rows were no fault and yet nothing to take.
        error: Why its job failed since; empty if it did not.
    """

    name: str
    title: str
    origin: str = msgspec.field(name="from")
    schedule: str | None
    ran_at: When | None
    rows: int
    taken: int
    held: int
    passed_over: int
    deleted: int
    faults: int
    error: str


class Imports(Told):
    """Every declared import."""

    imports: list[ImportRow]


class RunTold(Told):
    """A run of a job.

    Attributes:
        by: Who asked for it; empty: it was due.
        planned_at: For which planned time.
        said: What was done, in a line.
        error: Why it failed; empty if it did not.
        failures: How many runs have failed since the last that did not.
    """

    planned_at: When
    started_at: When
    ended_at: When
    said: str
    error: str
    failures: int
    by: str


class JobTold(Told):
    """A job.

    Attributes:
        schedule: In words.
        next_at: When it is due next.
        newest_run: The newest that has ended, null if there was none.
        begun_at: Of a run that began and has not ended: it goes on, or goes on once there is a worker; else null.
        asked_by: Who asked for a run that has not begun; else null.
    """

    name: str
    title: str
    schedule: str
    next_at: When
    newest_run: RunTold | None
    begun_at: When | None
    asked_by: str | None


class RunAsked(Told):
    """The worker runs it as soon as it can; see `newest_run` of `GET /v1/jobs`."""

    name: str
    asked_by: str


class Jobs(Told):
    """Every job."""

    jobs: list[JobTold]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTold:
    """A declared import and the newest run that was done.

    Attributes:
        schedule: In words; empty if it runs by hand only.
        ran_at: None if it never ran; the counts are then 0.
        taken: What came in of `rows`, `deleted` of it for deleted rows. `faults` were left out, `passed_over` rows
            were no fault and yet nothing to take.
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
    passed_over: int
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
        passed_over=state.n_passed_over,
        deleted=state.n_deleted,
        faults=state.n_faults,
        error=run.error if run and run.ended_at > state.ran_at else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it stands: its newest run, one that has not ended, and who asked for one that has not begun."""

    job: Job
    next_at: Instant
    run: JobRun | None
    begun: Begun | None
    asked: Asked | None


def jobs_told(context: WebContext) -> list[JobView]:
    """Every job, by name."""
    meta, now = context.records.meta, context.clock.now()
    return [
        JobView(
            job=job,
            next_at=job.schedule.following(now, context.project.zone),
            run=newest_run(meta, job.name),
            begun=unended(meta, job.name),
            asked=asked_for(meta, job.name),
        )
        for job in context.jobs().values()
    ]


def ask_for(context: WebContext, name: str, who: str) -> None:
    """Let the worker run a job now.

    Raises:
        NotFound: ``job.unknown``.
    """
    known = context.jobs()
    if name not in known:
        raise NotFound("job.unknown", f"there is no job {name!r}", nearest(name, known))
    ask_for_run(context.records.meta, name, context.lease_clock.now(), who)


@router.get("/imports")
def imports(context: Context) -> Imports:
    """Every declared import with its schedule and what its newest run brought; never run: `ran_at` is null."""
    return Imports(
        imports=[
            ImportRow(
                name=one.name,
                title=one.title,
                origin=one.origin,
                schedule=one.schedule or None,
                ran_at=iso_or_none(one.ran_at),
                rows=one.rows,
                taken=one.taken,
                held=one.held,
                passed_over=one.passed_over,
                deleted=one.deleted,
                faults=one.faults,
                error=one.error,
            )
            for one in imports_told(context)
        ]
    )


@router.get("/jobs")
def jobs(context: Context) -> Jobs:
    """Every job with its schedule and its newest run, null if there was none."""
    return Jobs(
        jobs=[
            JobTold(
                name=one.job.name,
                title=one.job.title,
                schedule=str(one.job.schedule),
                next_at=format_iso(one.next_at),
                newest_run=_run(one.run),
                begun_at=iso_or_none(one.begun.started_at if one.begun else None),
                asked_by=one.asked.by if one.asked else None,
            )
            for one in jobs_told(context)
        ]
    )


@router.post("/jobs/{name}/run", status_code=202, dependencies=[Depends(owner)])
@also(404)
def run_job(request: Request, context: Context, name: Annotated[str, Path(max_length=200)]) -> RunAsked:
    """Let the worker run a job now; asked for twice before it begins it runs once."""
    who = asker(request)
    ask_for(context, name, who)
    return RunAsked(name=name, asked_by=who)


def _run(run: JobRun | None) -> RunTold | None:
    if run is None:
        return None
    return RunTold(
        planned_at=format_iso(run.planned_at),
        started_at=format_iso(run.started_at),
        ended_at=format_iso(run.ended_at),
        said=run.said,
        error=run.error,
        failures=run.failures,
        by=run.by,
    )
