"""The command line. Each command is one module; errors become one message and an exit code here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mailwright import __version__
from mailwright.cli import (
    accounts,
    consents,
    demo,
    forms,
    history,
    imports,
    jobs,
    lists,
    messages,
    models,
    people,
    processes,
    project,
    quality,
    quarantine,
    segments,
    sources,
    status,
    webhooks,
)
from mailwright.cli.output import show_error
from mailwright.core.errors import Conflict, Corrupt, InvalidInput, MailwrightError, NotFound, Transient
from mailwright.runtime.supervisor import CORRUPT_EXIT

EXIT_CODES: dict[type[MailwrightError], int] = {
    InvalidInput: 2,
    NotFound: 3,
    Conflict: 4,
    Transient: 5,
    Corrupt: CORRUPT_EXIT,
}
"""Exit codes by error; any other of ours, or of the operating system, is 1. 130 after Ctrl-C, as shells expect."""

INTERNAL = 70
"""Exit code of an error that nobody foresaw."""

app = typer.Typer(
    name="mailwright",
    help="Turns what people do into e-mail written for each of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (
    project,
    accounts,
    people,
    segments,
    processes,
    sources,
    quarantine,
    imports,
    jobs,
    consents,
    lists,
    models,
    messages,
    demo,
    status,
    forms,
    quality,
    history,
    webhooks,
):
    module.register(app)


_OURS = logging.getLogger("mailwright")


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="MAILWRIGHT_DEBUG", help="Log everything; show where errors arose.")
    ] = False,
) -> None:
    """Turns what people do into e-mail written for each of them."""
    if debug:
        _OURS.setLevel(logging.DEBUG)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def run(words: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code. `words` follow the program's name; None: those of this process."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app(words, prog_name="mailwright")
    except MailwrightError as error:
        show_error(error)
        code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _unless_debugging()
        where = f" ({error.filename})" if error.filename else ""
        show_error(MailwrightError("os", f"{error.strerror or error}{where}", "the operating system refused it"))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort: one clear line instead of a traceback
        _unless_debugging()
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        show_error(MailwrightError("internal", what, "this is a fault in Mailwright; --debug shows where it arose"))
        sys.exit(INTERNAL)


def _unless_debugging() -> None:
    if _OURS.isEnabledFor(logging.DEBUG):
        raise
