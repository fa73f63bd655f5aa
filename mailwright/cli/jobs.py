"""Commands for jobs: what runs by schedule, and running one now, as cron or Airflow would."""

from __future__ import annotations

from typing import Annotated

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_rows
from mailwright.core.errors import NotFound, Transient, nearest
from mailwright.core.instants import format_iso
from mailwright.runtime.jobs.registry import jobs_of
from mailwright.runtime.jobs.runs import JobRun, Runner, newest_run
from mailwright.runtime.project.versions import current_project


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(jobs)
    app.command("run")(run_now)


def jobs(project: ProjectOption = HERE) -> None:
    """List what runs by schedule, and how the newest run of each went."""
    with opened(project) as there:
        found = jobs_of(current_project(there)[1], there.settings)
        if not found:
            console.print("No job is defined.")
            return
        meta = there.records.meta
        rows = [(job.name, job.title, str(job.schedule), _told(newest_run(meta, job.name))) for job in found.values()]
    show_rows(("job", "what it does", "when", "newest run"), rows)


def _told(run: JobRun | None) -> str:
    if run is None:
        return "never"
    return f"{format_iso(run.ended_at)[:19]}Z  {f'failed: {run.error}' if run.error else run.said}".rstrip()


def run_now(
    name: Annotated[str, typer.Argument(help="The job, as `mailwright jobs` lists it.")], project: ProjectOption = HERE
) -> None:
    """Run one job now and wait for its end; exit code 5 if it failed."""
    with opened(project) as there:
        definitions = current_project(there)[1]
        found = jobs_of(definitions, there.settings)
        if name not in found:
            raise NotFound("job.unknown", f"there is no job {name!r}", nearest(name, found))
        run = Runner(there, lambda: False).run(found[name], definitions, there.clock.now(), "the command line")
        if run.error:
            raise Transient("job.failed", f"the job {name} failed: {run.error}", "mend the cause and run it again")
        console.print(run.said or "Done; there was nothing to do.")
