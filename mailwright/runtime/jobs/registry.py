"""Every job of an installation, from its definitions and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailwright.runtime.imports.jobs import import_jobs
from mailwright.runtime.jobs.history import history_jobs
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.jobs.sources import source_jobs
from mailwright.runtime.lookups import lookup_jobs, webhook_jobs
from mailwright.runtime.project.load import Project
from mailwright.runtime.quality.audit import audit_jobs
from mailwright.runtime.quality.data_map import data_map_jobs
from mailwright.runtime.quality.watch import quality_jobs
from mailwright.runtime.settings import Settings

JOBS_OF: tuple[Callable[[Project, Settings], Iterable[Job]], ...] = (
    audit_jobs,
    data_map_jobs,
    history_jobs,
    import_jobs,
    lookup_jobs,
    quality_jobs,
    source_jobs,
    webhook_jobs,
)
"""Each part that has jobs makes its own."""


def jobs_of(project: Project, settings: Settings) -> dict[str, Job]:
    """Jobs by name, in order of name."""
    found = [job for make in JOBS_OF for job in make(project, settings)]
    return {job.name: job for job in sorted(found, key=lambda job: job.name)}
