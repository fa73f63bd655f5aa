"""``mailwright webhook``: what comes in by webhooks, and what one would make of a body."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_rows
from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.instants import format_iso
from mailwright.core.outside import WebhookTally
from mailwright.ingest.webhooks.verification import Request
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import plan
from mailwright.runtime.webhooks import Drafted, draft


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(webhook)


def webhook(
    name: Annotated[str, typer.Argument(help="The webhook; without one, all are listed.")] = "",
    body: Annotated[Path | None, typer.Option(help="A file with a body, as its sender sends it.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="A header that comes with it: X-Topic:orders/create")
    ] = None,
    project: ProjectOption = HERE,
) -> None:
    """List webhooks, or show what one would make of a body: nothing is written, and no signature is looked at."""
    with opened(project) as there:
        found = plan(there).project
        if not name:
            _list(there, found)
            return
        if name not in found.webhooks:
            raise NotFound("webhook.unknown", f"there is no webhook {name!r}", nearest(name, found.webhooks))
        if body is None:
            raise InvalidInput.one("webhook.dry_run", "there is no body to look at", hint="add --body FILE")
        request = Request(body=body.read_bytes(), headers=dict(map(_header, header or [])))
        rules = found.ingest_rules(there.sealer, there.resolve)
        now = there.clock.now()
        _show(draft(name, found.webhooks[name], request, rules=rules, catalogs=found.catalogs, now=now))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise InvalidInput.one("webhook.dry_run", f"{text!r} is no header", hint="write --header X-Topic:orders/create")
    return name.strip().lower(), value.strip()


def _list(there: Installation, project: Project) -> None:
    if not project.webhooks:
        console.print("No webhook is defined.")
        return
    tallies = there.records.webhooks.tallies()
    rows = []
    for name in project.webhooks:
        tally = tallies.get(name, WebhookTally())
        newest = f"{format_iso(tally.last_at)[:19]}Z  {tally.last_fault}".rstrip() if tally.last_at else "never"
        counts = (tally.received, tally.accepted, tally.refused, tally.ignored)
        rows.append((name, f"{there.settings.base_url}/w/{name}", *map(str, counts), newest))
    show_rows(("webhook", "address", "received", "taken", "refused", "ignored", "newest"), rows)


def _show(drafted: Drafted) -> None:
    """What would be written as it would be sent to the door, then what could not be."""
    mapped = drafted.mapped
    for title, entries in (
        ("call", mapped.events),
        ("consent", mapped.consents),
        ("suppression", mapped.suppressions),
        ("item", mapped.items),
    ):
        for entry in entries:
            text = msgspec.json.format(msgspec.json.encode(entry), indent=2).decode()
            console.print(f"{title} {text}", markup=False, highlight=False, soft_wrap=True)
    report = drafted.report
    for kind, faults in (("refused", report.refused), ("held back", report.held), ("left out", report.warned)):
        for one in faults:
            told = f"{kind}: {one.output}[{one.index}] {one.field}: {one.reason}"
            console.print(told, markup=False, highlight=False, soft_wrap=True)
    if report.ignored:
        console.print("No template asks for anything of this body.")
    console.print(f"{report.accepted} would be taken, {len(report.refused)} refused. Nothing was written.")
