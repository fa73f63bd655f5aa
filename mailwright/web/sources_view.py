"""What the page Sources and its API twins tell: the same facts for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mailwright.core.events import Event, Events
from mailwright.core.instants import DAY, Instant
from mailwright.core.sources import DayCount, SourceSeen, ViolationCount, WriteKey
from mailwright.runtime.quarantine import Replayed
from mailwright.web.context import WebContext

VIOLATION_DAYS = 7
_LOG_RECORDS = 40  # looked through for the live list
KIND_OF_PREFIX = {"webhook": "webhook", "form": "form", "import": "import", "lookup": "lookup"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTold:
    """One source: its keys, if it has any, and what it brought, if it brought anything."""

    name: str
    kind: str
    keys: list[WriteKey]
    seen: SourceSeen | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One item as it came in.

    Attributes:
        what: Name of the event, else the kind of the call.
        who: Its first identifier; personal ones are hashes. Empty for what was not taken.
        outcome: ``accepted``, ``refused`` or ``held``.
    """

    at: Instant
    source: str
    what: str
    outcome: str
    who: str = ""
    reason: str = ""


def sources_told(context: WebContext) -> list[SourceTold]:
    """Every source that has a key or ever brought anything, by name."""
    sources = context.records.sources
    seen = {one.source: one for one in sources.seen(context.clock.now())}
    keys: dict[str, list[WriteKey]] = {}
    for key in sources.all_keys():
        keys.setdefault(key.name, []).append(key)
    return [
        SourceTold(name=name, kind=_kind(name, keys.get(name, [])), keys=keys.get(name, []), seen=seen.get(name))
        for name in sorted({*seen, *keys})
    ]


def counts_told(context: WebContext, days: int = VIOLATION_DAYS, source: str = "") -> list[DayCount]:
    """What came in the last days, by day, source and kind."""
    return context.records.sources.days(context.clock.now() // DAY - days + 1, source)


def _kind(name: str, keys: list[WriteKey]) -> str:
    if keys:
        return " and ".join(sorted({key.kind for key in keys}))
    return KIND_OF_PREFIX.get(name.partition(":")[0], "other")


def live_told(context: WebContext, source: str, limit: int) -> list[LiveRow]:
    """The newest items, taken or not, of one source or of all."""
    number, _ = context.log.last()
    rows = [
        LiveRow(at=Instant(one.at), source=one.source, what=one.event, outcome=one.outcome, reason=_reason(one))
        for one in context.records.sources.not_taken(limit)
        if source in ("", one.source)
    ]
    for record in context.log.read(max(0, number - _LOG_RECORDS), _LOG_RECORDS):
        if isinstance(record.body, Events):
            rows += [_live(event) for event in record.body.events[-limit:] if source in ("", event.source)]
    return sorted(rows, key=lambda row: row.at, reverse=True)[:limit]


def _reason(one: Any) -> str:
    return f"{one.field}: {one.reason}" if one.field else str(one.reason)


def _live(event: Event) -> LiveRow:
    first = event.identifiers[0]
    return LiveRow(
        at=event.received_at,
        source=event.source,
        what=event.name or event.type,
        outcome="accepted",
        who=f"{first.kind} {first.value}",
    )


def violations_told(context: WebContext, days: int = VIOLATION_DAYS) -> list[ViolationCount]:
    """Violations of the last days added up, the most frequent first."""
    since = context.clock.now() // DAY - days + 1
    found: dict[tuple[str, str, str, str], ViolationCount] = {}
    for one in context.records.sources.violations(since):
        key = (one.source, one.event, one.field, one.kind)
        newest = found.get(key)
        found[key] = _added(newest, one) if newest else one
    return sorted(found.values(), key=lambda one: (-one.n, one.source, one.event, one.field))


def _added(newest: ViolationCount, older: ViolationCount) -> ViolationCount:
    return replace(newest, n=newest.n + older.n)


def replay(context: WebContext, numbers: list[int], who: str) -> Replayed:
    """Replay under the definitions in force now."""
    return context.quarantine.replay(numbers, context.ingest_rules, who=who)
