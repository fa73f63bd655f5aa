"""Commands for what comes in and who may look: write keys, login links."""

from __future__ import annotations

from typing import Annotated

import typer

from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.runtime.installation import create_key, open_installation
from mailwright.runtime.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("create-key")(create)
    app.command()(login)


def create(
    name: Annotated[str, typer.Argument(help="The source's name, as events will carry it.")],
    browser: Annotated[
        bool, typer.Option("--browser", help="A browser key (pk_): it cannot import or send items.")
    ] = False,
    project: ProjectOption = HERE,
) -> None:
    """Make a write key for a source and print it; it is shown this once."""
    installation = open_installation(load_settings(project))
    try:
        console.print(create_key(installation.records.meta, name, server=not browser, now=installation.wall.now()))
    finally:
        installation.close()


def login(
    user: Annotated[str, typer.Argument(help="Who logs in.")] = "owner",
    base_url: Annotated[str, typer.Option(help="Where the pages are served, if not as the settings say.")] = "",
    project: ProjectOption = HERE,
) -> None:
    """Print a link that logs in once, within the next 15 minutes."""
    from mailwright.web.sessions import new_login_link  # here: only this command needs the web

    installation = open_installation(load_settings(project))
    try:
        where = base_url.rstrip("/") or installation.settings.base_url
        console.print(new_login_link(installation.records.users, installation.wall, where, user), soft_wrap=True)
    finally:
        installation.close()
