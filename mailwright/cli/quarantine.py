"""Commands for events that the tracking plan held back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_rows
from mailwright.cli.sources import BY_COMMAND
from mailwright.core.instants import format_iso
from mailwright.core.sources import QuarantineFilter
from mailwright.ingest.mending import read_patches
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.quarantine import Quarantine
from mailwright.runtime.who import seal_of

app = typer.Typer(help="See, mend, replay and discard events that the tracking plan held back.", no_args_is_help=True)

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of events; none: all that the options name.")]
SourceOption = Annotated[str, typer.Option(help="Of this source only.")]
EventOption = Annotated[str, typer.Option(help="Of this name only.")]
FieldOption = Annotated[str, typer.Option(help="With this field (properties.total) at fault only.")]
KindOption = Annotated[str, typer.Option(help="With this kind of fault (type, required, undeclared, ...) only.")]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="quarantine")


@app.command("list")
def listing(
    source: SourceOption = "",
    event: EventOption = "",
    field: FieldOption = "",
    kind: KindOption = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    project: ProjectOption = HERE,
) -> None:
    """List held events, newest first."""
    with _opened(project) as (there, held):
        wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind)
        rows = []
        for item in held.find(wanted, limit):
            why = "; ".join(f"{one.field} {one.reason}" for one in item.reasons)
            rows.append((str(item.id), format_iso(item.received_at), item.source, item.event, why))
        if rows:
            show_rows(("number", "received", "source", "event", "why"), rows)
        console.print(f"{there.records.quarantine.count():,} held in all.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="Of the event.")],
    project: ProjectOption = HERE,
) -> None:
    """Show a held event as JSON; personal values stay sealed."""
    with _opened(project) as (_, held):
        item = held.get(number)
        for one in item.reasons:
            console.print(Text(f"{one.field}: {one.reason}"))
        console.print_json(msgspec.json.encode(held.shown(item)).decode())


@app.command()
def mend(
    patch: Annotated[str, typer.Argument(help='JSON: [{"op": "cast", "field": "properties.total", "to": "number"}]')],
    numbers: Numbers = None,
    source: SourceOption = "",
    event: EventOption = "",
    field: FieldOption = "",
    kind: KindOption = "",
    project: ProjectOption = HERE,
) -> None:
    """Rename, cast, drop or set fields of held events; they stay held until they are replayed."""
    patches = read_patches(_json(patch))
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind)
    with _opened(project) as (_, held):
        chosen = held.chosen(numbers or (), wanted)
        held.mend(chosen, patches, who=BY_COMMAND)
        console.print(f"{len(chosen):,} mended.")


@app.command()
def replay(
    numbers: Numbers = None,
    source: SourceOption = "",
    event: EventOption = "",
    field: FieldOption = "",
    kind: KindOption = "",
    project: ProjectOption = HERE,
) -> None:
    """Let held events in, with their own time, if the plan in force now takes them; the others stay."""
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind)
    with _opened(project) as (there, held):
        rules = current_project(there)[1].ingest_rules(there.sealer, there.resolve)
        done = held.replay(held.chosen(numbers or (), wanted), rules, who=BY_COMMAND)
        for number, why in done.still:
            console.print(Text(f"{number}: {why}"))
        console.print(f"{len(done.taken):,} taken, {len(done.still):,} still held.")


@app.command()
def discard(
    numbers: Numbers = None,
    source: SourceOption = "",
    event: EventOption = "",
    field: FieldOption = "",
    kind: KindOption = "",
    project: ProjectOption = HERE,
) -> None:
    """Drop held events for good."""
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind)
    with _opened(project) as (_, held):
        n = held.discard(held.chosen(numbers or (), wanted), who=BY_COMMAND)
        console.print(f"{n:,} discarded.")


@contextmanager
def _opened(project: Path) -> Iterator[tuple[Installation, Quarantine]]:
    """The installation and what it holds back, under the definitions in force if any were applied."""
    with opened(project) as there:
        yield there, Quarantine(there.records, there.sealer, there.clock, there.log, seal=seal_of(there))


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"no JSON: {error}") from None
