"""The command line. Each command is one module; errors become one message and an exit code here."""

from __future__ import annotations

import logging
import sys

import typer

from mailwright import __version__
from mailwright.cli import demo, messages, models, processes, project, sources
from mailwright.cli.output import show_error
from mailwright.core.errors import Conflict, Corrupt, InvalidInput, MailwrightError, NotFound, Transient

EXIT_CODES: dict[type[MailwrightError], int] = {InvalidInput: 2, NotFound: 3, Conflict: 4, Transient: 5, Corrupt: 6}
"""Exit codes by error; any other error of ours is 1. 130 after Ctrl-C, as shells expect."""

app = typer.Typer(
    name="mailwright",
    help="Turns what people do into e-mail written for each of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (project, processes, sources, models, messages, demo):
    module.register(app)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def run() -> None:
    """Run the command line and exit with its code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except MailwrightError as error:
        show_error(error)
        code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(130)
