"""What the command line prints: one console, plain words, no colour where nobody looks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mailwright.core.errors import MailwrightError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project folder.", file_okay=False, resolve_path=True)
]
HERE = Path()


def show_error(error: MailwrightError) -> None:
    """One message: what, where, why, and what to do. Carets stand where they belong, so lines are not wrapped."""
    text = Text("error: ", style="bold red")
    text.append(error.message, style="default")
    if error.hint:
        text.append(f"\nhint: {error.hint}", style="cyan")
    errors.print(text, soft_wrap=True)


def progress(shown: Console = console) -> Progress:
    """Progress bars that also read well in a file: there, each is one line at its end."""
    return Progress(
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=shown,
        transient=False,
    )


def progress_of_work(shown: Console = console) -> Progress:
    """`progress` with the rate and the time that is left."""
    return Progress(
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=shown,
        transient=False,
    )


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


def on_terminal() -> bool:
    """Whether a person is looking."""
    return sys.stdout.isatty()
