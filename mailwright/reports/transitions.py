"""Who entered and left segments: from the engine as far as it remembers, from History before that.

Both have one order (`mailwright.core.transitions.Cursor`), so a reader goes from one to the other without a seam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.events import Offset
from mailwright.core.instants import DAY, Instant, to_datetime
from mailwright.core.ports import EngineReads, History
from mailwright.core.transitions import START, Cursor, SegmentChange, TransitionPage

_FORWARD = """
SELECT "offset", epoch_us("at"), person, segment, entered, cause FROM transitions
WHERE "offset" BETWEEN $offset AND $upto_offset
  AND ("offset" > $offset OR person > $person OR (person = $person AND segment > $segment))
  AND ("offset" < $upto_offset OR person < $upto_person OR (person = $upto_person AND segment <= $upto_segment))
  AND ($segments IS NULL OR list_contains($segments, segment))
ORDER BY "offset", person, segment LIMIT $limit
"""

_BACKWARD = """
SELECT "offset", epoch_us("at"), person, segment, entered, cause FROM transitions
WHERE "offset" <= $offset AND segment = $name
  AND ("offset" < $offset OR person < $person OR (person = $person AND segment <= $segment))
ORDER BY "offset" DESC, person DESC, segment DESC LIMIT $limit
"""

_DAYS = """
SELECT strftime(timezone($zone, "at"), '%Y-%m-%d') AS day, entered, count(*)
FROM transitions WHERE segment = $name GROUP BY ALL ORDER BY day
"""

_CAUSES = """
SELECT cause, count(*) FILTER (entered), count(*) FILTER (NOT entered)
FROM transitions WHERE segment = $name AND epoch_us("at") > $since GROUP BY cause ORDER BY cause
"""

_MEMBERS = """
SELECT person FROM transitions WHERE segment = $name
GROUP BY person HAVING arg_max(entered, "offset") ORDER BY person
"""

_NEWEST_TICK = """
SELECT epoch_us(max("at")) FROM ticks
"""

CAUSE_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a segment grew, as of History's newest chunk.

    Attributes:
        days: ISO dates in the shop's zone, without gaps, from the first transition to the last.
        size: Members at the end of each day.
        entered: People who entered during the day; `left` those who left. One who did both counts in both.
        causes: Cause -> (entered, left) over the last `CAUSE_DAYS` days.
    """

    days: Sequence[str]
    size: Sequence[int]
    entered: Sequence[int]
    left: Sequence[int]
    causes: Mapping[str, tuple[int, int]]


def transitions_after(
    engine: EngineReads, history: History, after: Cursor, segments: Sequence[str] | None, limit: int
) -> TransitionPage:
    """At most `limit` transitions after `after`, of these segments alone if given (None: all).

    What lies between History's newest chunk and what the engine remembers is not to be had for the moment: the page
    then ends before it, without `more`, and its cursor waits there; nothing is skipped.
    """
    page = engine.transitions(after, segments, limit)
    if after >= page.kept_since:
        return page
    upto = min(page.kept_since, Cursor(history.offset("events")))
    if upto <= after or not history.offset("transitions"):
        whole = upto == page.kept_since  # History is complete so far and has none: the engine knows the rest
        return TransitionPage(changes=[], cursor=max(after, upto), kept_since=page.kept_since, more=whole)
    changes = _older(engine, history, after, upto, segments, limit)
    cursor = changes[-1].cursor if len(changes) == limit else upto
    more = len(changes) == limit or upto == page.kept_since
    return TransitionPage(changes=changes, cursor=cursor, kept_since=page.kept_since, more=more)


def _older(
    engine: EngineReads, history: History, after: Cursor, upto: Cursor, segments: Sequence[str] | None, limit: int
) -> list[SegmentChange]:
    told = {f"upto_{name}": value for name, value in upto._asdict().items()}
    names = None if segments is None else list(segments)
    return _changes(engine, history, _FORWARD, {**after._asdict(), **told, "segments": names, "limit": limit})


def latest_transitions(engine: EngineReads, history: History, segment: str, limit: int) -> list[SegmentChange]:
    """The last `limit` transitions of a segment, newest first."""
    page = engine.latest_transitions(segment, limit)
    missing = limit - len(page.changes)
    if not missing or page.cursor == START or not history.offset("transitions"):
        return list(page.changes)
    told = {**page.cursor._asdict(), "name": segment, "limit": missing + 1}  # one of them the engine may have told
    older = _changes(engine, history, _BACKWARD, told)
    known = {change.cursor for change in page.changes}
    return [*page.changes, *(change for change in older if change.cursor not in known)][:limit]


def _changes(engine: EngineReads, history: History, sql: str, parameters: Mapping[str, Any]) -> list[SegmentChange]:
    rows = _rows(history, sql, parameters)
    names = engine.first_identifiers(sorted({row[2] for row in rows}))
    return [
        SegmentChange(
            offset=Offset(offset),
            at=Instant(at),
            person=person,
            segment=segment,
            entered=entered,
            cause=cause,
            first_identifier=names.get(person, ""),
        )
        for offset, at, person, segment, entered, cause in rows
    ]


def growth(history: History, segment: str, zone: ZoneInfo, now: Instant) -> Growth:
    """How a segment grew from its first transition to `now`."""
    if not history.offset("transitions"):
        return Growth(days=[], size=[], entered=[], left=[], causes={})
    found: dict[str, list[int]] = {}
    for day, came, n in _rows(history, _DAYS, {"zone": str(zone), "name": segment}):
        found.setdefault(day, [0, 0])[0 if came else 1] += n
    since = now - CAUSE_DAYS * DAY
    causes = _rows(history, _CAUSES, {"name": segment, "since": since})
    days = _days(found, to_datetime(now).astimezone(zone).date())
    entered, left = ([found.get(day, [0, 0])[place] for day in days] for place in (0, 1))
    sizes: list[int] = []
    for came, gone in zip(entered, left, strict=True):
        sizes.append((sizes[-1] if sizes else 0) + came - gone)
    return Growth(
        days=days, size=sizes, entered=entered, left=left, causes={cause: (came, gone) for cause, came, gone in causes}
    )


def _days(found: Mapping[str, object], today: date) -> list[str]:
    if not found:
        return []
    first, last = date.fromisoformat(min(found)), max(date.fromisoformat(max(found)), today)
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def _rows(history: History, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    table = history.query(sql, parameters)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_rows else []


def members_in(history: History, segment: str) -> list[int]:
    """Who was in a segment as of History's newest chunk, by person; for when no engine runs."""
    return [row[0] for row in _rows(history, _MEMBERS, {"name": segment})] if history.offset("transitions") else []


def newest_tick(history: History) -> Instant | None:
    """When everything was evaluated last, as far as History knows; None if never."""
    found = _rows(history, _NEWEST_TICK, {}) if history.offset("ticks") else []
    return Instant(found[0][0]) if found and found[0][0] is not None else None
