"""Leaves of a rule as aggregates over the events of each moment."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from mailwright.rules import syntax as s
from mailwright.rules.sql.asks import Asks, Source
from mailwright.rules.sql.compare import Comparer, Typed, Unsupported
from mailwright.rules.sql.filters import Filters, refuse_catalog
from mailwright.rules.sql.local import Local
from mailwright.rules.sql.numbers import half_even
from mailwright.rules.sql.paths import Json, Values
from mailwright.rules.sql.trees import (
    E,
    binary,
    call,
    cast,
    choose,
    column,
    every,
    is_known,
    number,
    one_of,
    sure,
    text,
    where,
)

MICRO = 1_000_000


class Leaves:
    """Collects the aggregates that rules ask for, each once; what it returns reads their columns (table ``f``)."""

    def __init__(self, json: Json, asks: Asks, comparer: Comparer, local: Local) -> None:
        self._json = json
        self._filters = Filters(json, asks, comparer)
        self._local = local
        self._comparer = comparer
        self.columns: dict[str, E] = {}
        self._names: dict[str, str] = {}

    # --- events ---

    def rows(self, event: str, condition: s.Expression | None, window: s.Window | None = None) -> E:
        """Which events count: of that name, inside the window, meeting the filter."""
        named = self._filters.named(event)
        return every([named, self._local.inside(window), self._filters.holds(condition, named)])

    def n_events(self, rows: E) -> E:
        """Number of events, 0 of none."""
        return self._column(where(exp.Count(this=exp.Star()), rows), 0)

    def aggregate(self, node: s.Aggregate) -> Typed:
        """See `syntax.Aggregate`."""
        if not node.path:
            return self._of_events(node)
        refuse_catalog(node.path)
        rows = self.rows(node.event, node.where, node.window)
        values = self._json.property(node.path)
        match node.function:
            case "first" | "last":
                return self._end(node, rows, values)
            case "count":
                return self._units(self._summed(rows, values, lambda _: number(1), counted=True))
            case "distinct":
                return self._distinct(node, rows, values)
            case "sum":
                return Typed("units", self._summed(rows, values, self._json.units))
            case "average":
                total = self._summed(rows, values, self._json.units)
                return Typed("units", half_even(self._json.dialect, total, self._n_numbers(rows, values)))
            case "min" | "max":
                return self._extreme(node.function, rows, values)
            case _:
                raise Unsupported("most frequent is not said in SQL")

    def _of_events(self, node: s.Aggregate) -> Typed:
        rows = self.rows(node.event, node.where, node.window)
        match node.function:
            case "count":
                return self._units(self.n_events(rows))
            case "first" | "last":
                name = "min" if node.function == "first" else "max"
                return Typed("instant", self._column(where(call(name, column("stamp", "e")), rows)))
            case _:
                raise Unsupported(f"{node.function} needs a property")

    def time_since(self, node: s.TimeSince) -> Typed:
        """See `syntax.TimeSince`."""
        last = self._column(where(call("max", column("stamp", "e")), self.rows(node.event, node.where)))
        return Typed("duration", binary("-", column("at", "m"), last))

    # --- values of a property ---

    def _per_event(self, rows: E, values: Values, single: Callable[[E], E], several: Callable[[E], E]) -> E:
        """What each event brings: of a value that is no list `single`, of a list of elements `several`."""
        elements = several(self._json.elements(values))
        if values.one is None:
            return choose([(rows, elements)])
        listed = sure(self._json.dialect.is_list(values.one))
        return choose([(every([rows, listed]), elements), (rows, single(values.one))])

    def _summed(self, rows: E, values: Values, worth: Callable[[E], E], *, counted: bool = False) -> E:
        d, json = self._json.dialect, self._json

        def several(elements: E) -> E:
            return d.length(elements) if counted else d.total(d.each(elements, json.fresh(), worth))

        def single(value: E) -> E:
            return choose([(d.known(value), worth(value))], number(0)) if counted else worth(value)

        brought = cast(self._per_event(rows, values, single, several), d.huge)
        return self._column(call("sum", brought), 0)

    def _n_numbers(self, rows: E, values: Values) -> E:
        d, json = self._json.dialect, self._json

        def several(elements: E) -> E:
            return d.length(d.chosen(elements, json.fresh(), lambda each: is_known(json.units(each))))

        def single(value: E) -> E:
            return choose([(is_known(json.units(value)), number(1))], number(0))

        return self._column(call("sum", cast(self._per_event(rows, values, single, several), d.huge)), 0)

    def _extreme(self, function: str, rows: E, values: Values) -> Typed:
        d, json = self._json.dialect, self._json
        best = d.least if function == "min" else d.greatest

        def several(elements: E) -> E:
            return best(d.each(elements, json.fresh(), json.units))

        return Typed("units", self._column(call(function, self._per_event(rows, values, json.units, several))))

    def _distinct(self, node: s.Aggregate, rows: E, values: Values) -> Typed:
        d, json = self._json.dialect, self._json
        elements = json.elements(values)
        source = Source(elements, self._filters.named(node.event))
        keys = d.each(elements, json.fresh(), lambda each: self._comparer.key(Typed("json", each, (source,))))
        found = d.n_distinct(d.flat(d.gathered(keys, rows)))
        return self._units(self._column(found, 0))

    def _end(self, node: s.Aggregate, rows: E, values: Values) -> Typed:
        d = self._json.dialect
        place = 1 if node.function == "first" else -1

        def several(elements: E) -> E:
            return d.at(elements, place)

        def single(value: E) -> E:
            return choose([(d.known(value), value)])

        brought = self._per_event(rows, values, single, several)
        end = d.oldest if node.function == "first" else d.newest
        source = Source(self._json.elements(values), self._filters.named(node.event))
        return Typed("json", self._column(end(brought, exp.true(), *_ORDER)), (source,))

    # --- facts of the person ---

    def trait(self, path: tuple[str, ...]) -> Typed:
        """See `syntax.Trait`."""
        source = Source(self._json.several(self._json.trait(path)), _identify())
        newest = self._json.dialect.newest(trait_written(self._json, path), exp.true(), *_ORDER)
        return Typed("json", self._column(newest), (source,))

    def context(self, path: tuple[str, ...]) -> Typed:
        """See `syntax.ContextFact`."""
        refuse_catalog(path)
        value, source = context_value(self._json, path)
        newest = self._json.dialect.newest(value, exp.true(), *_ORDER)
        return Typed("json", self._column(newest), (source,))

    # --- columns ---

    def _units(self, whole: E) -> Typed:
        return Typed("units", binary("*", cast(whole, self._json.dialect.huge), number(MICRO)))

    def _column(self, aggregate: E, empty: int | None = None) -> E:
        shown = aggregate.sql()
        name = self._names.setdefault(_renamed(shown), f"f{len(self._names) + 1}")
        self.columns.setdefault(name, aggregate)
        found = column(name, "f")
        return found if empty is None else call("coalesce", found, number(empty))


def trait_written(json: Json, path: tuple[str, ...]) -> E:
    """What an event writes of a trait, NULL if nothing; JSON's null removes."""
    return choose([(_identify(), json.trait(path))])


def _identify() -> E:
    return one_of(column("type", "e"), [text("identify")])


def context_value(json: Json, path: tuple[str, ...]) -> tuple[E, Source]:
    """The value that an event's context carries at a path, NULL if none; of several, the first."""
    values = json.context(path)
    if values.one is not None:
        value = choose([(json.dialect.known(values.one), values.one)])
    else:
        value = json.dialect.at(json.as_list(values), 1)
    return value, Source(json.as_list(values), exp.true())


_ORDER = (column("stamp", "e"), column("offset", "e"))


def _renamed(shown: str) -> str:
    """The text of a tree with the names of functions' arguments in order of appearance: equal leaves are equal."""
    names: dict[str, str] = {}
    return re.sub(r"\bv\d+\b", lambda found: names.setdefault(found[0], f"v{len(names)}"), shown)
