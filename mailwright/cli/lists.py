"""Commands for lists of people."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.facts import ListInfo
from mailwright.core.instants import format_iso
from mailwright.ingest.identifiers import is_address
from mailwright.ingest.lists import parse_list
from mailwright.runtime.collected import count_by_hand
from mailwright.runtime.engine.sql_segments import Refresh, newest_refresh
from mailwright.runtime.project.load import load_project
from mailwright.runtime.who import seal_of
from mailwright.segments.sql import LIST_PREFIX, in_dialect

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
    """Say how many are on a list, when and by whom it was last changed, and how a SQL segment's last run went."""
    with opened(project) as there:
        lists, meta = there.engine.status().lists, there.records.meta
        if name and name not in lists:
            raise NotFound("list.unknown", f"there is no list {name!r}", nearest(name, lists))
        if not lists:
            console.print("There are no lists yet: `mailwright list add NAME` makes one.")
        for each in [name] if name else lists:
            console.print(_line(each, lists[each]), markup=False, soft_wrap=True)
            if each.startswith(LIST_PREFIX) and (run := newest_refresh(meta, each.removeprefix(LIST_PREFIX))):
                console.print(_run(run), markup=False, soft_wrap=True)


@app.command("sql")
def print_segment(
    name: Annotated[str, typer.Argument(help="The SQL segment, by the name of its file.")],
    dialect: Annotated[str, typer.Option(help="The engine: spark, duckdb, or another that SQLGlot knows.")] = "spark",
    project: ProjectOption = HERE,
) -> None:
    """Print a SQL segment's query for another engine, as far as it can be said there."""
    path = project / "sql_segments" / f"{name}.yaml"
    if not path.is_file():
        known = [each.stem for each in path.parent.glob("*.yaml")]
        raise NotFound("segment.unknown", f"there is no SQL segment {name!r}", nearest(name, known))
    files = {f"sql_segments/{name}.yaml": path.read_text(encoding="utf-8-sig")}
    print(in_dialect(load_project(files).sql_segments[name].sql, dialect))


def _line(name: str, info: ListInfo) -> str:
    return f"{name}  {info.size:,}  changed {format_iso(info.at)} by {info.source or 'nobody'}"


def _run(run: Refresh) -> str:
    return f"  run {format_iso(run.ran_at)}: " + (f"failed: {run.error}" if run.error else f"{run.rows:,} found")


def _change(project: Path, name: str, field: str, who: Sequence[str]) -> None:
    entries = [entry for each in who for entry in _entries(each)]
    body = msgspec.json.encode({field: entries})
    with opened(project) as there:
        parsed = parse_list(body, name=name, source="cli", seal=seal_of(there))
        if parsed.refused:
            one = parsed.refused[0]
            message = f"nothing was changed: entry {one.index + 1} of {len(entries)} {one.reason}"
            raise InvalidInput.one("list.entry", message, hint="correct or leave out the entry")
        there.log.append(list(parsed.records), there.clock.now())
        count_by_hand(there.records.sources, there.clock, "list entries", parsed.accepted)
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
