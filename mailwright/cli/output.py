"""What the command line prints: one console, plain words, no colour where nobody looks."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len
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
from rich.table import Table
from rich.text import Text

from mailwright.core.errors import MailwrightError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project folder.", file_okay=False, resolve_path=True)
]
HERE = Path()
_GAP = 2  # columns of the terminal between two of a table


def show_error(error: MailwrightError) -> None:
    """One message: what, where, why, and what to do. Carets stand where they belong, so lines are not wrapped."""
    text = Text("error: ", style="bold red")
    text.append(error.message, style="default")
    if error.hint:
        text.append(f"\nhint: {error.hint}", style="cyan")
    errors.print(text, soft_wrap=True)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; where the terminal is too narrow for its longest words, lines for each row: nothing is cut off.

    Cells are plain text; one that is empty has no line of its own.
    """
    cells = [list(row) for row in rows]
    all_of = list(zip(columns, *cells, strict=True))
    least = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in all_of]
    most = [max(map(cell_len, column)) for column in all_of]
    spare, wished = console.width - sum(least) - _GAP * (len(columns) - 1), sum(most) - sum(least)
    if spare < 0:
        _show_blocks(columns, cells)
        return
    table = Table(box=None, pad_edge=False)
    for name, low, high in zip(columns, least, most, strict=True):
        table.add_column(name, width=low + (high - low) * min(spare, wished) // max(wished, 1))
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _show_blocks(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            if value:
                console.print(f"{name}: {value}" if name else value, soft_wrap=True, markup=False)
        console.print()


def show_indented(text: str) -> None:
    """Print a line of plain text below what it belongs to; where it wraps, it stays indented."""
    wrapper = textwrap.TextWrapper(console.width, "  ", "  ", break_long_words=False, break_on_hyphens=False)
    console.print(wrapper.fill(text), soft_wrap=True, markup=False)


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
