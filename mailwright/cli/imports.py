"""``mailwright import``: people, events and items from a file."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, progress_of_work, show_rows
from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.instants import format_iso
from mailwright.core.words import counted
from mailwright.ingest.dry_run import ColumnReport, DryRun, FileReport
from mailwright.ingest.imports import ImportDefinition, Preset
from mailwright.ingest.mapping import RowKind
from mailwright.ingest.segment import Source
from mailwright.runtime.importing import FileImport, Importer
from mailwright.runtime.imports.declared import DeclaredImport
from mailwright.runtime.imports.state import read_state
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import current_project, plan
from mailwright.runtime.write_keys import Sources


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_)
    app.command("imports")(imports)


def import_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME",
            help="A .csv, .jsonl or .parquet file (text also as .gz or .zst), or the name of a declared import.",
        ),
    ],
    kind: Annotated[
        str, typer.Option("--as", help=f"What each row of a file is: {', '.join(get_args(RowKind))}.")
    ] = "",
    preset: Annotated[
        str, typer.Option(help=f"What wrote the file, in place of --as: {', '.join(get_args(Preset))}.")
    ] = "",
    purpose: Annotated[str, typer.Option(help="With --preset: the consent that its subscribers gave.")] = "",
    source: Annotated[str, typer.Option(help="The source's name, as events will carry it.")] = "import",
    key: Annotated[str, typer.Option(help="A write key; its source takes the place of --source.")] = "",
    event: Annotated[str, typer.Option(help="Name of the track event, unless a column `event` gives it.")] = "",
    catalog: Annotated[str, typer.Option(help="Catalog of the items, if there are several.")] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD[:TYPE]", help="Where a column goes; without, where its name says."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="It happened before: starts no journey, no mail.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and import nothing.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Import the good rows, list the bad ones.")] = False,
    delimiter: Annotated[str, typer.Option(help="Between the fields of a CSV; without, as its first line tells.")] = "",
    encoding: Annotated[str, typer.Option(help="Of a text file; without, UTF-8 or UTF-16.")] = "",
    read_from: Annotated[
        str, typer.Option("--from", metavar="FILE", help="With a NAME: read this file; - is standard input.")
    ] = "",
    project: ProjectOption = HERE,
) -> None:
    """Import a file, or what a declared import finds: checked as a whole first; the same twice adds nothing."""
    with opened(project) as there:
        definitions = _definitions(there, what, dry_run=dry_run)
        if not kind and not preset and (what in definitions.imports or not Path(what).suffix):
            _run_declared(DeclaredImport(there, definitions, what), dry_run=dry_run, path=read_from)
            return
        if preset:
            name = Path(what).name
            definition = _of_preset(_preset(preset), Path(what), purpose, source, skip_bad, _encoding(encoding))
            definitions = replace(definitions, imports={name: definition})
            _run_declared(DeclaredImport(there, definitions, name), dry_run=dry_run, path="")
            return
        asked = FileImport(
            path=Path(what),
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
        importer = Importer(there, definitions, asked)
        if dry_run:
            _rehearse(importer)
        else:
            _import(importer)


def imports(project: ProjectOption = HERE) -> None:
    """List the declared imports, and what the newest run of each brought."""
    with opened(project) as there:
        found = current_project(there)[1].imports
        if not found:
            console.print("No import is declared. One is a file imports/NAME.yaml.")
            return
        rows = []
        for name, one in found.items():
            state = read_state(there.records.meta, name)
            ran = f"{format_iso(state.ran_at)[:19]}Z" if state.n_run else "never"
            counts = (state.n_rows, state.n_things, state.n_held, state.n_passed_over, state.n_deleted, state.n_faults)
            when = str(one.schedule or "by hand")
            rows.append((name, one.title, one.origin, when, ran, *(f"{n:,}" for n in counts)))
    counted_as = ("rows", "taken", "held", "passed over", "deleted", "faults")
    show_rows(("import", "what it brings", "from", "when", "newest run", *counted_as), rows)


def _definitions(there: Installation, what: str, *, dry_run: bool) -> Project:
    """What is in force; or the folder's own, for a dry run of an import that was not applied yet.

    Raises:
        NotFound: ``import.unknown``, if such an import is to be run.
    """
    path = f"imports/{what}.yaml"
    if not (there.settings.folder / path).is_file():
        return current_project(there)[1]
    if there.records.definitions.current() and what in (definitions := current_project(there)[1]).imports:
        return definitions
    if dry_run:
        console.print(f"{path} is not in force yet; this is what it would bring.", markup=False)
        return plan(there).project
    raise NotFound(
        "import.unknown", f"the import {what!r} is not in force yet", f"it stands in {path}: run `mailwright apply`"
    )


def _run_declared(one: DeclaredImport, *, dry_run: bool, path: str) -> None:
    with progress_of_work() as bars:
        reading = bars.add_task("Reading rows", total=None)

        def read(n: int) -> None:
            bars.advance(reading, n)

        if dry_run:
            outcome = one.rehearse(path, read)
        else:
            delivering = bars.add_task("Importing", total=None)
            outcome = one.run(path=path, read=read, done=lambda n: bars.advance(delivering, n))
    for file in outcome.files:
        _show_file(file)
    if dry_run:
        for what, n in sorted(outcome.found.made.items()):
            console.print(f"  {n:,} x {what}", markup=False)
    if outcome.found.n_faults and (one.skips_bad or not dry_run):
        console.print(f"Left out, {counted(outcome.found.n_faults, 'fault')}:")
        for issue in outcome.found.faults:
            console.print(f"  {issue}", markup=False, soft_wrap=True)
    console.print(f"{str(outcome) or 'Nothing is new'}.")
    if dry_run:
        one.refuse(outcome.found)


def _of_preset(
    preset: Preset, path: Path, purpose: str, source: str, skip_bad: bool, encoding: str
) -> ImportDefinition:
    return ImportDefinition(
        title=f"{preset}: {path.name}"[:200],
        file=str(path.resolve()),
        preset=preset,
        purpose=purpose,
        history=True,
        skip_bad=skip_bad,
        source=source,
        encoding=encoding,
    )


def _preset(text: str) -> Preset:
    for preset in get_args(Preset):
        if preset == text:
            found: Preset = preset
            return found
    raise InvalidInput.one("import.preset", f"there is no preset {text!r}", hint=nearest(text, get_args(Preset)))


def _rehearse(importer: Importer) -> None:
    with progress_of_work() as bars:
        task = bars.add_task("Checking bytes", total=importer.n_bytes)
        found = importer.check(lambda at: bars.update(task, completed=at))
    _show_columns(importer.columns())
    _tell(importer, found)
    for what, n in sorted(found.made.items()):
        console.print(f"  {n:,} x {what}", markup=False)
    importer.refuse(found)


def _import(importer: Importer) -> None:
    if before := importer.already():
        console.print(f"The same file was imported at {before}: there is nothing to add.")
        return
    begun = importer.begun()
    if begun is not None:
        console.print(f"Going on with an import of {begun[1]:,} rows that was broken off.")
    else:
        with progress_of_work() as bars:
            task = bars.add_task("Reading bytes", total=importer.n_bytes)
            found = importer.prepare(lambda at: bars.update(task, completed=at))
            bars.update(task, completed=importer.n_bytes)
        _tell(importer, found)
        importer.refuse(found)
        begun = (0, found.n_rows)
    with progress_of_work() as bars:
        task = bars.add_task("Importing rows", total=begun[1])
        taken = importer.deliver(lambda n: bars.advance(task, n))
    n, held = taken.n_things, taken.n_held
    waiting = f" {held:,} held back by the tracking plan: see `mailwright quarantine list`." if held else ""
    console.print(f"{counted(n, 'row')} imported.{waiting}")


def _show_file(file: FileReport) -> None:
    if file.name:
        console.print(f"{file.name}:", markup=False, soft_wrap=True)
    _show_columns(file.columns)
    if file.absent:
        console.print("What could be filled too, and the columns that are not there:")
        show_rows(("could fill", "from"), [(to, ", ".join(columns)) for to, columns in file.absent])


def _show_columns(columns: Sequence[ColumnReport]) -> None:
    typed = any(one.type for one in columns)
    rows = [
        (one.column, one.to or "not read", *([one.type] if typed else []), f"{one.n_filled:,}", ", ".join(one.examples))
        for one in columns
    ]
    show_rows(("column", "goes to", *(["as"] if typed else []), "filled", "examples"), rows)


def _tell(importer: Importer, found: DryRun) -> None:
    console.print(f"{counted(found.n_rows, 'row')}, {found.n_good:,} of them good.")
    for warning in importer.near_misses():
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    if found.unused:
        console.print(f"Columns that are not read: {', '.join(found.unused)}.", markup=False)
    if found.n_faults and importer.skips_bad:
        console.print(f"Left out, {counted(found.n_faults, 'fault')}:")
        for issue in found.faults:
            console.print(f"  {issue}", markup=False, soft_wrap=True)


def _kind(text: str) -> RowKind:
    for kind in get_args(RowKind):
        if kind == text:
            found: RowKind = kind
            return found
    if not text:
        hint = f"--as {', '.join(get_args(RowKind))}; or --preset {', '.join(get_args(Preset))}"
        raise InvalidInput.one("import.kind", "say what a row is", hint=hint)
    raise InvalidInput.one(
        "import.kind", f"--as {text!r} is nothing that a row can be", hint=nearest(text, get_args(RowKind))
    )


def _source(there: Installation, name: str, key: str) -> Source:
    if not key:
        return Source(name=name, kind="server")
    found = Sources(there.records.sources).get(key)
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
    if len(one) > 1:
        raise InvalidInput.one("import.delimiter", f"a delimiter is one character, not {text!r}", hint="or: tab")
    return one


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        raise InvalidInput.one(
            "import.encoding", f"there is no encoding {name!r}", hint="such as utf-8 or cp1252"
        ) from None
