"""The visits of one person, newest first, read from History: sessions as rules mean them, with a gap that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mailwright.core.events import Event, Identifier, Offset
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import History
from mailwright.rules.catalog import Catalog
from mailwright.rules.ordered import brought, is_page, split

GAP = 30 * MINUTE
"""A longer pause begins a new session, unless it is said otherwise: what web analytics usually take."""

MAX_EVENTS = 5_000
"""So many of the newest events are looked at."""

_EVENTS = """
SELECT "offset", epoch_us(stamp_at) AS stamp_at, type, name, source, context
FROM events
WHERE list_contains($identifiers, identifier_kind || ':' || identifier)
  AND type IN ('track', 'page', 'screen') AND source <> 'mailwright'
ORDER BY stamp_at DESC, "offset" DESC LIMIT $limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One session.

    Attributes:
        started_at: Stamp of its first event; `length_micros` from there to its last.
        pages: Page and screen calls; `events` counts those and tracks.
        device: The first ``device.type`` in it; None if none was told. So with `source`, the first ``traffic_source``.
        path: Names of its first pages and events, at most ten.
    """

    started_at: Instant
    length_micros: int
    pages: int
    events: int
    device: str | None
    source: str | None
    path: Sequence[str]


def sessions_of(history: History, identifiers: Sequence[Identifier], *, gap: int = GAP, limit: int = 50) -> list[Visit]:
    """Sessions of the person who has these identifiers, newest first, at most `limit`.

    Of somebody with more than `MAX_EVENTS` events the oldest ones are left out, with the session that they cut in two.

    Args:
        history: Read as of its newest chunk.
        identifiers: All that belong to the person now.
        gap: Microseconds; a longer pause begins a new session.
        limit: At most this many.
    """
    if not identifiers or not history.offset("events"):
        return []
    names = [f"{each.kind}:{each.value}" for each in identifiers]
    found = history.query(_EVENTS, {"identifiers": names, "limit": MAX_EVENTS}).to_pylist()
    events = [(Offset(row["offset"]), _event(row)) for row in reversed(found)]
    parts = split(gap, events)
    if len(found) == MAX_EVENTS:
        parts = parts[1:]
    return [_visit(part) for part in parts[::-1][:limit]]


def _event(row: dict[str, object]) -> Event:
    stamp = Instant(row["stamp_at"])  # type: ignore[arg-type] # a whole number, as the query says
    context = row["context"]
    told = msgspec.convert(
        {name: row[name] for name in ("type", "name", "source")}
        | {"message_id": "", "stamp_at": stamp, "received_at": stamp, "known_at": stamp, "identifiers": []},
        Event,
    )
    return msgspec.structs.replace(told, context=msgspec.json.decode(context) if isinstance(context, str) else {})


def _visit(events: Sequence[Event]) -> Visit:
    items = Catalog().facts
    device, source = (
        next((value for event in events for value in brought(fact, event, items)), None)
        for fact in ("device", "source")
    )
    return Visit(
        started_at=events[0].stamp_at,
        length_micros=events[-1].stamp_at - events[0].stamp_at,
        pages=sum(map(is_page, events)),
        events=len(events),
        device=device if isinstance(device, str) else None,
        source=source if isinstance(source, str) else None,
        path=[event.name or event.type for event in events[:10]],
    )
