"""Commands for data quality: what looks wrong, the audit of profiles, the data map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_indented, show_rows
from mailwright.core.findings import KnownFinding
from mailwright.core.instants import format_iso
from mailwright.reports.data_map import RECENT_DAYS
from mailwright.reports.quality.people import AuditReport
from mailwright.runtime.installation import Installation
from mailwright.runtime.jobs.job import JobContext
from mailwright.runtime.jobs.runs import newest_run
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.quality.audit import audit as make_audit
from mailwright.runtime.quality.audit import newest_audit, run_audit
from mailwright.runtime.quality.data_map import map_of
from mailwright.runtime.quality.known import Known, known

_MOST_SHOWN = 100
_PAIRS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(quality)
    app.command()(audit)
    app.command("data-map")(data_map)


def quality(
    project: ProjectOption = HERE,
    all_of: Annotated[bool, typer.Option("--all", help="Also what is resolved.")] = False,
) -> None:
    """List what looks wrong in the data, each with an example and what to do; `mailwright run quality` looks anew."""
    with opened(project) as there:
        meta, now = there.records.meta, there.clock.now()
        found = [one for one in there.records.findings.newest(_MOST_SHOWN) if all_of or one.resolved_at is None]
        for one in found:
            _show(one, None if one.resolved_at is not None else known(meta, one.finding.key, now))
        for line in _looked(there, quiet=not found):
            console.print(line, markup=False)


def _looked(there: Installation, *, quiet: bool) -> Iterator[str]:
    """When the monitors looked last, and how that went."""
    run = newest_run(there.records.meta, "quality")
    if run is None:
        when = current_project(there)[1].quality.schedule
        yield f"No look was made yet. `mailwright run quality` looks now, the worker of `mailwright serve` {when}."
        return
    yield f"{'Nothing looks wrong. ' if quiet else ''}Looked {format_iso(run.ended_at)[:16]}Z."
    if run.error:
        yield f"That look failed in part: {run.error}"


def _show(one: KnownFinding, left: Known | None) -> None:
    finding = one.finding
    colour = {"serious": "red", "warning": "yellow"}[finding.severity]
    gone = f", gone {format_iso(one.resolved_at)[:16]}Z" if one.resolved_at is not None else ""
    console.print(
        f"[{colour}]{finding.severity:<8}[/] [bold]{finding.monitor}[/]  since {format_iso(one.first_at)[:16]}Z{gone}"
    )
    for line in (
        finding.message,
        f"for example {finding.example}" if finding.example else "",
        f"-> {finding.suggestion}",
        f"left alone until {format_iso(left.until)[:16]}Z, says {left.by}" if left else "",
    ):
        if line:
            show_indented(line)


def audit(
    project: ProjectOption = HERE,
    change: Annotated[
        bool, typer.Option("--change", help="Also merge, fill and archive as quality.yaml says.")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="Show the newest report instead of looking anew.")] = False,
) -> None:
    """Print the hygiene report: stale and unreachable profiles, missing traits, probable duplicates."""
    with opened(project) as there:
        _print(there, _report(there, change, last))


def data_map(
    project: ProjectOption = HERE,
    unused: Annotated[bool, typer.Option("--unused", help="Only what nothing uses.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole map as JSON.")] = False,
) -> None:
    """Print the data map: sources, events, properties and traits, who answers for them and what uses them."""
    with opened(project) as there:
        pieces = [piece for piece in map_of(_context(there)) if piece.unused or not unused]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(pieces), indent=2).decode())
        return
    rows = []
    for piece in pieces:
        users = ", ".join(piece.used_by) or ("nothing: remove it?" if piece.unused else "")
        rows.append((piece.kind, piece.name, f"{piece.n:,}", piece.answer.owner, users))
    show_rows(("", "name", f"last {RECENT_DAYS} days", "owner", "used by"), rows)


def _report(there: Installation, change: bool, last: bool) -> AuditReport | None:
    if last:
        return newest_audit(there.records.meta)
    if change:
        run_audit(_context(there))
        return newest_audit(there.records.meta)
    return make_audit(_context(there), change=False)


def _context(there: Installation) -> JobContext:
    """As the worker gives it, for a look by hand."""
    project = current_project(there)[1]
    return JobContext(there=there, project=project, now=there.clock.now(), stopping=lambda: False)


def _print(there: Installation, report: AuditReport | None) -> None:
    if report is None:
        console.print("No audit was made yet.")
        return
    policy = current_project(there)[1].quality.audit
    console.print(f"[bold]Profiles on {format_iso(report.at)[:10]}[/]: {report.n_people:,} people")
    console.print(f"  {report.n_stale:,} not seen for {policy.stale_after}")
    console.print(f"  {report.n_unreachable:,} without an address that mail may go to")
    for name, n in report.lacking.items():
        console.print(f"  {n:,} without {name}", markup=False)
    console.print(f"  {report.n_pairs:,} probable duplicates")
    if report.merged or report.filled or report.archived or report.returned:
        filled = ", ".join(f"{n:,} {name}" for name, n in report.filled.items())
        console.print(f"  {report.merged:,} merged; filled: {filled or 'nothing'}", markup=False)
        console.print(f"  {report.archived:,} archived, {report.returned:,} came back")
    if report.pairs:
        rows = []
        for pair in report.pairs[:_PAIRS_SHOWN]:
            accounts = "  (two accounts)" if pair.accounts else ""
            rows.append((f"{pair.score:g}", f"#{pair.one} #{pair.other}", ", ".join(pair.alike) + accounts))
        show_rows(("score", "people", "alike by"), rows)
        console.print("`mailwright merge #A #B --reason ...` makes two people one; it can be taken back.")
