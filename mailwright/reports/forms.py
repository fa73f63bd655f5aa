"""How far people get with each form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailwright.core.ports import History

_SQL = """
SELECT source, name, count(*) AS n FROM events
WHERE starts_with(source, 'form:') AND type = 'track' GROUP BY ALL
"""
_FIELDS = {
    "Form Viewed": "seen",
    "Form Started": "started",
    "Form Submitted": "submitted",
    "Survey Answered": "submitted",
    "Preferences Changed": "submitted",
    "Subscription Confirmed": "confirmed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCounts:
    """Events of one form that History holds. Without JavaScript a form is not counted as seen or started."""

    seen: int = 0
    started: int = 0
    submitted: int = 0
    confirmed: int = 0

    @property
    def rate(self) -> float | None:
        """Submitted of seen; None if nobody saw it, or more sent it than were counted."""
        return self.submitted / self.seen if self.seen and self.submitted <= self.seen else None


def form_counts(history: History) -> Mapping[str, FormCounts]:
    """Form name -> counts, for forms of which History holds anything."""
    if not history.columns("events"):
        return {}
    found: dict[str, dict[str, int]] = {}
    for row in history.query(_SQL).to_pylist():
        field = _FIELDS.get(row["name"])
        if field:
            counts = found.setdefault(row["source"].removeprefix("form:"), {})
            counts[field] = counts.get(field, 0) + row["n"]
    return {name: FormCounts(**counts) for name, counts in found.items()}
