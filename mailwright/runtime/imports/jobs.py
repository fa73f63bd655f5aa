"""Declared imports as jobs, and the newest run of each for lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mailwright.runtime.imports.declared import DeclaredImport
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.settings import Settings


def import_jobs(project: Project, _settings: Settings) -> Iterable[Job]:
    """A job ``import:NAME`` for each import that has a schedule."""
    for name, definition in project.imports.items():
        if definition.schedule is not None:
            run: Callable[[JobContext], str] = partial(_run, name)
            yield Job(name=f"import:{name}", title=definition.title, schedule=definition.schedule, run=run)


def _run(name: str, context: JobContext) -> str:
    return str(DeclaredImport(context.there, context.project, name).run(context.stopping))
