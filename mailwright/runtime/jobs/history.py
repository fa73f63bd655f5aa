"""Upkeep of History: joining small files, sweeping old ones, forgetting what is older than declared.

Each step holds a table for a moment, and the engine waits for it; a run that is killed leaves the table as it
was before or after a step.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailwright.core.instants import DAY, Instant
from mailwright.core.schedules import Schedule
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.settings import Settings

TABLES = ("definitions", "items", "ticks", "transitions", "belonging", "merges", "records", "lists", "events")

FORGOTTEN = {"events": "recorded_at", "transitions": "at"}
"""Tables of which old rows are forgotten, and the instant that counts; the others are small, and the rest is read by
them."""


def history_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """The three jobs; without a limit nothing is forgotten."""
    del project
    told = settings.history
    yield Job(
        name="history:compact",
        title="Join History's small files",
        schedule=Schedule(daily_at="03:20"),
        run=_compact,
    )
    yield Job(
        name="history:vacuum",
        title="Delete files of History's old versions",
        schedule=Schedule(daily_at="04:10"),
        run=lambda context: _vacuum(context, told.keep_versions_days),
    )
    if told.keep_days:
        yield Job(
            name="history:retention",
            title=f"Forget events older than {told.keep_days} days",
            schedule=Schedule(daily_at="03:50"),
            run=lambda context: _forget(context, told.keep_days),
        )


def _compact(context: JobContext) -> str:
    n_joined = 0
    for table in TABLES:
        while not context.stopping() and (n := context.there.history.compact(table, context.there.wall.now())):
            n_joined += n
    return f"joined {n_joined:,} files" if n_joined else ""


def _vacuum(context: JobContext, keep_days: int) -> str:
    n_deleted = 0
    for table in TABLES:
        if not context.stopping():
            n_deleted += context.there.history.vacuum(table, keep_days * DAY, context.there.wall.now())
    return f"deleted {n_deleted:,} files" if n_deleted else ""


def _forget(context: JobContext, keep_days: int) -> str:
    n_gone = 0
    before = Instant(context.now - keep_days * DAY)
    for table, column in FORGOTTEN.items():
        if not context.stopping():
            n_gone += context.there.history.forget_before(table, column, before, context.there.wall.now())
    return f"forgot {n_gone:,} files" if n_gone else ""
