"""The comparison, day by day, of what came in with what another system says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from mailwright.core.findings import Finding
from mailwright.core.instants import DAY, Instant, to_datetime
from mailwright.core.sources import DayCount
from mailwright.core.words import counted as in_words
from mailwright.reports.quality.definitions import Reconciliation
from mailwright.reports.quality.past import Past


def reconcile(
    past: Past,
    name: str,
    asked: Reconciliation,
    theirs: Mapping[str, tuple[float, float | None]],
    counted: Iterable[DayCount] = (),
    note: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """Compare our days with those of another system.

    Args:
        past: What we have.
        name: Of the comparison.
        asked: What is compared, and how far it may differ.
        theirs: Day (ISO) -> count, and sum or None.
        counted: What sources brought as far back as that is known, for a comparison by kind.
        note: Told how many days could not be compared since they do not list them, if other days could.
    """
    ours, first = _ours(past, asked, counted)
    # Days of a kind are UTC: the newest that is over may be another than the shop's.
    last = to_datetime(Instant(past.season.now - DAY)).date() if asked.kind else past.season.day
    days = [(last - timedelta(days=back)).isoformat() for back in reversed(range(asked.days))]
    # On the first day itself some may have happened before anything was sent here.
    days = [day for day in days if first is not None and day > first]
    listed = days if asked.unlisted == "zero" else [day for day in days if day in theirs]
    subject = f"{asked.kind or asked.event} of {asked.source or 'all sources'}"
    if not listed:
        return [_nothing_listed(name, subject, days)] if days else []
    n_unlisted = len(days) - len(listed)
    beside = f"{in_words(n_unlisted, 'day')} {'is' if n_unlisted == 1 else 'are'} not in {name}"
    if n_unlisted:
        note(beside)
    apart = _apart(asked, ours, theirs, listed)
    if not apart:
        return []
    worst = apart[0]
    cases = "; ".join(f"on {one.day} {one.ours:,.6g} {one.what} here, {one.theirs:,.6g} there" for one in apart[:3])
    return [
        Finding(
            monitor="reconciliation",
            subject=name,
            severity="serious",
            message=f"{len(apart)} of {len(listed)} days of {subject} differ from {name} by more than "
            f"{asked.tolerance:.1%}: {cases}" + (f"; {beside}" if n_unlisted else ""),
            example=worst.day,
            suggestion="send the missing ones again with their own message ids: what is here counts once",
            figures={"days": len(apart), "unlisted": n_unlisted, "ours": worst.ours, "theirs": worst.theirs},
        )
    ]


class _Apart(NamedTuple):
    """A day on which two systems say something else of `what`."""

    day: str
    what: str
    ours: float
    theirs: float


def _apart(
    asked: Reconciliation,
    ours: Mapping[str, tuple[float, float]],
    theirs: Mapping[str, tuple[float, float | None]],
    days: Sequence[str],
) -> list[_Apart]:
    """The days that differ by more than they may, the worst first."""
    apart: list[_Apart] = []
    for day in days:
        count, total = ours.get(day, (0, 0.0))
        their_count, their_total = theirs.get(day, (0.0, 0.0))
        if _difference(count, their_count) > asked.tolerance:
            apart.append(_Apart(day, asked.kind or "events", count, their_count))
        elif asked.value and their_total is not None and _difference(total, their_total) > asked.tolerance:
            apart.append(_Apart(day, f"of {asked.value}", total, their_total))
    apart.sort(key=lambda one: (_difference(one.ours, one.theirs), abs(one.ours - one.theirs), one.day), reverse=True)
    return apart


def _nothing_listed(name: str, subject: str, days: Sequence[str]) -> Finding:
    """That nothing was compared must not look as if all were well."""
    return Finding(
        monitor="reconciliation",
        subject=name,
        severity="warning",
        message=f"{name} lists no day from {days[0]} to {days[-1]}: nothing of {subject} was compared",
        example=days[-1],
        suggestion="look what it gives; if it lists no day on which nothing happened, say `unlisted: zero`",
        figures={"days": 0, "unlisted": len(days)},
    )


def _ours(
    past: Past, asked: Reconciliation, counted: Iterable[DayCount]
) -> tuple[Mapping[str, tuple[float, float]], str | None]:
    """Day -> what we count and sum, and the day of the first; None if nothing ever came."""
    if not asked.kind:
        ours = past.per_day(asked.event, asked.value, asked.days, asked.source)
        return ours, past.first_day(asked.event, asked.source)
    counts, dates = Counter[str](), set[str]()
    for one in counted:
        dates.add(one.date)
        if one.kind == asked.kind and asked.source in ("", one.source):
            counts[one.date] += one.accepted
    return {day: (n, 0.0) for day, n in counts.items()}, min(counts or dates, default=None)


def _difference(ours: float, theirs: float) -> float:
    """By which share of the greater one the other differs from it."""
    greater = max(abs(ours), abs(theirs))
    return abs(ours - theirs) / greater if greater else 0.0
