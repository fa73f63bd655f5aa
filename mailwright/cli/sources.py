"""Commands for what comes in and who may look: write keys, OAuth clients, login links."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, show_rows
from mailwright.core.errors import NotFound
from mailwright.core.instants import DAY, format_iso
from mailwright.core.sources import DayCount, summed
from mailwright.runtime.write_keys import create_client, create_key, revoke_key

BY_COMMAND = "command"
"""Who did what a command does, in the notes."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("create-key")(create)
    app.command("keys")(keys)
    app.command("revoke-key")(revoke)
    app.command()(sources)
    app.command()(login)


def create(
    name: Annotated[str, typer.Argument(help="The source's name, as events will carry it.")],
    browser: Annotated[
        bool, typer.Option("--browser", help="A browser key (pk_): it cannot import or send items.")
    ] = False,
    oauth: Annotated[
        bool, typer.Option("--oauth", help="An OAuth client (id and secret) for a server, instead of a key.")
    ] = False,
    public_key: Annotated[
        Path | None,
        typer.Option(help="For --oauth: PEM file of the key that the client signs with, instead of a secret."),
    ] = None,
    project: ProjectOption = HERE,
) -> None:
    """Make a write key for a source and print it; it is shown this once."""
    if browser and (oauth or public_key):
        raise typer.BadParameter("a browser cannot keep a secret: --oauth is for servers")
    pem = _pem(public_key)
    with opened(project) as installation:
        sources, now = installation.records.sources, installation.wall.now()
        if oauth or pem:
            client = create_client(sources, name, public_key=pem, now=now, who=BY_COMMAND)
            console.print(f"client_id {client.id}", soft_wrap=True)
            if client.secret:
                console.print(f"client_secret {client.secret}", soft_wrap=True)
        else:
            console.print(create_key(sources, name, server=not browser, now=now, who=BY_COMMAND))


def _pem(path: Path | None) -> str:
    if path is None:
        return ""
    if not path.is_file():
        raise NotFound("key.file", f"there is no file {path}")
    return path.read_text(encoding="utf-8", errors="replace")


def keys(project: ProjectOption = HERE) -> None:
    """List the write keys and OAuth clients of all sources; the keys themselves are nowhere kept."""
    with opened(project) as installation:
        rows = []
        for key in installation.records.sources.all_keys():
            kind = f"{key.kind}, OAuth {key.client}" if key.client else key.kind
            revoked = format_iso(key.revoked_at) if key.revoked_at else ""
            rows.append((key.id, key.name, kind, format_iso(key.created_at), revoked))
    if rows:
        show_rows(("id", "source", "kind", "made", "revoked"), rows)
    else:
        console.print("No source has a key yet; `mailwright create-key NAME` makes one.")


def sources(
    source: Annotated[str, typer.Argument(help="One source; without, all.")] = "",
    days: Annotated[int, typer.Option(min=1, max=800, help="So many days back (UTC), today included.")] = 7,
    by_day: Annotated[bool, typer.Option("--by-day", help="Each day by itself.")] = False,
    project: ProjectOption = HERE,
) -> None:
    """Show how much of what kind each source brought, and what became of it: to compare with what it says it sent."""
    with opened(project) as installation:
        since = installation.clock.now() // DAY - days + 1
        found = installation.records.sources.days(since, source)
        seen = installation.records.sources.seen(installation.clock.now())
    if not found:
        console.print(f"Nothing came in within {days} days.")
    else:
        _show_counts(found, by_day)
    for one in seen:
        if source in ("", one.source):
            console.print(f"{one.source} was last seen {format_iso(one.last_at)}", markup=False)


def _show_counts(found: Sequence[DayCount], by_day: bool) -> None:
    columns = ("source", "what", "received", "accepted", "refused", "held", "fields left out")
    rows = []
    for one in found if by_day else summed(found):
        told = (one.received, one.accepted, one.refused, one.held, one.dropped)
        rows.append((*((one.date,) if by_day else ()), one.source, one.kind, *(f"{n:,}" for n in told)))
    show_rows(("day", *columns) if by_day else columns, rows)


def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, as `mailwright keys` shows it.")],
    project: ProjectOption = HERE,
) -> None:
    """Let a write key or OAuth client count no more; every door refuses it within two seconds."""
    with opened(project) as installation:
        found = revoke_key(installation.records.sources, key, who=BY_COMMAND, now=installation.wall.now())
        console.print(f"{found.id} of {found.name} counts no more.")


def login(
    user: Annotated[str, typer.Argument(help="Who logs in.")] = "owner",
    base_url: Annotated[str, typer.Option(help="Where the pages are served, if not as the settings say.")] = "",
    project: ProjectOption = HERE,
) -> None:
    """Print a link that logs in once, within the next 15 minutes."""
    from mailwright.runtime.installation import SERVED_AT
    from mailwright.web.sessions import new_login_link  # here: only this command needs the web

    with opened(project) as installation:
        settings = installation.settings
        told = base_url or settings.door.base_url or installation.records.meta.get(SERVED_AT)
        where = (told or settings.base_url).rstrip("/")
        console.print(new_login_link(installation.records.users, installation.wall, where, user), soft_wrap=True)
