"""Random shops' logs, folded by the engine and written to History; the interpreter beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from engine_world import fold, installed
from hypothesis import strategies as st
from strategies import ANCHORS, catalog, events

from mailwright.core.events import (
    PLACES,
    Defined,
    Event,
    Events,
    Identifier,
    Installed,
    Items,
    ListChanged,
    LogRecord,
    Offset,
    Person,
    Tick,
)
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.profiles.identity import IdentityGraph
from mailwright.profiles.lists import ListBook
from mailwright.rules import syntax as s
from mailwright.rules.catalog import Catalog
from mailwright.rules.interpret import Context, interpret
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.past import Past
from mailwright.runtime.project.load import Project, load_project
from mailwright.stores.history_delta import DeltaHistory

SETTINGS = '[project]\nname = "Shop"\ntime_zone = "America/New_York"\n'
SEGMENT = "asked"
RULES = (
    "did 'A'",
    "not did 'A' within 2 days",
    "count of 'A' within 7 days >= 2 or trait t = 'a'",
    "sum of 'A'.x within 1 day > 1",
    "did 'A' then 'B' within 2 days",
    "did 'A' then no 'B' within 1 day",
    "has been in segment base for 2 days",
    "in segment base and not did 'C' within 1 hour",
    "last of 'A'.x = 'a' or time since last 'B' < 12 hours",
    # Not 1, which one A now and one B a half-life ago are to the last digit but one: there either answer is right.
    "score {'A': 1, 'B': 2} half-life 7 days > 1.1",
    "random bucket 'x' < 50% and did any page",
    "did 'A' where any of products (product.department = 'Shoes')",
    "did 'B' today or traffic source = 'google'",
    "everyone",
    "in list vip",
    "in list vip and did 'A' within 7 days or in list staff",
)


def files(rule: str, base: str = "did 'A' within 7 days") -> dict[str, str]:
    """A project with a segment `asked` and one, `base`, that it may ask about."""
    told = {"base": {"title": "Base", "rule": base}, SEGMENT: {"title": "Asked", "rule": rule}}
    return {"mailwright.toml": SETTINGS, "segments.yaml": msgspec.json.encode(told).decode()}


KINDS = st.sampled_from(("user_id", "email", "anonymous_id"))
NAMED = st.lists(st.builds(Identifier, KINDS, st.sampled_from("abc")), min_size=1, max_size=2)


LISTED = st.lists(st.builds("{}:{}".format, KINDS, st.sampled_from("abc")), max_size=3)
LIST_CHANGES = st.builds(
    ListChanged,
    name=st.sampled_from(("vip", "staff")),
    added=LISTED,
    removed=LISTED,
    replaced=st.booleans(),
    source=st.just("test"),
)


@st.composite
def logs(draw: st.DrawFn, rules: Sequence[str] = RULES, *, imports: bool = False) -> list[LogRecord]:
    """Events in order of arrival, late ones and ones of the future; ticks, merges, new definitions, perhaps imports."""
    happened = sorted(
        (event for event in draw(st.lists(events(), min_size=10, max_size=20)) if not event.history),
        key=lambda event: event.received_at,
    )
    at = Instant(min((event.received_at for event in happened), default=ANCHORS[0]) - HOUR)
    items = Items([item for versions in catalog()._versions.values() for item in versions])
    bodies: list[tuple[Instant, Any]] = [(at, Defined(1, files(draw(st.sampled_from(rules))))), (at, items)]
    version = 1
    for event in happened:
        known = msgspec.structs.replace(event, identifiers=draw(NAMED))
        at = max(at, event.received_at)
        bodies.append((at, Events([known])))
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2 | 3 | 4:
                at = Instant(at + draw(st.sampled_from((1, HOUR, DAY))))
                bodies.append((at, Tick()))
            case 5 if not underway(bodies):
                version += 1
                base = draw(st.sampled_from(("did 'A' within 7 days", "did 'B'")))
                bodies.append((at, Defined(version, files(draw(st.sampled_from(rules)), base))))
            case 6 | 7 if (late := underway(bodies)) is not None:
                bodies.append((at, late))
            case 9:
                bodies.append((at, draw(LIST_CHANGES)))
            case 8 if imports:
                bodies.append((at, Events([_imported(event, at, number, draw(NAMED)) for number in range(3)])))
    if (late := underway(bodies)) is not None:
        bodies.append((at, late))
    bodies += [(Instant(at + wait), Tick()) for wait in (HOUR, DAY, 2 * DAY, 8 * DAY)]
    return numbered(bodies)


def numbered(bodies: Sequence[tuple[Instant, Any]]) -> list[LogRecord]:
    """The records of a log."""
    return [LogRecord(number, at, body) for number, (at, body) in enumerate(bodies, 1)]


def underway(bodies: Sequence[tuple[Instant, Any]]) -> Installed | None:
    """The record that would put the newest definition in force, if it is not."""
    if sum(isinstance(body, Defined) for _, body in bodies) < 2:
        return None
    log = numbered(bodies)
    return None if fold(log)[0].underway is None else installed(log)


def _imported(event: Event, at: Instant, number: int, identifiers: list[Identifier]) -> Event:
    stamp = Instant(min(event.stamp_at, at) - number * DAY)
    return msgspec.structs.replace(
        event,
        message_id=f"import {at} {number}",
        stamp_at=stamp,
        known_at=stamp,
        received_at=at,
        history=True,
        identifiers=identifiers,
    )


@contextmanager
def kept(
    log: Sequence[LogRecord], told: tuple[EngineState, Folded] | None = None
) -> Iterator[tuple[Past, EngineState, Folded]]:
    """The log folded (or what it is said to fold to) and written to History."""
    state, folded = told or fold(log)
    with TemporaryDirectory() as folder:
        history = DeltaHistory(Path(folder))
        writer = HistoryWriter(history)
        writer.add(folded, state.upto)
        writer.flush()
        writer.stop()
        yield Past(history), state, folded


@dataclass
class Known:
    """What was known at a place of the log, told by the log itself."""

    identity: IdentityGraph
    events: dict[Person, list[tuple[Offset, Event]]]
    catalog: Catalog
    lists: ListBook
    project: Project


def known(log: Sequence[LogRecord], folded: Folded, upto: Offset, at: Instant, imported: Offset = Offset(0)) -> Known:
    """Events by person as of a tick; with `imported` those of history imports too, people being those of then.

    What is a repeat the engine decides, which forgets ids in time; each accepted event has an id of its own here.
    """
    identity, items, lists = IdentityGraph(), Catalog(), ListBook()
    accepted = {offset for offset, *_ in folded.events}
    took: list[tuple[Offset, Event]] = []
    for record in log:
        within = record.offset <= upto
        if not within and record.offset > imported:
            break
        match record.body:
            case Events(events=told):
                for place, each in enumerate(told):
                    offset = Offset(record.offset + place)
                    if offset in accepted:
                        identity.resolve(each, offset)
                        if within or (each.history and each.known_at <= at):
                            took.append((offset, msgspec.structs.replace(each, message_id=str(offset))))
            case Items(items=versions):
                for item in versions:
                    items.put(item)
            case ListChanged() if within:
                lists.apply(record.body, record.at)
            case _:
                pass
    found: dict[Person, list[tuple[Offset, Event]]] = {}
    for offset, each in took:
        person = identity.number_of(each.identifiers[0])
        assert person is not None
        found.setdefault(person, []).append((offset, each))
    return Known(identity, found, items, lists, load_project({}))


def interpreted(there: Known, node: s.Expression, at: Instant) -> set[Person]:
    """For whom the interpreter says that a rule without `for` holds."""
    return {person for person, happened in there.events.items() if ask(there, node, person, happened, at) is True}


def ask(there: Known, node: s.Expression, person: Person, happened: Sequence[tuple[Offset, Event]], at: Instant) -> Any:
    named = [f"{one.kind}:{one.value}" for one in there.identity.identifiers(person)]
    listed = {name for key in named for name in there.lists.naming(key)}
    context = Context(
        attributes=there.project.expressions,
        segments=there.project.memberships,
        catalog=there.catalog,
        lists=listed,
        zone=there.project.zone,
        first_identifier=there.identity.first_identifier(person),
        segment_since=lambda name: None,
    )
    return interpret(node, happened, at, context)


def last_place(record: LogRecord) -> Offset:
    return Offset(record.offset + PLACES - 1)
