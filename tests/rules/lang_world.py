"""One person's small world for the table tests of the interpreter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.events import Event, Item, Offset
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, parse_iso
from mailwright.rules.catalog import Catalog
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.parse import parse

NOW = parse_iso("2026-03-18T16:00:00Z")  # a Wednesday, noon in New York
NEW_YORK = ZoneInfo("America/New_York")
UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "u": 1}


def ago(text: str) -> Instant:
    """``ago("3d 2h")``: the instant so long before NOW; an ISO instant is itself."""
    if "T" in text:
        return parse_iso(text)
    return Instant(NOW - sum(int(part[:-1]) * UNITS[part[-1]] for part in text.split()))


def event(
    name: str = "", at: str | Instant = "0s", *, known: str | Instant | None = None, message_id: str = "", **more: Any
) -> Event:
    """A track event; `type`, `traits`, `context` and `source` may be given, the rest are its properties."""
    stamp = ago(at) if isinstance(at, str) else at
    seen = stamp if known is None else ago(known) if isinstance(known, str) else known
    kind = more.pop("type", "track")
    return Event(
        message_id=message_id or f"{kind}:{name}:{stamp}:{sorted(more.items(), key=str)}",
        source=more.pop("source", "web"),
        type=kind,
        name=name,
        stamp_at=stamp,
        received_at=seen,
        known_at=seen,
        identifiers=[],
        traits=more.pop("traits", {}),
        context=more.pop("context", {}),
        properties=more,
    )


def traits(at: str = "1d", /, **told: Any) -> Event:
    """An identify call."""
    return event(type="identify", at=at, traits=told)


def shop() -> Catalog:
    """Shoes that became Sale a day ago, and a hat."""
    catalog = Catalog()
    for item_id, stamp, facts in (
        ("p1", ago("900d"), {"department": "Shoes", "brand": "Acme"}),
        ("p1", ago("1d"), {"department": "Sale"}),
        ("p2", ago("900d"), {"department": "Hats", "colours": ["red", "blue"]}),
    ):
        catalog.put(Item(catalog="products", item_id=item_id, stamp_at=stamp, facts=facts))
    return catalog


def value(
    rule: str,
    *events: Event,
    t: Instant = NOW,
    attributes: Mapping[str, str] | None = None,
    segments: Mapping[str, str] | None = None,
    since: Mapping[str, Instant] | None = None,
    lists: Collection[str] = (),
    first_identifier: str = "user_id:1",
) -> Any:
    """What a rule says of a person with these events at `t`; offsets in the order given."""
    context = Context(
        attributes={name: parse(text) for name, text in (attributes or {}).items()},
        segments={name: parse(text) for name, text in (segments or {}).items()},
        catalog=shop(),
        lists=lists,
        zone=NEW_YORK,
        first_identifier=first_identifier,
        segment_since=lambda name: (since or {}).get(name),
    )
    return interpret(parse(rule), [(Offset(place), each) for place, each in enumerate(events)], t, context)
