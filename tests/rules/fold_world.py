"""A small shop's history and the interpreter beside the fold, for the tests of agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.events import Event, Identifier, Item, Offset, Person
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Change, Fold, Rules
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.parse import parse
from mailwright.rules.values import plain

START = parse_iso("2024-02-27T00:00:00Z")
ZONE = ZoneInfo("America/New_York")
LISTS = {"vip": frozenset({"id:0", "id:2"})}


def rules(
    attributes: Mapping[str, str],
    segments: Mapping[str, str],
    conditions: Mapping[str, str] | None = None,
    zone: tzinfo = ZONE,
) -> Rules:
    def parsed(texts: Mapping[str, str]) -> dict[str, Any]:
        return {name: parse(text) for name, text in texts.items()}

    return Rules(
        attributes=parsed(attributes),
        segments=parsed(segments),
        conditions=parsed(conditions or {}),
        zone=zone,
        lists=LISTS,
    )


def shop() -> Catalog:
    catalog = Catalog()
    for stamp, facts in ((START - 400 * DAY, {"department": "Dairy"}), (START + DAY, {"department": "Bakery"})):
        catalog.put(Item(catalog="products", item_id="1", stamp_at=Instant(stamp), facts=facts))
    catalog.put(Item(catalog="products", item_id="2", stamp_at=Instant(0), facts={"department": "Meat"}))
    return catalog


def event(number: int, name: str = "A", *, stamp: int, known: int | None = None, **more: Any) -> Event:
    known = stamp if known is None else known
    return Event(
        message_id=str(number),
        source="web",
        type=more.pop("type", "track"),
        name=name,
        stamp_at=Instant(stamp),
        received_at=Instant(known),
        known_at=Instant(known),
        identifiers=[Identifier("id", "x")],
        **more,
    )


def identifiers(n: int) -> list[str]:
    return [f"id:{number}" for number in range(n)]


@dataclass
class Oracle:
    """What the interpreter says at each tick of the same story."""

    rules: Rules
    catalog: Catalog
    order: Sequence[str]
    events: dict[int, list[tuple[Offset, Event]]] = field(default_factory=dict)
    since: dict[tuple[int, str], Instant | None] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def ingest(self, arrivals: Sequence[Arrival]) -> None:
        for offset, person, happened in arrivals:
            self.events.setdefault(person, []).append((offset, happened))

    def merge(self, into: int, gone: int) -> None:
        self.events.setdefault(into, []).extend(self.events.pop(gone, []))
        self.gone.add(gone)
        for name in self.order:
            mine, theirs = self.since.get((into, name)), self.since.get((gone, name))
            if mine is not None and theirs is not None:
                self.since[into, name] = min(mine, theirs)

    def context(self, person: int) -> Context:
        return Context(
            attributes=self.rules.attributes,
            segments=self.rules.segments,
            catalog=self.catalog,
            lists=[name for name, listed in self.rules.lists.items() if f"id:{person}" in listed],
            zone=self.rules.zone,
            first_identifier=f"id:{person}",
            segment_since=lambda name: self.since.get((person, name)),
        )

    def ask(self, node: Any, person: int, t: Instant) -> Any:
        return interpret(node, self.events.get(person, []), t, self.context(person))

    def tick(self, t: Instant, n: int) -> list[tuple[int, str, bool]]:
        changes = []
        for person in range(n):
            for name in self.order:
                inside = person not in self.gone and self.ask(self.rules.segments[name], person, t) is True
                if inside != (self.since.get((person, name)) is not None):
                    self.since[person, name] = t if inside else None
                    changes.append((person, name, inside))
        return changes

    def attributes(self, name: str, n: int, t: Instant) -> list[Any]:
        return [plain(self.ask(self.rules.attributes[name], person, t)) for person in range(n)]


def told(changes: Sequence[Change]) -> list[tuple[int, str, bool]]:
    return [(change.person, change.segment, change.entered) for change in changes]


def numbered(fold: Fold, events: Sequence[tuple[int, Event]], first: int) -> list[Arrival]:
    return [Arrival(Offset(first + place), Person(person), each) for place, (person, each) in enumerate(events)]
