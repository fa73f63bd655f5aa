"""Commands that explain: why a mail was sent or not, and its bytes made anew."""

from __future__ import annotations

from typing import Annotated

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import NotFound
from mailwright.core.messages import Message
from mailwright.decisions.explain import explain_text
from mailwright.runtime.installation import Installation
from mailwright.runtime.rerendering import rerender_message

MessageId = Annotated[str, typer.Argument(help="The mail's id, as its page shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(explain)
    app.command()(rerender)


def explain(message_id: MessageId, project: ProjectOption = HERE) -> None:
    """Say why a person got this mail, or none, and why it says what it says."""
    with opened(project) as there:
        message = find(there, message_id)
        console.print(f"{message.state}" + (f": {message.reason}" if message.reason else ""))
        if message.decision is None:
            console.print("Nothing was decided yet.")
        else:
            console.print(explain_text(message.decision), markup=False, soft_wrap=True)


def rerender(message_id: MessageId, project: ProjectOption = HERE) -> None:
    """Render a mail anew from its decision record and compare it with what was sent, byte for byte."""
    with opened(project) as there:
        again = rerender_message(there, find(there, message_id))
        if again.same:
            console.print(f"The same {len(again.body):,} bytes.")
        else:
            console.print(f"Not the same: {len(again.kept):,} bytes were sent, {len(again.body):,} come out now.")
            console.print("\n".join(again.causes) or "Nothing is known to have changed.", markup=False)
            raise typer.Exit(1)


def find(there: Installation, message_id: str) -> Message:
    """The message of that id.

    Raises:
        NotFound: If there is none.
    """
    message = there.records.messages.by_id(message_id)
    if message is None:
        raise NotFound("message.unknown", f"there is no mail {message_id!r}", "its page and the report show the id")
    return message
