"""Commands for models: train."""

from __future__ import annotations

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import Transient
from mailwright.runtime.training import train_all


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(project: ProjectOption = HERE) -> None:
    """Train every model on the history so far; one serves only if its gate lets it through."""
    with opened(project) as there:
        try:
            there.engine.flush_history()
        except Transient:
            console.print("The engine does not run: training on what History holds.")
        train_all(there, lambda version: console.print(f"{version.name} {version.version}: {version.gate}"))
