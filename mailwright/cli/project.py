"""Commands for definitions: init, plan, apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mailwright.cli.in_force import wait_until_in_force
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import Conflict
from mailwright.runtime.installation import open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.versions import Plan
from mailwright.runtime.project.versions import apply as apply_plan
from mailwright.runtime.project.versions import plan as make_plan
from mailwright.runtime.settings import load_settings

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


def plan(project: ProjectOption = HERE) -> None:
    """Check the definitions and show what apply would change."""
    installation = open_installation(load_settings(project))
    try:
        _show(make_plan(installation))
    finally:
        installation.close()


def apply(
    project: ProjectOption = HERE,
    wait: Annotated[bool, typer.Option(help="Wait until the version is in force.")] = True,
) -> None:
    """Put the definitions in force as a new version.

    A rule that asks for something new is first filled from all that happened before; until then the version before
    stays in force.
    """
    installation = open_installation(load_settings(project))
    try:
        planned = make_plan(installation)
        _show(planned)
        if planned.differences:
            version = apply_plan(installation, planned).version
            if wait:
                wait_until_in_force(installation.engine, version)
            else:
                console.print(f"Version {version} is on its way; `mailwright status` says when it is in force.")
    finally:
        installation.close()


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
