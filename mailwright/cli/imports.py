"""``mailwright import``: people, events and items from a file."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, get_args

import typer

from mailwright.cli.output import HERE, ProjectOption, console, progress
from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.ingest.dry_run import DryRun
from mailwright.ingest.segment import Source
from mailwright.runtime.importing import FileImport, Importer, Kind
from mailwright.runtime.installation import Installation, Sources, open_installation
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .parquet file.", dir_okay=False)],
    kind: Annotated[str, typer.Option("--as", help="What each row is: identify, track or items.")],
    source: Annotated[str, typer.Option(help="The source's name, as events will carry it.")] = "import",
    key: Annotated[str, typer.Option(help="A write key; its source takes the place of --source.")] = "",
    event: Annotated[str, typer.Option(help="Name of the track event, unless a column `event` gives it.")] = "",
    catalog: Annotated[str, typer.Option(help="Catalog of the items, if there are several.")] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD[:TYPE]", help="Where a column goes; without, where its name says."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="It happened before: starts no journey, no mail.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and import nothing.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Import the good rows, list the bad ones.")] = False,
    delimiter: Annotated[str, typer.Option(help="Between the fields of a CSV.")] = ",",
    encoding: Annotated[str, typer.Option(help="Of a text file.")] = "utf-8",
    project: ProjectOption = HERE,
) -> None:
    """Import a file: checked as a whole first; the same file twice adds nothing."""
    there = open_installation(load_settings(project))
    try:
        asked = FileImport(
            path=file,
            kind=_kind(kind),
            source=_source(there, source, key),
            columns=_columns(columns or []),
            event=event,
            catalog=catalog,
            history=history,
            skip_bad=skip_bad,
            delimiter=_delimiter(delimiter),
            encoding=_encoding(encoding),
        )
        importer = Importer(there, current_project(there)[1], asked)
        found = importer.check()
        _tell(importer, found)
        importer.refuse(found)
        if not dry_run:
            _import(importer, found)
    finally:
        there.close()


def _import(importer: Importer, found: DryRun) -> None:
    before = importer.already()
    if before:
        console.print(f"The same file was imported at {before}: there is nothing to add.")
        return
    with progress() as bars:
        task = bars.add_task("Importing rows", total=found.n_rows)
        taken = importer.run(lambda n: bars.advance(task, n))
    console.print(f"{taken:,} {'row' if taken == 1 else 'rows'} imported.")


def _tell(importer: Importer, found: DryRun) -> None:
    console.print(f"{found.n_rows:,} {'row' if found.n_rows == 1 else 'rows'}, {found.n_good:,} of them good.")
    if found.unused:
        console.print(f"Columns that are not read: {', '.join(found.unused)}.", markup=False)
    if found.n_faults and importer.skips_bad:
        console.print(f"Left out, {found.n_faults:,} faults:")
        for issue in importer.faults(found):
            console.print(f"  {issue}", markup=False, soft_wrap=True)


def _kind(text: str) -> Kind:
    for kind in get_args(Kind):
        if kind == text:
            found: Kind = kind
            return found
    raise InvalidInput.one(
        "import.kind", f"--as {text!r} is nothing that a row can be", hint=nearest(text, get_args(Kind))
    )


def _source(there: Installation, name: str, key: str) -> Source:
    if not key:
        return Source(name=name, kind="server")
    found = Sources(there.records.meta).get(key)
    if found is None:
        raise NotFound("key.unknown", "no source has this write key", "`mailwright create-key` makes one")
    if found.kind != "server":
        raise InvalidInput.one("key.browser", "a browser key cannot import", hint="use a server key (sk_...)")
    return found


def _columns(told: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in told:
        column, equals, target = one.rpartition("=")
        if not equals or not column or not target:
            raise InvalidInput.one(
                "import.map", f"--map {one!r} is no COLUMN=FIELD", hint="such as --map mail=traits.email"
            )
        if column in found:
            raise InvalidInput.one("import.map", f"--map names the column {column!r} twice")
        found[column] = target
    return found


def _delimiter(text: str) -> str:
    one = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(one) != 1:
        raise InvalidInput.one("import.delimiter", f"a delimiter is one character, not {text!r}", hint="or: tab")
    return one


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise InvalidInput.one(
            "import.encoding", f"there is no encoding {name!r}", hint="such as utf-8 or cp1252"
        ) from None
