"""What happened: events per day, mails by outcome, how people reacted, how the arms of an experiment compare.

Counts over History are as of its newest chunk, which trails the log (`as_of`). Days are the shop's. Reactions are told
by our own tracking only: events of any other source that bear the same names are the shop's business and not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.events import Offset
from mailwright.core.happenings import OUR_SOURCE
from mailwright.core.messages import MessageState
from mailwright.core.ports import HistoryQueries, MessageRecords, ModelRecords, ModelVersion
from mailwright.experiments.analyse import Analysis, Arm, analyse
from mailwright.experiments.definitions import ExperimentDefinition

OTHER = "Other"

_ENDS = ("_low", "_high")

_EVENTS_PER_DAY = """
SELECT strftime(timezone($zone, stamp_at), '%Y-%m-%d') AS day,
       CASE WHEN name <> '' THEN name ELSE type END AS label,
       count(*) AS n
FROM events
GROUP BY ALL ORDER BY day, label
"""

_REACTIONS = """
WITH ours AS (
  SELECT name, properties->>'$.message_id' AS message,
         coalesce(properties->>'$.machine', 'false') = 'true' AS machine
  FROM events WHERE source = $ours AND type = 'track'
)
SELECT count(DISTINCT message) FILTER (name = 'Email Sent'),
       count(DISTINCT message) FILTER (name = 'Email Opened' AND NOT machine),
       count(DISTINCT message) FILTER (name = 'Email Link Clicked' AND NOT machine),
       count(DISTINCT message) FILTER (name = 'Unsubscribed')
FROM ours
"""

# The unit is the person, since that is what an arm was drawn for: one who was mailed four weeks running counts once.
_ARMS = """
WITH ours AS (
  SELECT name, identifier_kind || ':' || identifier AS person, properties->>'$.message_id' AS message,
         properties->>'$.experiment' AS experiment, properties->>'$.variant' AS variant,
         coalesce(properties->>'$.machine', 'false') = 'true' AS machine
  FROM events WHERE source = $ours AND type = 'track'
),
sent AS (SELECT DISTINCT experiment, variant, person, message FROM ours
         WHERE name = 'Email Sent' AND experiment IS NOT NULL AND variant IS NOT NULL),
clicked AS (SELECT DISTINCT message FROM ours WHERE name = 'Email Link Clicked' AND NOT machine)
SELECT experiment, variant, count(DISTINCT person), count(DISTINCT person) FILTER (message IN (FROM clicked)),
       count(DISTINCT message), count(DISTINCT message) FILTER (message IN (FROM clicked))
FROM sent GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsPerDay:
    """Events by day (ISO dates, without gaps) and name; the names with most events, then `OTHER` for the rest."""

    days: Sequence[str]
    by_name: Mapping[str, Sequence[int]]

    @property
    def total(self) -> int:
        """All events."""
        return sum(sum(counts) for counts in self.by_name.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOutcomes:
    """Messages by state, and by (state, reason) for those that were not sent."""

    total: int
    by_state: Mapping[MessageState, int]
    by_reason: Mapping[tuple[MessageState, str], int]
    by_origin: Mapping[str, Mapping[MessageState, int]]

    @property
    def sent(self) -> int:
        """Messages that the receiving side took."""
        return self.by_state.get(MessageState.SENT, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactions:
    """Distinct messages sent, and of them opened, clicked and answered by an unsubscribe; machines not counted."""

    sent: int
    opened: int
    clicked: int
    unsubscribed: int

    @property
    def open_rate(self) -> float | None:
        """Opened of sent messages; None if none was sent."""
        return self.opened / self.sent if self.sent else None

    @property
    def click_rate(self) -> float | None:
        """Clicked of sent messages; None if none was sent."""
        return self.clicked / self.sent if self.sent else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport:
    """An experiment's arms, control first, compared by people; `mails` has arm -> (sent, clicked) messages."""

    name: str
    analysis: Analysis
    mails: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSize:
    """One segment's size, and its share of all people (None while there are none)."""

    name: str
    title: str
    size: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of a model's comparison: the model itself or a baseline."""

    name: str
    is_model: bool
    metrics: Mapping[str, float]

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The ends of a metric's interval, kept as ``<metric>_low`` and ``<metric>_high``; None if it has none."""
        low, high = (self.metrics.get(metric + end) for end in _ENDS)
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """The newest version of a model beside its baselines; `metrics` names each once, without the ends of intervals."""

    version: ModelVersion
    metrics: Sequence[str]
    rows: Sequence[ModelRow]

    def best(self, metric: str) -> float | None:
        """The highest value of a metric among the rows."""
        return max((row.metrics[metric] for row in self.rows if metric in row.metrics), default=None)


def as_of(history: HistoryQueries) -> Offset:
    """Up to which offset the counts over History go."""
    return history.offset("events")


def events_per_day(history: HistoryQueries, zone: ZoneInfo, names: int = 4) -> EventsPerDay:
    """Events of every day from the first to the last, by name; the `names` largest each have their own row."""
    if not as_of(history):
        return EventsPerDay(days=[], by_name={})
    rows = _rows(history, _EVENTS_PER_DAY, {"zone": str(zone)})
    totals: Counter[str] = Counter()
    for _, label, n in rows:
        totals[label] += n
    kept = [label for label, _ in totals.most_common(names)]
    days = _all_days([day for day, _, _ in rows])
    place = {day: i for i, day in enumerate(days)}
    by_name = {label: [0] * len(days) for label in [*kept, *([OTHER] if len(totals) > names else [])]}
    for day, label, n in rows:
        by_name[label if label in kept else OTHER][place[day]] += n
    return EventsPerDay(days=days, by_name=by_name)


def _all_days(found: Sequence[str]) -> list[str]:
    if not found:
        return []
    first, last = date.fromisoformat(found[0]), date.fromisoformat(found[-1])
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def mail_outcomes(messages: MessageRecords) -> MailOutcomes:
    """All messages by how they stand or ended."""
    by_state: Counter[MessageState] = Counter()
    by_reason: Counter[tuple[MessageState, str]] = Counter()
    by_origin: dict[str, Counter[MessageState]] = {}
    for origin, state, reason, _, n in messages.counts():
        by_state[state] += n
        by_origin.setdefault(origin, Counter())[state] += n
        if state is not MessageState.SENT and reason:
            by_reason[state, reason] += n
    return MailOutcomes(total=by_state.total(), by_state=by_state, by_reason=by_reason, by_origin=by_origin)


def reactions(history: HistoryQueries) -> Reactions:
    """What recipients did."""
    found = _rows(history, _REACTIONS, {"ours": OUR_SOURCE}) if as_of(history) else [(0, 0, 0, 0)]
    sent, opened, clicked, unsubscribed = found[0]
    return Reactions(sent=sent, opened=opened, clicked=clicked, unsubscribed=unsubscribed)


def experiment_reports(history: HistoryQueries, defined: Mapping[str, ExperimentDefinition]) -> list[ExperimentReport]:
    """Every defined experiment, and any other that mails were sent for.

    An arm of the definition that nobody was sent counts with n = 0. One that is no longer defined is compared with the
    alphabetically first arm, as if the shares had been equal.
    """
    counts: dict[str, dict[str, tuple[int, int, int, int]]] = {}
    if as_of(history):
        for experiment, variant, n, clicks, mails, clicked in _rows(history, _ARMS, {"ours": OUR_SOURCE}):
            counts.setdefault(experiment, {})[variant] = (n, clicks, mails, clicked)
    names = dict.fromkeys([*defined, *counts])
    reports = (_experiment(name, counts.get(name, {}), defined.get(name)) for name in names)
    return [report for report in reports if report is not None]


def _experiment(
    name: str, found: Mapping[str, tuple[int, int, int, int]], defined: ExperimentDefinition | None
) -> ExperimentReport | None:
    names = defined.arms() if defined else sorted(found)
    if len(names) < 2:
        return None
    shares = {arm: variant.share for arm, variant in defined.variants.items()} if defined else None
    rows = {arm: found.get(arm, (0, 0, 0, 0)) for arm in names}
    arms = [Arm(name=arm, n=row[0], clicks=row[1]) for arm, row in rows.items()]
    return ExperimentReport(
        name=name, analysis=analyse(arms, shares), mails={arm: (row[2], row[3]) for arm, row in rows.items()}
    )


def segment_sizes(sizes: Mapping[str, int], titles: Mapping[str, str], n_persons: int) -> list[SegmentSize]:
    """Segments in the order of `titles`, with any that have none after them."""
    ordered = [name for name in titles if name in sizes] + sorted(name for name in sizes if name not in titles)
    return [
        SegmentSize(
            name=name,
            title=titles.get(name, name),
            size=sizes[name],
            share=sizes[name] / n_persons if n_persons else None,
        )
        for name in ordered
    ]


def model_reports(models: ModelRecords) -> list[ModelReport]:
    """The newest version of every model, by name."""
    newest: dict[str, ModelVersion] = {}
    for version in models.all():
        newest[version.name] = version
    return [_model(version) for version in newest.values()]


def _model(version: ModelVersion) -> ModelReport:
    metrics: dict[str, None] = {}
    for values in version.metrics.values():
        metrics.update(dict.fromkeys(name for name in values if not _is_end(name, values)))
    own = [name for name in version.metrics if name == version.name]
    rows = [
        ModelRow(name=name, is_model=name == version.name, metrics=version.metrics[name])
        for name in [*own, *(name for name in version.metrics if name not in own)]
    ]
    return ModelReport(version=version, metrics=list(metrics), rows=rows)


def _is_end(name: str, metrics: Mapping[str, float]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in metrics for end in _ENDS)


def _rows(history: HistoryQueries, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    table = history.query(sql, parameters)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
