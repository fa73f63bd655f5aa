"""Every error that Mailwright raises on purpose.

    MailwrightError           code, message, hint
    ├── InvalidInput          what somebody wrote or sent is wrong; issues say where
    │   └── UnsupportedRule   a valid rule that the asked back end cannot run
    ├── NotFound              the named thing does not exist
    ├── Conflict              it exists, or somebody else changed it meanwhile
    ├── Transient             trying again later may work
    ├── Permanent             trying again will not
    └── Corrupt               stored bytes are not what was written: stop

Expected outcomes are values, not errors: see `mailwright.core.messages`. HTTP status codes are chosen in
``web/errors.py`` and exit codes in ``cli`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of user-written text: 1-based line and column of its first character, and its length."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One fault in an input.

    Attributes:
        path: Where it is: a file, a JSON path or both (``segments.yaml: vip.rule``); empty if there is only one place.
        message: What is wrong, with the offending value.
        hint: What to do; empty if the message says it.
        span: The offending stretch of `source`, if it is text.
        source: The user-written text that `span` points into.
    """

    path: str
    message: str
    hint: str = ""
    span: Span | None = None
    source: str = ""

    def __str__(self) -> str:
        where = self.path
        if self.span:
            where = f"{where}:{self.span.line}:{self.span.column}" if where else f"line {self.span.line}"
        lines = [f"{where}: {self.message}" if where else self.message]
        if self.span and self.source:
            rows = self.source.splitlines() or [""]
            row = rows[min(self.span.line, len(rows)) - 1]
            lines += ["    " + row, "    " + " " * (self.span.column - 1) + "^" * max(1, self.span.length)]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


class MailwrightError(Exception):
    """The root of the tree.

    Attributes:
        code: Stable, dotted, lower case (``rule.syntax``); documented in docs/reference/errors.md.
        message: What happened, where and why, in one sentence.
        hint: What to do about it; may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class InvalidInput(MailwrightError):
    """What a person or program handed in is wrong. All faults found are listed, not only the first."""

    def __init__(self, code: str, issues: Sequence[Issue], hint: str = "") -> None:
        super().__init__(code, "\n".join(str(issue) for issue in issues), hint)
        self.issues = tuple(issues)

    @classmethod
    def one(
        cls, code: str, message: str, *, path: str = "", hint: str = "", span: Span | None = None, source: str = ""
    ) -> InvalidInput:
        """An error with a single issue."""
        return cls(code, [Issue(path=path, message=message, hint=hint, span=span, source=source)])


class UnsupportedRule(InvalidInput):
    """A valid rule that this back end cannot run; the hint names the one that can."""


class NotFound(MailwrightError):
    """The named thing does not exist."""


class Conflict(MailwrightError):
    """The thing exists already, is in use, or was changed by somebody else meanwhile."""


class Transient(MailwrightError):
    """A failure that may pass: try again later."""


class Permanent(MailwrightError):
    """A failure that will not pass by itself: do not try again."""


class Corrupt(MailwrightError):
    """Stored bytes are not what was written. The process stops rather than spread them."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ``did you mean 'spend'?``, or the known names when none is close; empty if there are none."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known: {shown}" if names else ""
