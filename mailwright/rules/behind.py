"""The events behind a leaf: those that its event names, its filter and its window select."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from mailwright.core.events import Event, Offset
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.interpret import Context, counting, interpret
from mailwright.rules.values import holds, names_of, paths, trait_write
from mailwright.rules.windows import bounds
from mailwright.rules.zones import ZONE, zone_of

Known = tuple[Offset, Event]


class _Read(NamedTuple):
    """Events by name that a leaf reads."""

    names: Sequence[str]
    where: s.Expression | None = None


def behind(node: s.Expression, events: Sequence[Known], t: Instant, context: Context) -> list[Known]:
    """The events that a leaf's value at `t` comes from, oldest first; none for a node that is no leaf of events.

    Of a trait or a fact of the context it is the event that told it last.

    Args:
        node: One node; what is below it is not asked, but for the trait that an age comes from.
        events: As for `interpret`.
        t: The instant.
        context: As for `interpret`.
    """
    known = sorted(counting(events, t), key=lambda each: (each[1].stamp_at, each[0]))
    match node:
        case s.Trait(path=path):
            return [each for each in known if each[1].type == "identify" and trait_write(each[1].traits, path)[0]][-1:]
        case s.Age():
            return behind(s.Trait(path=("birthday",)), events, t, context)
        case s.ContextFact(path=path):
            items = context.catalog.facts
            return [each for each in known if paths(each[1].context, path, each[1].stamp_at, items)][-1:]
        case s.Session():
            of_session = ("track", "page", "screen")
            return [each for each in _in_time(known, context) if each[1].type in of_session]
    zone = _zone(events, t, context)
    after, upto = bounds(getattr(node, "window", None) if not isinstance(node, s.Sequence) else None, t, zone)
    ordered = isinstance(node, s.LastDistinct | s.ListOf | s.Rate | s.Sequence)
    inside = [each for each in known if after < each[1].stamp_at <= upto]
    read = _reads(node)
    return [
        each
        for each in (_in_time(inside, context) if ordered else inside)
        if any(
            not set(names_of(each[1])).isdisjoint(names) and holds(where, each[1], context.catalog.facts)
            for names, where in read
        )
    ]


def _reads(node: s.Expression) -> list[_Read]:
    match node:
        case s.Did() | s.Aggregate() | s.TimeSince() | s.LastDistinct():
            return [_Read([node.event], node.where)]
        case s.Score():
            return [_Read([name for name, _ in node.points], node.where)]
        case s.ListOf(add=add, remove=remove, clear=clear):
            return [_Read([name for name in (add, remove, clear) if name])]
        case s.Rate(hit=hit, of=of, where=where):
            return [_Read([of]), _Read([hit], where)]
        case s.Sequence(steps=steps):
            return [_Read([step.event], step.where) for step in steps]
        case _:
            return []


def _in_time(known: Sequence[Known], context: Context) -> list[Known]:
    return [each for each in known if each[1].known_at - each[1].stamp_at <= context.horizon]


def _zone(events: Sequence[Known], t: Instant, context: Context) -> tzinfo:
    said, seen = (interpret(node(path=ZONE), events, t, context) for node in (s.Trait, s.ContextFact))
    return zone_of(said, seen, context.zone).zone
