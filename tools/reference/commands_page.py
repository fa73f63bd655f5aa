"""docs/reference/commands.md: every command with its arguments, options and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from mailwright.cli.main import EXIT_CODES, app
from tools.reference.markdown import code, table

HEAD = """Every command that works on a project takes `--project FOLDER` (`-p`); without it the project is the folder
that you are in. An error is one message on standard error: what, where, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as the command line knows it."""

    name: str
    help: str
    hidden: bool
    parameters: list[Any]


def commands() -> Iterator[Command]:
    """All commands in their order, those that only `serve` starts included."""
    group: Any = typer.main.get_command(app)
    for name, one in group.commands.items():
        shown = [each for each in one.params if each.name != "help"]
        yield Command(name=name, help=one.help or "", hidden=one.hidden, parameters=shown)


def page() -> str:
    """The page's text."""
    shown = [_command(command) for command in commands() if not command.hidden]
    return "\n\n".join(["# Commands", HEAD, *shown, _exit_codes()])


def _command(command: Command) -> str:
    usage = " ".join(["mailwright", command.name, *(_in_usage(each) for each in command.parameters)])
    rows = [(_name(each), _default(each), each.help or "") for each in command.parameters]
    grid = "\n\n" + table(("", "default", "what it is"), rows) if rows else ""
    return f"## {command.name}\n\n{command.help}\n\n    {usage.strip()}{grid}"


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _in_usage(parameter: Any) -> str:
    if not _is_argument(parameter):
        return ""
    return parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return code(parameter.name.upper())
    return ", ".join(code(option) for option in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    return "" if parameter.default in (None, False, "", -1) else code(str(parameter.default))


def _exit_codes() -> str:
    rows = [(str(number), code(kind.__name__)) for kind, number in EXIT_CODES.items()]
    rows = [("0", "it worked"), ("1", "any other error, or a mail that does not render the same"), *rows]
    return "## Exit codes\n\n" + table(("code", "when"), [*rows, ("130", "Ctrl-C")])
