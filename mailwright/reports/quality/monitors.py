"""The monitors: each looks at one way in which data goes wrong, and says what it found.

They compare the last complete day with the days before it, so a fault of today shows tomorrow, but for a source that
has fallen silent, which shows as soon as it has been quiet for longer than ever. A monitor stays silent until there is
enough past to judge by: a false alarm costs more trust than a day's delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailwright.core.durations import duration_micros
from mailwright.core.findings import Finding
from mailwright.core.instants import DAY, HOUR, MINUTE, format_iso
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.reports.quality.past import Past
from mailwright.reports.quality.robust import MAD_TO_SIGMA, against_season

LEAST_DAYS = 14
"""Days of past without which nothing is judged."""

LEAST_CHANGE = 0.4
"""A day that differs by less than this share from what was expected is no finding, however sure that is."""

LEAST_EVENTS = 30
"""Fewer events than this, expected and seen, are chance."""

COMMON = 0.5
"""A field that so large a share of events had is one that they should have."""

LEAST_DROP = 0.1
QUIET_MARGIN = 1.5
QUIET_LEAST = HOUR
FEW_GAPS = 50
NEW_LEAST, NEW_SHARE = 10, 0.02
MANY_SIGMAS = 10.0
"""How many robust standard deviations one value must be away from the usual: prices have long tails."""

TYPICAL_FACTOR = 3.0
"""The middle of a day's values may move by this factor: cents for euros, or the other way round, is a hundred."""

LEAST_LOG_SPREAD = 0.1
REPEATED = 0.02
LEAST_REPEATS = 5


def look(past: Past, definition: QualityDefinition) -> list[Finding]:
    """Everything that the monitors find now, but for reconciliations, whose other side must be fetched."""
    found = [one for monitor in LOOKS.values() for one in monitor(past, definition)]
    return sorted(found, key=lambda one: (one.monitor, one.subject))


def volume(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """Many more or many fewer events of a kind than on such a day."""
    for (source, event), days in past.counts().items():
        known = _known(days)
        if len(known) <= LEAST_DAYS or definition.ignores("volume", source=source, event=event):
            continue
        last = float(known[-1])
        usual = against_season(known, noise=math.sqrt(max(float(np.median(known[:-1])), 1.0)), least=1.0)
        if max(last, usual.expected) < LEAST_EVENTS or abs(usual.z) < definition.sensitivity:
            continue
        change = (last - usual.expected) / max(usual.expected, 1.0)
        if abs(change) < LEAST_CHANGE:
            continue
        fewer = change < 0
        yield Finding(
            monitor="volume",
            subject=f"{event} from {source}",
            severity="serious" if fewer else "warning",
            message=f"{last:,.0f} {event} from {source} on {past.season.day}; "
            f"about {usual.expected:,.0f} were to be expected",
            example=str(past.season.day),
            suggestion="look whether the tracking code or its last release still sends it"
            if fewer
            else "look for a loop, a robot or an import that should have been declared as history",
            figures={"seen": last, "expected": usual.expected, "z": round(usual.z, 1)},
        )


def freshness(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """A source, or one kind of event of it, that has been quiet for longer than it ever was."""
    rows = past.gaps()
    silent: set[str] = set()
    for row in (row for row in rows if row["event"] is None):
        source = row["source"]
        if not definition.ignores("freshness", source=source) and (quiet := _quiet(past, row, None)):
            silent.add(source)
            yield _silence(source, quiet, row["last"], row["longest"], "serious")
    for row in rows:
        event, source = row["event"], row["source"]
        declared = definition.freshness.get(event)
        ignored = definition.ignores("freshness", source=source, event=event)
        if event is None or source in silent or ignored:
            continue
        if quiet := _quiet(past, row, duration_micros(declared) if declared else None):
            yield _silence(f"{event} from {source}", quiet, row["last"], row["longest"], "warning")


def _quiet(past: Past, row: Mapping[str, Any], declared: int | None) -> int:
    """For how long it has been quiet, if that is too long; else 0."""
    quiet: int = past.season.now - row["last"]
    if declared is not None:
        return quiet if quiet > declared else 0
    enough = row["n"] >= FEW_GAPS and row["last"] - row["first"] >= LEAST_DAYS * DAY
    return quiet if enough and quiet > max(QUIET_MARGIN * row["longest"], QUIET_LEAST) else 0


def _silence(what: str, quiet: int, last: Any, longest: int, severity: Any) -> Finding:
    return Finding(
        monitor="freshness",
        subject=what,
        severity=severity,
        message=f"nothing of {what} for {_length(quiet)}; the longest pause before was {_length(longest)}",
        example=f"the last came at {format_iso(last)[:19]}Z",
        suggestion="look whether its key, its network or its program has changed",
        figures={"quiet_hours": round(quiet / HOUR, 1), "longest_hours": round(longest / HOUR, 1)},
    )


def missing(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """A field that events used to have and many now lack."""
    totals: dict[str, NDArray[np.float64]] = {}
    for (_, event), days in past.counts().items():
        totals[event] = totals.get(event, np.zeros(len(days))) + days
    for (event, field), filled in past.filled().items():
        total = totals.get(event, filled)
        if definition.ignores("missing", event=event, field=field) or total[-1] < LEAST_EVENTS:
            continue
        full = total > 0
        shares = filled[full] / total[full]
        if len(shares) <= LEAST_DAYS:
            continue
        chance = float(np.median(shares[:-1]))
        if chance < COMMON:
            continue
        noise = math.sqrt(chance * (1 - chance) / float(total[-1]))
        usual = against_season(shares, noise=noise, least=0.01)
        if usual.z > -definition.sensitivity or usual.expected - shares[-1] < LEAST_DROP:
            continue
        yield Finding(
            monitor="missing",
            subject=f"{field} of {event}",
            severity="serious",
            message=f"{1 - shares[-1]:.0%} of {event} came without {field} on {past.season.day}, "
            f"usually {1 - usual.expected:.0%}",
            example=past.lacking(event, field),
            suggestion=f"mend the code that sends {event}; until then mails show the fallback of what uses {field}",
            figures={"filled": round(float(shares[-1]), 4), "usually": round(usual.expected, 4)},
        )


def new_values(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """Values that a field with few values never had before."""
    fields: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in past.values():
        fields.setdefault((row["event"], row["field"]), []).append(row)
    judged = past.season.day.isoformat()
    since = past.season.n_days - 1 - LEAST_DAYS
    for (event, field), rows in fields.items():
        if definition.ignores("new values", event=event, field=field):
            continue
        today = sum(row["today"] for row in rows)
        oldest = min(row["first"] for row in rows)
        others = [row["first"] for row in rows if row["first"] != judged]
        # Where new values are usual, such as names of campaigns, one more is no news.
        settled = others and past.season.place(oldest) <= past.season.n_days - LEAST_DAYS
        lately = [first for first in others if first != oldest and past.season.place(first) >= since]
        if not settled or lately:
            continue
        least = max(NEW_LEAST, NEW_SHARE * today)
        news = [row for row in rows if row["first"] == judged and row["today"] >= least]
        if news:
            told = ", ".join(row["told"][:60] for row in news[:3])  # as JSON, with its quotes
            yield Finding(
                monitor="new values",
                subject=f"{field} of {event}",
                severity="warning",
                message=f"{field} of {event} had a value on {past.season.day} that it never had: {told}",
                example=news[0]["example"] or "",
                suggestion="add it to the tracking plan if it is meant; rules that name the other values miss it",
                figures={"values": len(news), "events": sum(row["today"] for row in news)},
            )


def outliers(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """A number that is far from all others, or a whole day of them that has moved."""
    for row in past.numbers():
        event, field = row["event"], row["field"]
        few = row["n"] < 200 or row["days"] < LEAST_DAYS
        if few or definition.ignores("outliers", event=event, field=field):
            continue
        moved = _moved(row)
        if moved:
            yield _outlier(past, row, f"the middle of {field} of {event} was {row['middle_today']:,.6g}", moved)
            continue
        for value, example in ((row["largest"], row["of_largest"]), (row["smallest"], row["of_smallest"])):
            if abs(away := _away(row, value)) > MANY_SIGMAS:
                what = f"{field} of {event} was {value:,.6g}, {abs(away):.0f} robust standard deviations from the usual"
                yield _outlier(past, row, what, example)
                break


def _outlier(past: Past, row: Mapping[str, Any], what: str, example: str) -> Finding:
    low, high = _bounds(row)
    return Finding(
        monitor="outliers",
        subject=f"{row['field']} of {row['event']}",
        severity="serious",
        message=f"{what} on {past.season.day}; usually it is about {row['middle']:,.6g}",
        example=example,
        suggestion="look at the unit (cents for euros), the currency and the code that sends it; "
        f"minimum: {low:.4g} and maximum: {high:.4g} in the tracking plan's schema would stop such values at the door",
        figures={"usual": row["middle"], "largest": row["largest"], "smallest": row["smallest"], "bounds": [low, high]},
    )


def _on_log_scale(row: Mapping[str, Any]) -> bool:
    """Amounts, counts and lengths multiply; what is often zero or less adds."""
    return bool(row["not_positive"] < 0.01 * row["n"] and row["log_middle"] is not None)


def _away(row: Mapping[str, Any], value: float) -> float:
    """How many robust standard deviations a value is from the middle; none on a scale that it does not fit is far."""
    if _on_log_scale(row):
        if value <= 0:
            return 0.0 if row["not_positive"] else -2 * MANY_SIGMAS
        spread = MAD_TO_SIGMA * max(row["log_spread"], LEAST_LOG_SPREAD)
        return float((math.log(value) - row["log_middle"]) / spread)
    spread = MAD_TO_SIGMA * row["spread"]
    return float((value - row["middle"]) / spread) / 2 if spread else 0.0


def _bounds(row: Mapping[str, Any]) -> tuple[float, float]:
    """Beyond which a value counts as far from all others: where `_away` reaches `MANY_SIGMAS`."""
    if _on_log_scale(row):
        reach = MANY_SIGMAS * MAD_TO_SIGMA * max(row["log_spread"], LEAST_LOG_SPREAD)
        return math.exp(row["log_middle"] - reach), math.exp(row["log_middle"] + reach)
    reach = 2 * MANY_SIGMAS * MAD_TO_SIGMA * row["spread"]
    return row["middle"] - reach, row["middle"] + reach


def _moved(row: Mapping[str, Any]) -> str:
    """An example, if the middle of a day's values has moved as a change of unit moves it; else nothing."""
    if row["n_today"] < LEAST_EVENTS or not _on_log_scale(row) or row["middle_today"] <= 0:
        return ""
    by = math.log(row["middle_today"]) - row["log_middle"]
    # Of a wide distribution the middle of few values moves by itself.
    noise = 1.25 * MAD_TO_SIGMA * row["log_spread"] / math.sqrt(row["n_today"])
    if abs(by) < math.log(TYPICAL_FACTOR) or abs(by) < 6 * noise:
        return ""
    return str(row["of_largest"] if by > 0 else row["of_smallest"])


def duplicates(past: Past, definition: QualityDefinition) -> Iterator[Finding]:
    """The same thing told twice under two message ids: by its key, or by all its content within a second."""
    for event, field in definition.keys.items():
        if not definition.ignores("duplicates", event=event, field=field):
            subject = f"{event} by {field}"
            yield from _repeated(past, definition, subject, *past.doubled(event, field), severity="serious")
    for event, (total, repeats, example) in past.repeats().items():
        if event not in definition.keys and not definition.ignores("duplicates", event=event):
            yield from _repeated(past, definition, event, total, repeats, example, severity="warning")


def _repeated(
    past: Past,
    definition: QualityDefinition,
    subject: str,
    total: NDArray[np.float64],
    repeats: NDArray[np.float64],
    example: str,
    *,
    severity: Any,
) -> Iterator[Finding]:
    full = total > 0
    if not full[-1] or repeats[-1] < LEAST_REPEATS:
        return
    shares = repeats[full] / total[full]
    before = float(np.median(shares[:-1])) if len(shares) > 1 else 0.0
    noise = math.sqrt(max(before, 0.002) / float(total[-1]))
    usual = against_season(np.concatenate([[before], shares]), noise=noise, least=0.002)
    if usual.z < definition.sensitivity or shares[-1] - usual.expected < REPEATED:
        return
    yield Finding(
        monitor="duplicates",
        subject=subject,
        severity=severity,
        message=f"{repeats[-1]:,.0f} of {total[-1]:,.0f} {subject} came more than once on {past.season.day}, "
        f"usually {usual.expected:.1%}",
        example=example,
        suggestion="give each event the same messageId whenever it is sent again; sums and counts are too large now",
        figures={"repeated": float(repeats[-1]), "of": float(total[-1])},
    )


LOOKS: Mapping[str, Callable[[Past, QualityDefinition], Iterator[Finding]]] = {
    "volume": volume,
    "freshness": freshness,
    "missing": missing,
    "new values": new_values,
    "outliers": outliers,
    "duplicates": duplicates,
}
"""Every monitor of events, by the name that its findings bear."""


def _known(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Days from the first on which anything came."""
    any_at: Sequence[int] = np.flatnonzero(days).tolist()
    return days[any_at[0] :] if any_at else days[:0]


def _length(micros: int) -> str:
    if micros >= 2 * DAY:
        return f"{micros / DAY:.1f} days"
    return f"{micros / HOUR:.1f} hours" if micros >= HOUR else f"{micros / MINUTE:.0f} minutes"
