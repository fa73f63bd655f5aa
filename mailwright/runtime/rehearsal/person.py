"""Why one person was in a segment, or a rule held for them, at an instant of the past."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mailwright.core.errors import NotFound
from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.identifier_key import identifier_key
from mailwright.profiles.identity import key_of
from mailwright.rules.fold import Change
from mailwright.rules.interpret import Context
from mailwright.rules.why import Why, explain
from mailwright.runtime.graphs import NOBODY, Graph
from mailwright.runtime.past import AsOf, Past
from mailwright.runtime.rehearsal.asof import Moment, ticks_to
from mailwright.runtime.rehearsal.replay import InForce, Replay
from mailwright.runtime.rehearsal.scope import asks_since


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonWhy:
    """A rule taken apart for one person.

    Attributes:
        person: The number as known then.
        first_identifier: ``kind:value``.
    """

    moment: Moment
    person: Person
    first_identifier: str
    why: Why


def person_then(past: Past, asked: Identifier | Person, moment: Moment) -> tuple[Person, str]:
    """The person that an identifier, or a number, stood for, and their first identifier.

    Raises:
        NotFound: ``person.unknown``, if nobody had it then.
    """
    graph = _graph(past, moment)
    if isinstance(asked, Identifier):
        number = int(graph.persons_of(np.array([identifier_key(key_of(asked))]))[0])
    else:
        number = int(graph.current[asked]) if 0 <= asked < graph.n_persons else NOBODY
    if number == NOBODY:
        named = asked.kind if isinstance(asked, Identifier) else f"#{asked}"
        raise NotFound("person.unknown", f"nobody was known by this {named} then", "look the person up on the pages")
    return Person(number), graph.first_identifiers()[number]


def explain_person(
    past: Past, moment: Moment, versions: list[InForce], key: str, asked: Identifier | Person, *, n: int = 5
) -> PersonWhy:
    """Take the segment `key` of the newest of `versions` apart for one person.

    Args:
        past: What happened.
        moment: When.
        versions: Definitions up to then, see `asof.versions_of`.
        key: The segment.
        asked: Who.
        n: Events to name behind each leaf, at most.

    Raises:
        NotFound: ``person.unknown``.
    """
    person, first_identifier = person_then(past, asked, moment)
    rules = versions[-1].rules
    since = _since(past, moment, versions, person)
    lists = {**rules.lists, **past.lists_at(moment.tick.offset, past.graph_at(_graph_offset(moment)))}
    context = Context(
        attributes=rules.attributes,
        segments=rules.segments,
        catalog=past.catalog_at(_graph_offset(moment)),
        lists=[name for name, listed in lists.items() if first_identifier in listed],
        zone=rules.zone,
        first_identifier=first_identifier,
        segment_since=since.get,
    )
    told = AsOf(
        at=moment.tick.at,
        offset=moment.tick.offset,
        graph_offset=_graph_offset(moment),
        reconstructed=moment.reconstructed,
    )
    events = [(each.offset, each.event) for each in past.arrivals_as_of(told, np.array([person]))]
    return PersonWhy(
        moment=moment,
        person=person,
        first_identifier=first_identifier,
        why=explain(rules.segments[key], events, moment.tick.at, context, n=n),
    )


def _graph_offset(moment: Moment) -> Offset:
    return moment.imported or moment.tick.offset


def _graph(past: Past, moment: Moment) -> Graph:
    return past.graph_at(_graph_offset(moment))


def _since(past: Past, moment: Moment, versions: list[InForce], person: Person) -> dict[str, Instant]:
    """Since when the person has been in each segment, by a replay of every tick; empty if no rule asks."""
    if not any(asks_since(version.rules) for version in versions):
        return {}
    into = {merge.gone: merge.into for merge in past.merges(moment.imported, moment.tick.offset)}
    mine = {number for number in (person, *into) if _end(into, number) == person}
    found: dict[tuple[str, Person], Instant] = {}
    replay = Replay(past, versions, moment.tick.offset, imported=moment.imported)
    for tick in ticks_to(past, moment):
        _follow(found, into, tick.at, (change for change in replay.evaluate(tick) if change.person in mine))
    return {segment: at for (segment, number), at in found.items() if number == person}


def _follow(
    found: dict[tuple[str, Person], Instant], into: dict[Person, Person], at: Instant, changes: Iterable[Change]
) -> None:
    changes = list(changes)
    for change in changes:
        if not change.entered:
            before = found.pop((change.segment, change.person), at)
            survivor = (change.segment, into.get(change.person, Person(NOBODY)))
            if survivor in found:  # two members who turn out to be one have been in since the first of them
                found[survivor] = min(found[survivor], before)
    for change in changes:
        if change.entered:
            found[change.segment, change.person] = at


def _end(into: dict[Person, Person], number: Person) -> Person:
    while number in into:
        number = into[number]
    return number
