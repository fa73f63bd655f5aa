"""Readers for every node of the language, over stores that equal leaves share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Literal

import msgspec

from mailwright.core.errors import UnsupportedRule
from mailwright.rules import syntax as s
from mailwright.rules.fold import calculations, conditions, dates, leaves, timelines
from mailwright.rules.fold.asked import Asked
from mailwright.rules.fold.cells import MIRRORED, Cells, Loose, Operator, forever
from mailwright.rules.fold.feeds import ANY, Source
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.plan import Outline, properties_read, what_is_read
from mailwright.rules.fold.rows import Dictionary
from mailwright.rules.fold.runs import FOREVER
from mailwright.rules.fold.supply import Supply
from mailwright.rules.fold.zones import SOURCES, Zones
from mailwright.rules.ordered import HORIZON
from mailwright.rules.values import ItemLookup, constant, from_micro_units, to_micro_units

_NUMERIC = ("sum", "average", "min", "max")
_COUNTED = ("count", "sum", "average")


class Compiler:
    """Makes one reader per distinct expression; asks the stores for what it needs as it goes."""

    def __init__(self, outline: Outline, stores: Supply, longest: Mapping[bytes, int], items: ItemLookup) -> None:
        self._items = items
        self._outline = outline
        self._stores = stores
        self._longest = longest
        self._readers: dict[str, Reader] = {}
        self._asked: dict[str, Asked] = {}

    def reader(self, node: s.Expression) -> Reader:
        """A reader that keeps its result for the frame."""
        if isinstance(node, s.Attribute):
            return self.reader(self._outline.attribute(node.name))
        key = s.key(node)
        if key not in self._readers:
            above, self._stores.asked = self._stores.asked, Asked()
            self._readers[key] = _remembered(key, self._make(node))
            self._asked[key], self._stores.asked = self._stores.asked, above
        self._stores.asked.add(self._asked[key])
        return self._readers[key]

    def asked_by(self, node: s.Expression) -> Asked:
        """What `node` reads."""
        self.reader(node)
        while isinstance(node, s.Attribute):
            node = self._outline.attribute(node.name)
        return self._asked[s.key(node)]

    def zones(self, shop: tzinfo) -> Zones:
        """People's time zones; `shop` is that of people who told none."""
        return Zones(
            shop,
            {name: (self._stores.end(source, True), self._stores.words(source)) for name, source in SOURCES.items()},
        )

    def _make(self, node: s.Expression) -> Reader:
        match node:
            case s.And(terms=terms):
                return conditions.every([self.reader(term) for term in terms])
            case s.Or(terms=terms):
                return conditions.negated(conditions.every([conditions.negated(self.reader(term)) for term in terms]))
            case s.Not(term=term):
                return conditions.negated(self.reader(term))
            case s.Always():
                return conditions.everyone
            case s.Compare() | s.BetweenValues() | s.In() | s.IsKnown():
                return self._comparison(node)
            case s.InSegment():
                self._stores.asked.segments.add(node.name)
                return conditions.in_segment(node)
            case s.RandomBucket():
                return conditions.random_bucket(node)
            case _:
                return self._value(node)

    def _comparison(self, node: s.Compare | s.BetweenValues | s.In | s.IsKnown) -> Reader:
        match node:
            case s.Compare(op=op, left=left, right=s.Constant() as right):
                return conditions.compared(op, self.reader(left), constant(right))
            case s.Compare(op=op, left=s.Constant() as left, right=right) if op in MIRRORED:
                return conditions.compared(MIRRORED[op], self.reader(right), constant(left))
            case s.Compare(op=op, left=left, right=right):
                return conditions.compared_pairs(op, self.reader(left), self.reader(right))
            case s.BetweenValues(value=value, low=s.Constant() as low, high=s.Constant() as high):
                subject = self.reader(value)
                bounds: tuple[tuple[Operator, Any], ...] = ((">=", constant(low)), ("<=", constant(high)))
                return conditions.every([conditions.compared(op, subject, bound) for op, bound in bounds])
            case s.BetweenValues(value=value, low=low, high=high):
                return conditions.within(self.reader(value), self.reader(low), self.reader(high))
            case s.In(value=value, options=options):
                return conditions.one_of(self.reader(value), [constant(option) for option in options])
            case s.IsKnown(value=value):
                return conditions.known(self.reader(value))

    def _value(self, node: s.Expression) -> Reader:
        match node:
            case s.Constant():
                return _fixed(constant(node))
            case s.Trait(path=path):
                return self._newest(Source(kind="trait", path=path))
            case s.ContextFact(path=path):
                return self._newest(Source(kind="context", path=path))
            case s.Did():
                count = self._count(node)
                return conditions.compared(">=", count, Decimal(node.times))
            case s.Aggregate():
                return self._aggregate(node)
            case s.TimeSince(event=event, where=where):
                return leaves.time_since(self._stores.end(Source(kind="event", names=(event,), where=where), True))
            case s.LastDistinct():
                return self._last_distinct(node)
            case s.Score():
                return self._score(node)
            case s.Case():
                return self._case(node)
            case s.Arithmetic(op=op, left=left, right=right):
                return calculations.arithmetic(op, self.reader(left), self.reader(right))
            case s.ListOf() | s.Rate() | s.Session() | s.Sequence():
                return self._ordered(node)
            case s.Age() | s.Anniversary() | s.AsTime() | s.LocalTime():
                return self._calendar(node)
            case s.InList(name=name):
                self._stores.asked.lists.add(name)
                return conditions.in_list(name)
            case _:
                raise UnsupportedRule.one("rule.fold", f"{type(node).__name__} is not kept live")

    def _newest(self, source: Source) -> Reader:
        return leaves.end_value(self._stores.end(source, True), self._stores.words(source))

    def _count(self, node: s.Did | s.Aggregate) -> Reader:
        return self._counted(node, Source(kind="event", names=(node.event,), where=node.where), "count")

    def _counted(self, node: s.Did | s.Aggregate, source: Source, function: str) -> Reader:
        match node.window:
            case None:
                return leaves.total(self._stores.totals(source), function)
            case s.Within(micros=micros):
                longest = self._longest[what_is_read(node)]
                return leaves.total(self._stores.windowed(source, micros, longest), function)
            case _:
                return leaves.windowed(self._stores.ledger(source, FOREVER, FOREVER), None, node)

    def _aggregate(self, node: s.Aggregate) -> Reader:
        if node.function == "count" and not node.path:
            return self._count(node)
        if node.function in ("first", "last") and not node.path:
            source = Source(kind="event", names=(node.event,), where=node.where)
        else:
            source = Source(kind=_kind(node), names=(node.event,), where=node.where, path=node.path)
        if node.function in _COUNTED:
            return self._counted(node, source, node.function)
        return self._windowed(node, source) if node.window else self._ever(node, source)

    def _ever(self, node: s.Aggregate, source: Source) -> Reader:
        match node.function:
            case "min" | "max":
                return leaves.extreme(self._stores.extreme(source, node.function == "max"))
            case "first" | "last":
                end = self._stores.end(source, node.function == "last")
                return leaves.end_value(end, self._stores.words(source)) if node.path else leaves.end_stamp(end)
            case _:
                return leaves.tallied(self._stores.tally(source), self._words(source), node.function)

    def _windowed(self, node: s.Aggregate | s.LastDistinct, source: Source) -> Reader:
        if isinstance(node.window, s.Within):
            ledger = self._stores.ledger(source, node.window.micros, self._longest[what_is_read(node)])
        else:
            ledger = self._stores.ledger(source, FOREVER, FOREVER)
        return leaves.windowed(ledger, self._words(source), node)

    def _words(self, source: Source) -> Dictionary | None:
        return self._stores.words(source) if source.kind == "value" else None

    def _last_distinct(self, node: s.LastDistinct) -> Reader:
        source = Source(kind="value", names=(node.event,), where=node.where, path=node.path, lateness=HORIZON)
        if node.window:
            return self._windowed(node, source)
        return leaves.last_values(self._stores.tally(source), self._stores.words(source), node.n)

    def _ordered(self, node: s.ListOf | s.Rate | s.Session | s.Sequence) -> Reader:
        # Sequences that differ in the window alone share their state.
        bare = msgspec.structs.replace(node, window=None) if isinstance(node, s.Sequence) else node
        source = Source(kind="kept", names=_names(node), reads=_reads(node), lateness=HORIZON)
        kept = self._stores.kept(source, bare, self._items)
        return timelines.sequence(node, kept) if isinstance(node, s.Sequence) else timelines.told(kept)

    def _calendar(self, node: s.Age | s.Anniversary | s.AsTime | s.LocalTime) -> Reader:
        match node:
            case s.Age():
                return dates.age(self.reader(s.Trait(path=("birthday",))))
            case s.Anniversary(of=of):
                return dates.anniversary(node, self.reader(of))
            case s.AsTime(of=of, kind=kind):
                return dates.as_time(kind, self.reader(of))
            case s.LocalTime(part=part):
                return dates.local_time(part)

    def _score(self, node: s.Score) -> Reader:
        points = _points(node)
        source = Source(kind="points", names=tuple(sorted(points)), points=tuple(points.items()), where=node.where)
        if node.half_life is not None:
            scale = None if node.scale is None else float(node.scale)
            return leaves.fading(self._stores.decayed(source, node.half_life), scale)
        plain = leaves.total(self._stores.totals(source), "sum")
        return plain if node.scale is None else leaves.scaled_sum(plain, Decimal(node.scale))

    def _case(self, node: s.Case) -> Reader:
        rows = [(self.reader(when), self.reader(value)) for when, value in node.rows]
        return leaves.case(rows, None if node.otherwise is None else self.reader(node.otherwise))


def _kind(node: s.Aggregate) -> Literal["number", "each", "stamp", "value"]:
    if node.function in _NUMERIC:
        return "number"
    if node.function == "count":
        return "each"
    return "value" if node.path else "stamp"


def _points(node: s.Score) -> dict[str, int]:
    """Micro-units by event name; a name that is given twice counts twice."""
    points: dict[str, int] = {}
    for name, text in node.points:
        units = to_micro_units(Decimal(text))
        if units is None or from_micro_units(units) != Decimal(text):
            hint = "write points with at most six decimals"
            raise UnsupportedRule.one("rule.fold", f"{text} points for {name!r} are no whole micro-units", hint=hint)
        points[name] = points.get(name, 0) + units
    return dict(sorted(points.items()))


def _names(node: s.ListOf | s.Rate | s.Session | s.Sequence) -> tuple[str, ...]:
    match node:
        case s.ListOf():
            names = {node.add, node.remove, node.clear}
        case s.Rate():
            names = {node.hit, node.of}
        case s.Session():
            names = {ANY}
        case s.Sequence(steps=steps):
            names = {step.event for step in steps}
    return tuple(sorted(name for name in names if name is not None))


def _reads(node: s.ListOf | s.Rate | s.Session | s.Sequence) -> tuple[str, ...]:
    if isinstance(node, s.Session):
        return ("context/device", "context/traffic_source") if node.fact in ("device", "source") else ()
    return tuple(sorted(properties_read(node)))


def _remembered(key: str, make: Reader) -> Reader:
    def read(frame: Frame) -> Cells:
        cells = frame.memo.get(key)
        if cells is None:
            cells = frame.memo[key] = make(frame)
        return cells

    return read


def _fixed(value: Any) -> Reader:
    return lambda frame: Loose([value] * len(frame), forever(len(frame)))
