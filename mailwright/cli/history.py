"""Commands for History: SQL, the star-shaped views, versions and the change feed."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_rows
from mailwright.cli.segments import AsOfOption
from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Offset
from mailwright.core.instants import format_iso
from mailwright.runtime.installation import Installation

history = typer.Typer(help="History as tables: SQL, views, versions, changes.", no_args_is_help=True)

FormatOption = Annotated[str, typer.Option("--format", metavar="parquet|delta", help="What to write.")]
TableArgument = Annotated[str, typer.Argument(help="A table of History, such as events.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(history, name="history")
    app.command("export-views")(export)


@history.command("sql")
def run_sql(
    query: Annotated[str, typer.Argument(help="One SELECT in DuckDB's words, over tables and views.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show without --csv.")] = 50,
    as_of: AsOfOption = "",
    project: ProjectOption = HERE,
) -> None:
    """Ask History in SQL."""
    with opened(project) as there:
        _show(there.history.query(query, upto=_offset(there, as_of)), as_csv, limit)


@history.command("views")
def show_views(
    dialect: Annotated[str, typer.Option(metavar="duckdb|spark", help="In whose words.")] = "duckdb",
    project: ProjectOption = HERE,
) -> None:
    """Print the star-shaped views as SQL, by the project's order of kinds if there is one."""
    from mailwright.rules.sql.star import TITLES
    from mailwright.runtime.history_views import kept_views

    if dialect not in ("duckdb", "spark"):
        hint = nearest(dialect, ["duckdb", "spark"])
        raise InvalidInput.one("history.dialect", f"views are not printed for {dialect!r}", hint=hint)
    current = None
    if (project / "mailwright.toml").exists():
        with opened(project) as there:
            current = there.records.definitions.current()
    for name, sql in kept_views(current, dialect).items():  # type: ignore[arg-type] # as just checked
        print(f"-- {TITLES[name]}\nCREATE OR REPLACE VIEW {name} AS\n{sql};\n")


@history.command()
def versions(
    table: TableArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    project: ProjectOption = HERE,
) -> None:
    """List the versions of a table."""
    with opened(project) as there:
        found = there.history.versions(table)
    if not found:
        console.print(f"History has no table {table}.")
        return
    rows = [(str(one["version"]), format_iso(one["at"]), one["operation"]) for one in found[:limit]]
    show_rows(("version", "at", "operation"), rows)


@history.command()
def changes(
    table: TableArgument,
    since: Annotated[int, typer.Option("--from", metavar="V", min=0, help="The first version to tell of.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show without --csv.")] = 50,
    project: ProjectOption = HERE,
) -> None:
    """Show the change feed of a table: what was added and deleted by each version."""
    with opened(project) as there:
        _show(there.history.changes(table, since), as_csv, limit)


def export(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to.")],
    kind: FormatOption = "parquet",
    view: Annotated[list[str] | None, typer.Option("--view", help="Only this one; may be given again.")] = None,
    as_of: AsOfOption = "",
    project: ProjectOption = HERE,
) -> None:
    """Write the star-shaped views as files, for BI tools and warehouses."""
    from mailwright.runtime.history_views import export_views

    if kind not in ("parquet", "delta"):
        raise InvalidInput.one("history.format", f"nothing is written as {kind!r}", hint="take parquet or delta")
    with opened(project) as there:
        upto = _offset(there, as_of)
        written = export_views(there.history, to, kind, view or (), upto)  # type: ignore[arg-type] # as just checked
    for name, rows in written.items():
        console.print(f"{name:<16}{rows:>12,} rows")


def _offset(there: Installation, as_of: str) -> Offset | None:
    """Up to where History is read; None: all there is."""
    if not as_of:
        return None
    from mailwright.runtime.history_views import offset_by
    from mailwright.runtime.rehearsal.moments import read_moment

    return offset_by(there.history, read_moment(as_of, ZoneInfo(there.settings.project.time_zone), "end"))


def _show(found: pa.Table, as_csv: bool, limit: int) -> None:
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(found.column_names)
        for batch in found.to_batches():
            writer.writerows([_told(value) for value in row.values()] for row in batch.to_pylist())
        return
    rows = [[_told(value)[:60] for value in row.values()] for row in found.slice(0, limit).to_pylist()]
    show_rows(found.column_names, rows)
    if found.num_rows > limit:
        console.print(f"{found.num_rows - limit:,} more rows; --csv prints them all.")


def _told(value: Any) -> str:
    return "" if value is None else str(value)
