"""The command for forms: where one is, and what embeds it."""

from __future__ import annotations

from typing import Annotated

import typer

from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import NotFound, nearest
from mailwright.runtime.installation import open_installation
from mailwright.runtime.project.in_force import in_force
from mailwright.runtime.project.load import load_project
from mailwright.runtime.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(form)


def form(
    name: Annotated[str, typer.Argument(help="The form's name, as its file is called.")],
    project: ProjectOption = HERE,
) -> None:
    """Print where a form is, and the code that puts it into a page or a mail."""
    from mailwright.web.pages.forms import address_of, embed_code  # here: only this command needs the web

    settings = load_settings(project)
    there = open_installation(settings)
    try:
        version = in_force(there.records.definitions, there.records.meta)
        forms = load_project(version.files).forms if version else {}
    finally:
        there.close()
    if name not in forms:
        hint = nearest(name, forms) or "describe one in forms/ and run `mailwright apply`"
        raise NotFound("form.unknown", f"there is no form {name!r}", hint)
    found = forms[name]
    if found.kind == "preferences":
        lines = [f"In a mail:   {{{{ '{name}' | preferences_url }}}}"]
    else:
        lines = [
            f"Its page:    {address_of(settings.base_url, name)}",
            f"In a page:   {embed_code(settings.base_url, name)}",
            f"In a mail:   {{{{ '{name}' | form_url }}}}",
        ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
