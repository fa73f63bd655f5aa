"""A finding: what looks wrong, how one sees it, and what to do."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mailwright.core.instants import Instant

Severity = Literal["warning", "serious"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that looks wrong.

    Attributes:
        monitor: Which kind of monitor found it.
        subject: What it is about: with `monitor` its name over time, so that a lasting fault is one finding.
        severity: ``serious`` if decisions or mails are probably wrong because of it.
        message: What was found, with its figures.
        example: One case to look at: a message id, a value, a day. Never a personal value.
        suggestion: What to do.
        figures: The figures behind it.
    """

    monitor: str
    subject: str
    severity: Severity
    message: str
    example: str
    suggestion: str
    figures: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """What the finding is called over time."""
        return f"{self.monitor}: {self.subject}"


class KnownFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding over time.

    Attributes:
        finding: As it was seen last.
        first_at: When it was seen first, since it was last gone.
        last_at: When it was seen last.
        resolved_at: When it was gone; None while it lasts.
    """

    finding: Finding
    first_at: Instant
    last_at: Instant
    resolved_at: Instant | None = None
