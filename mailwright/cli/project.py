"""Commands for definitions: init, plan, apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mailwright.cli.in_force import wait_until_in_force
from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import Conflict
from mailwright.core.previews import Preview
from mailwright.runtime.installation import Installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.people import SegmentPeople, people_of
from mailwright.runtime.project.versions import Plan, current_project
from mailwright.runtime.project.versions import apply as apply_plan
from mailwright.runtime.project.versions import plan as make_plan

QuickOption = Annotated[
    bool, typer.Option("--quick", help="Be content with an estimate where counting would need all of the past.")
]

_STYLE = {"added": "green", "changed": "yellow", "removed": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(plan)
    app.command()(apply)


def init(folder: Annotated[Path, typer.Argument(help="A new or empty folder.", file_okay=False)]) -> None:
    """Make a small working project."""
    if folder.exists() and any(folder.iterdir()):
        raise Conflict("project.exists", f"{folder} is not empty", "name a new folder")
    starter.write(folder)
    console.print(f"A project is in {folder}. Next:\n")
    console.print(
        f"  cd {folder}\n  mailwright plan     # check the definitions\n  mailwright apply    # put them in force"
    )
    console.print("  mailwright serve    # run it")


def plan(project: ProjectOption = HERE, quick: QuickOption = False) -> None:
    """Check the definitions and show what apply would change, also in people."""
    with opened(project) as installation:
        planned = make_plan(installation)
        _show(planned)
        _show_people(installation, planned, quick)


def apply(
    project: ProjectOption = HERE,
    wait: Annotated[bool, typer.Option(help="Wait until the version is in force.")] = True,
    quick: QuickOption = False,
) -> None:
    """Put the definitions in force as a new version.

    A rule that asks for something new is first filled from all that happened before; until then the version before
    stays in force.
    """
    with opened(project) as installation:
        planned = make_plan(installation)
        _show(planned)
        _show_people(installation, planned, quick)
        if planned.differences:
            version = apply_plan(installation, planned).version
            if wait:
                wait_until_in_force(installation.engine, version)
            else:
                console.print(f"Version {version} is on its way; `mailwright status` says when it is in force.")


def _show(planned: Plan) -> None:
    for warning in planned.project.warnings:
        console.print(f"Warning: {warning}\n", style="yellow", markup=False, highlight=False)
    if not planned.differences:
        console.print(f"Nothing to do: version {planned.current} is in force and the files say the same.")
        return
    table = Table(
        title=f"Against version {planned.current}" if planned.current else "A first version", title_justify="left"
    )
    table.add_column("")
    table.add_column("definition", overflow="fold")
    for difference in planned.differences:
        what = f"{difference.file}: {difference.name}" if difference.name else difference.file
        table.add_row(difference.how, what, style=_STYLE[difference.how])
    console.print(table)


def _show_people(installation: Installation, planned: Plan, quick: bool) -> None:
    """Who would enter and leave each segment; a version before the first has nobody to tell of."""
    if not planned.differences or not planned.current:
        return
    _, before = current_project(installation)
    for name, count in people_of(installation, planned, before, quick=quick):
        with console.status(f"counting {name}"):
            told = count()
        for line in people_lines(told):
            console.print(line, soft_wrap=True, markup=False)


def people_lines(told: SegmentPeople) -> list[str]:
    """A segment's difference in people: ``vip: +1,204 -310 (now 8,112)``, and some of those who come and go."""
    lines = []
    if told.preview is None:
        lines.append(f"{told.name} ({told.how}): not counted: {told.unknown}")
    else:
        lines.append(f"{told.name} ({told.how}): {_difference(told.preview)}")
        for word, people in (("entering", told.preview.entering_sample), ("leaving", told.preview.leaving_sample)):
            if people:
                lines.append(f"  {word}: " + ", ".join(told.names.get(one) or f"#{one}" for one in people))
    if told.needed_by:
        lines.append("  named by " + ", ".join(told.needed_by))
    return lines


def _difference(found: Preview) -> str:
    if found.size is None or found.entering is None or found.leaving is None:
        return "not counted"
    told = f"+{found.entering.n:,} -{found.leaving.n:,} (now {found.size.n:,})"
    if found.exact:
        return told
    ends = (
        f"entering {found.entering.low:,} to {found.entering.high:,}, leaving {found.leaving.low:,} to "
        f"{found.leaving.high:,}"
    )
    return f"about {told}, 95 % sure: {ends}"
