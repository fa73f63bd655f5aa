"""The meaning of the rule language: one person's events, one instant, one answer.

Short and plain rather than fast: every other back end is held to what this says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Event, Offset
from mailwright.core.instants import Instant
from mailwright.rules import days, ordered
from mailwright.rules import syntax as s
from mailwright.rules.aggregate import aggregate, last_distinct
from mailwright.rules.catalog import Catalog
from mailwright.rules.values import (
    Duration,
    Moment,
    as_date,
    as_instant,
    between,
    calculated,
    compare,
    constant,
    elements,
    holds,
    in_options,
    local_date,
    names_of,
    paths,
    scaled,
    trait_write,
)
from mailwright.rules.windows import bounds
from mailwright.rules.zones import ZONE, zone_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rule is asked against, beside the person's events.

    Attributes:
        attributes: Declared computed attributes by name.
        segments: Declared segments by name; without cycles, see `check.find_cycle`.
        catalog: Catalog items with their versions.
        lists: Names of the uploaded lists that the person is on.
        zone: The shop's time zone, for people who told none.
        first_identifier: ``kind:value`` of the person's first identifier.
        segment_since: Segment name -> since when the person has been in it without a break, by its evaluations up to t,
            the one at t included; None: is not in it.
        horizon: How late an event may be known and still count in an ordered leaf, in microseconds.
    """

    attributes: Mapping[str, s.Expression]
    segments: Mapping[str, s.Expression]
    catalog: Catalog
    lists: Collection[str]
    zone: tzinfo
    first_identifier: str
    segment_since: Callable[[str], Instant | None]
    horizon: int = ordered.HORIZON


def interpret(node: s.Expression, events: Sequence[tuple[Offset, Event]], t: Instant, context: Context) -> Any:
    """The value of an expression for one person at `t`; of a condition, True or False.

    Args:
        node: Any expression without a bare `Property` outside a filter.
        events: The person's events as known, in any order, repeats included: of one (source, message_id) the one with
            the lowest offset counts, from when both its `known_at` and its stamp are reached.
        t: The instant.
        context: Definitions, catalog, and what is known of the person beside events.

    Returns:
        A run-time value, see `mailwright.rules.values`; None is missing.

    Raises:
        InvalidInput: If an attribute or segment is not declared, or a node cannot stand where it does.
    """
    return _Person(events, t, context).value(node)


class _Person:
    """One person at one instant."""

    def __init__(self, events: Sequence[tuple[Offset, Event]], t: Instant, context: Context) -> None:
        self.t = t
        self.context = context
        self.items = context.catalog.facts
        self.events = sorted(counting(events, t), key=lambda known: (known[1].stamp_at, known[0]))
        self.in_time = [
            (offset, event) for offset, event in self.events if event.known_at - event.stamp_at <= context.horizon
        ]
        self.zone = zone_of(self._trait(ZONE), self._context_fact(ZONE), context.zone).zone
        self.today = local_date(t, self.zone)

    # --- values ---

    def value(self, node: s.Expression) -> Any:
        match node:
            case s.Constant():
                return constant(node)
            case s.Trait(path=path):
                return self._trait(path)
            case s.Attribute(name=name):
                return self.value(_declared(self.context.attributes, name, "attribute"))
            case s.Age():
                birthday = as_date(self._trait(("birthday",)), self.zone)
                return None if birthday is None else days.age_on(birthday, self.today)
            case s.Aggregate():
                return self._aggregate(node)
            case s.TimeSince(event=event, where=where):
                found = self._named(event, where, None)
                return Duration(self.t - found[-1].stamp_at) if found else None
            case s.Score():
                return self._score(node)
            case s.ContextFact(path=path):
                return self._context_fact(path)
            case s.LocalTime(part=part):
                return (days.local_hour if part == "hour" else days.local_weekday)(self.t, self.zone)
            case s.AsTime(kind="date", of=of):
                return as_date(self.value(of), self.zone)
            case s.AsTime(of=of):
                return as_instant(self.value(of))
            case s.Case(rows=rows, otherwise=otherwise):
                chosen = next((value for when, value in rows if self.holds(when)), otherwise)
                return None if chosen is None else self.value(chosen)
            case s.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.value(left), self.value(right))
            case s.LastDistinct() | s.ListOf() | s.Rate() | s.Session():
                return self._ordered_value(node)
            case s.Property():
                raise InvalidInput.one("rule.property", f"{'.'.join(node.path)} is asked outside `where`")
            case _:
                return self._condition(node)

    def _trait(self, path: tuple[str, ...]) -> Any:
        writes = [trait_write(event.traits, path) for _, event in self.events if event.type == "identify"]
        return next((value for written, value in reversed(writes) if written), None)

    def _context_fact(self, path: tuple[str, ...]) -> Any:
        carried = (paths(event.context, path, event.stamp_at, self.items) for _, event in reversed(self.events))
        return next((found[0] for found in carried if found), None)

    def _named(
        self, name: str, where: s.Expression | None, window: s.Window | None, *, in_time: bool = False
    ) -> list[Event]:
        """The events of that name that meet the filter, inside the window, oldest first."""
        after, upto = bounds(window, self.t, self.zone)
        events = [event for _, event in (self.in_time if in_time else self.events) if name in names_of(event)]
        inside = [event for event in events if after < event.stamp_at <= upto]
        return [event for event in inside if holds(where, event, self.items)]

    def _aggregate(self, node: s.Aggregate) -> Any:
        found = self._named(node.event, node.where, node.window)
        if node.path:
            return aggregate(
                node.function, [value for event in found for value in elements(event, node.path, self.items)]
            )
        return aggregate(node.function, [Moment(event.stamp_at) for event in found])

    def _score(self, node: s.Score) -> Any:
        scored = [(Decimal(text), self._named(name, node.where, None)) for name, text in node.points]
        if node.half_life is None:
            total = sum((points * len(events) for points, events in scored), Decimal(0))
            return total if node.scale is None else scaled(total, Decimal(node.scale))
        faded = sum(
            float(points) * 2 ** ((event.stamp_at - self.t) / node.half_life)
            for points, events in scored
            for event in events
        )
        return faded if node.scale is None else float(scaled(Decimal(faded), Decimal(node.scale)))

    def _ordered_value(self, node: s.LastDistinct | s.ListOf | s.Rate | s.Session) -> Any:
        match node:
            case s.ListOf():
                return ordered.list_of(node, self.in_time, self.items)
            case s.Rate():
                return ordered.rate(node, self.in_time, self.items)
            case s.Session():
                return ordered.session(node, self.in_time, self.items)
            case s.LastDistinct(event=name, where=where, window=window):
                found = self._named(name, where, window, in_time=True)
                return last_distinct(
                    [each for event in found for each in elements(event, node.path, self.items)], node.n
                )

    # --- conditions ---

    def holds(self, node: s.Expression) -> bool:
        """Whether a condition is true; a value is a condition that is true when it is the boolean true."""
        return self.value(node) is True

    def _condition(self, node: s.Expression) -> bool:
        match node:
            case s.Always():
                return True
            case s.And(terms=terms):
                return all(self.holds(term) for term in terms)
            case s.Or(terms=terms):
                return any(self.holds(term) for term in terms)
            case s.Not(term=term):
                return not self.holds(term)
            case s.Compare(op=op, left=left, right=right):
                return compare(op, self.value(left), self.value(right), self.zone)
            case s.BetweenValues(value=value, low=low, high=high):
                return between(self.value(value), self.value(low), self.value(high), self.zone)
            case s.In(value=value, options=options):
                return in_options(self.value(value), [constant(option) for option in options], self.zone)
            case s.IsKnown(value=value):
                return self.value(value) is not None
            case s.Did(event=event, where=where, times=times, window=window):
                return len(self._named(event, where, window)) >= times
            case s.Sequence():
                return self._sequence(node)
            case s.InSegment():
                return self._in_segment(node)
            case s.InList(name=name):
                return name in self.context.lists
            case s.Anniversary(of=of, direction=direction, days=reach):
                day = as_date(self.value(of), self.zone)
                return day is not None and days.anniversary_near(day, self.today, direction, reach)
            case s.RandomBucket(salt=salt, percent=percent):
                return bucket(salt, self.context.first_identifier) * 100 < Decimal(percent) * 2**32
            case _:
                raise InvalidInput.one("rule.where", f"{type(node).__name__} can only be asked of an event, in `where`")

    def _sequence(self, node: s.Sequence) -> bool:
        after, upto = bounds(node.window, self.t, self.zone)
        done = ordered.completions(node, self.in_time, self.items)
        return any(after < at <= upto for at in done)

    def _in_segment(self, node: s.InSegment) -> bool:
        inside = self.holds(_declared(self.context.segments, node.name, "segment"))
        if node.for_micros is None or not inside:
            return inside
        since = self.context.segment_since(node.name)
        return since is not None and self.t - since >= node.for_micros


def counting(events: Sequence[tuple[Offset, Event]], t: Instant) -> list[tuple[Offset, Event]]:
    """Each event once, the first that came, as far as it is known and its time has come at `t`."""
    first: dict[tuple[str, str], tuple[Offset, Event]] = {}
    for offset, event in sorted(events, key=lambda each: each[0]):
        first.setdefault((event.source, event.message_id), (offset, event))
    return [(offset, event) for offset, event in first.values() if event.known_at <= t and event.stamp_at <= t]


def _declared(known: Mapping[str, s.Expression], name: str, what: str) -> s.Expression:
    if name not in known:
        raise InvalidInput.one(f"rule.{what}", f"there is no {what} {name!r}", hint=nearest(name, known))
    return known[name]


def bucket(salt: str, first_identifier: str) -> int:
    """The first 32 bits of MD5(salt ':' first identifier), big-endian: the same place for ever for one salt."""
    digest = hashlib.md5(f"{salt}:{first_identifier}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big")
