"""Where things stand: the engine, what is on its way, and the machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import NotFound
from mailwright.core.events import PLACES
from mailwright.core.facts import Installing
from mailwright.core.instants import SECOND, format_iso
from mailwright.runtime.clock_watch import confirm, parted
from mailwright.runtime.installation import Installation, service_health
from mailwright.runtime.project.versions import current_project


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(clock)


def status(project: ProjectOption = HERE) -> None:
    """Say where the engine stands, and what it waits for."""
    with opened(project) as installation:
        found, (last, _) = installation.engine.status(), installation.log.last()
        behind = last - found.offset // PLACES
        console.print(f"At {format_iso(found.at)}, {f'{behind:,} log records behind' if behind else 'up to date'}.")
        console.print(f"{found.n_persons:,} people, {found.n_events:,} events, {found.n_items:,} items.")
        console.print(f"Version {found.version} of the definitions is in force.")
        if found.installing:
            console.print(_on_its_way(found.installing))
        for line in _outside(installation):
            console.print(line, markup=False)
        if found.clock:
            console.print("The machine's clock has jumped; `mailwright clock` says more.")


def _outside(installation: Installation) -> Iterator[str]:
    """How services that are asked do, where one does not do well."""
    try:
        lookups = current_project(installation)[1].lookups
    except NotFound:
        return
    for name in lookups:
        health = service_health(installation.records.meta, f"lookup:{name}")
        if health.state != "well":
            until = f" until {format_iso(health.until)}" if health.until else ""
            yield f"The lookup {name} is {health.state}{until}: {health.why}."


def _on_its_way(installing: Installing) -> str:
    done = f", {installing.done:,} of {installing.whole:,} events" if installing.whole else ""
    failure = f": {installing.failure}; it is tried again" if installing.failure else ""
    return f"Version {installing.version} is on its way ({installing.phase}{done}){failure}."


def clock(
    project: ProjectOption = HERE,
    ok: Annotated[bool, typer.Option("--confirm", help="The clock is right as it is now: go on.")] = False,
) -> None:
    """Say whether the machine's clock has jumped, and go on after that is confirmed.

    Ticks and hand-overs stop when it jumps by more than a minute: on a wrong clock windows would end and campaigns
    begin that are not due. Set the clock right, then confirm.
    """
    with opened(project) as installation:
        found = confirm(installation.records.meta) if ok else parted(installation.records.meta)
        if found is None:
            console.print(f"The clock has not jumped. It is {format_iso(installation.wall.now())}.")
            return
        way = "forwards" if found.parted_micros > 0 else "backwards"
        jump = f"by {abs(found.parted_micros) // SECOND:,} s {way} to {format_iso(found.wall_at)}"
        if ok:
            console.print(f"Confirmed: it had jumped {jump}. Ticks and hand-overs go on.")
        else:
            console.print(f"The clock has jumped {jump}: ticks and hand-overs have stopped.")
            console.print("Set it right, then run `mailwright clock --confirm`.")
