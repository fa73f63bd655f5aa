"""Commands for lists of people."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.instants import format_iso
from mailwright.ingest.identifiers import is_address
from mailwright.ingest.lists import parse_list
from mailwright.runtime.installation import open_installation
from mailwright.runtime.settings import load_settings

Name = Annotated[str, typer.Argument(help="The list's name, as rules say it: in list NAME.")]
Who = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE.csv|IDENTIFIER...",
        help="CSV files, whose columns are kinds of identifier (email, user_id, ...); or addresses and user ids.",
    ),
]

app = typer.Typer(help="Lists of people: change them, show them.", no_args_is_help=True)

_KINDS = ("email", "user_id", "phone", "anonymous_id")


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="list")


@app.command()
def add(name: Name, who: Who, project: ProjectOption = HERE) -> None:
    """Put people on a list."""
    _change(project, name, "add", who)


@app.command()
def remove(name: Name, who: Who, project: ProjectOption = HERE) -> None:
    """Take people off a list."""
    _change(project, name, "remove", who)


@app.command()
def replace(name: Name, who: Who, project: ProjectOption = HERE) -> None:
    """Make a list exactly these people."""
    _change(project, name, "replace", who)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="One list; without, all.")] = "", project: ProjectOption = HERE
) -> None:
    """Say how many are on a list, and when and by whom it was last changed."""
    there = open_installation(load_settings(project))
    try:
        lists = there.engine.status().lists
    finally:
        there.close()
    if name and name not in lists:
        raise NotFound("list.unknown", f"there is no list {name!r}", nearest(name, lists))
    for each in [name] if name else lists:
        info = lists[each]
        line = f"{each}  {info.size:,}  changed {format_iso(info.at)} by {info.source or 'nobody'}"
        console.print(line, markup=False, soft_wrap=True)


def _change(project: Path, name: str, field: str, who: Sequence[str]) -> None:
    entries = [entry for each in who for entry in _entries(each)]
    body = msgspec.json.encode({field: entries})
    there = open_installation(load_settings(project))
    try:
        parsed = parse_list(body, name=name, source="cli", seal=there.sealer)
        if parsed.refused:
            one = parsed.refused[0]
            message = f"nothing was changed: entry {one.index + 1} of {len(entries)} {one.reason}"
            raise InvalidInput.one("list.entry", message, hint="correct or leave out the entry")
        there.log.append(list(parsed.records), there.clock.now())
    finally:
        there.close()
    console.print(f"{parsed.accepted:,} identifiers were taken for list {name}.", markup=False)


def _entries(told: str) -> list[str | dict[str, str]]:
    """A file's rows, or the one identifier."""
    if not told.lower().endswith(".csv"):
        kind, _, value = told.partition(":")
        return [{kind: value}] if kind in _KINDS and value and not is_address(told) else [told]
    with Path(told).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = [column for column in _KINDS if column in (reader.fieldnames or [])]
        if not columns:
            raise InvalidInput.one(
                "list.columns", f"{told} has no column of identifiers", hint=f"name one of: {', '.join(_KINDS)}"
            )
        return [_row(told, number, row, columns) for number, row in enumerate(reader, 2)]


def _row(file: str, number: int, row: dict[str, str], columns: Sequence[str]) -> dict[str, str]:
    """The first identifier that a row has."""
    found = next(({column: row[column]} for column in columns if (row[column] or "").strip()), None)
    if found is None:
        raise InvalidInput.one("list.entry", f"{file}:{number} names nobody", hint="fill in the row or take it out")
    return found
