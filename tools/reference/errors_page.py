"""docs/reference/errors.md: every error code, what it means and what helps."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from mailwright.cli.main import EXIT_CODES
from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.web.errors import status_of
from tools.reference.error_codes import KINDS, Raised, raised_codes
from tools.reference.markdown import code, table

HEAD = """Every error has a stable code. Over HTTP it comes as

    {"error": {"code": "...", "message": "...", "hint": "...",
               "issues": [{"path": "...", "message": "...", "hint": "..."}]}}

On the command line the message and the hint are printed and the exit code says the kind; in Python the kind is a
class of `mailwright.core.errors` or `mailwright.web.errors`. A *kind* tells what to do with it: `InvalidInput` mend
the input, `Transient` try again later, `Permanent` do not, `Corrupt` stop and restore, `Conflict` look at what is
there."""


def meanings() -> dict[str, dict[str, str]]:
    """Chapter -> code -> meaning, as written by hand."""
    text = Path(__file__).with_name("error_meanings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def undocumented(raised: list[Raised], known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Codes that are raised and not written about."""
    written = {name for chapter in known.values() for name in chapter}
    return sorted(
        f"{one.code} ({one.module})" for one in raised if not any(one.pattern.fullmatch(name) for name in written)
    )


def unraised(raised: list[Raised], known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Codes that are written about and raised nowhere."""
    written = {name for chapter in known.values() for name in chapter}
    return sorted(name for name in written if not any(one.pattern.fullmatch(name) for one in raised))


def page() -> str:
    """The page's text."""
    raised = raised_codes()
    chapters = [_chapter(title, codes, raised) for title, codes in meanings().items()]
    return "\n\n".join(["# Error codes", HEAD, *chapters])


def _chapter(title: str, codes: Mapping[str, str], raised: list[Raised]) -> str:
    rows = []
    for name, meaning in codes.items():
        exact = [one for one in raised if one.code == name]
        kinds = sorted({one.kind for one in exact or raised if one.pattern.fullmatch(name)})
        rows.append((code(name), meaning, ", ".join(kinds), _numbers(name, kinds)))
    return f"## {title.replace('-', ' ').capitalize()}\n\n" + table(("code", "meaning", "kind", "exit, HTTP"), rows)


def _numbers(name: str, kinds: list[str]) -> str:
    found = {(_exit_code(KINDS[kind]), status_of(_made(KINDS[kind], name))) for kind in kinds}
    if name.startswith("http."):
        return f"1, {name.removeprefix('http.')}"
    return "; ".join(f"{exit_code}, {status}" for exit_code, status in sorted(found))


def _exit_code(kind: type[MailwrightError]) -> int:
    return next((number for each, number in EXIT_CODES.items() if issubclass(kind, each)), 1)


def _made(kind: type[MailwrightError], name: str) -> MailwrightError:
    return kind(name, ()) if issubclass(kind, InvalidInput) else kind(name, "")
