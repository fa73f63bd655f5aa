"""What is kept of sources for a time only: counts by minute, violations, held events."""

from __future__ import annotations

from collections.abc import Iterable

from mailwright.core.instants import DAY, MINUTE, Instant
from mailwright.core.schedules import Schedule
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.settings import Settings

HELD_DAYS = 30
VIOLATION_DAYS = 90
COUNT_DAYS = 800
_MINUTES = 2 * 24 * 60


def source_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """The job that forgets what is too old."""
    del project, settings
    schedule = Schedule(every="1 hour")
    return [Job(name="sources", title="Forget old counts and held events", schedule=schedule, run=_run)]


def _run(context: JobContext) -> str:
    records, now = context.there.records, context.now
    records.sources.forget(now // MINUTE - _MINUTES, now // DAY - VIOLATION_DAYS, now // DAY - COUNT_DAYS)
    n = records.quarantine.forget(Instant(now - HELD_DAYS * DAY))
    return f"{n:,} held events of more than {HELD_DAYS} days were forgotten" if n else ""
