"""Properties of events by path. The one place that knows how History holds them: JSON text.

What `values.paths` says, as trees: a list on the way means each of its elements, a list at the end is one value, what
is missing or null is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from mailwright.rules.sql.dialects import DEEPEST, DuckDB
from mailwright.rules.sql.numbers import micro_units, number_key
from mailwright.rules.sql.trees import E, binary, call, choose, column, either, is_null, joined, number, sure, text

_TOO_DEEP = "a list of lists of lists of lists is too deep for rules in SQL"


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a path gives: `one` JSON value (NULL or null: none), or a list of `many`, all of them known."""

    one: E | None = None
    many: E | None = None


class Json:
    """JSON values and paths in one dialect."""

    def __init__(self, dialect: DuckDB) -> None:
        self.dialect = dialect
        self._names = count(1)

    def fresh(self) -> str:
        """A name for a function's argument that no other has."""
        return f"v{next(self._names)}"

    def property(self, path: tuple[str, ...]) -> Values:
        """The values of an event's property in the columns of `relations.EVENTS`."""
        if path[:1] == ("context",):
            return self.context(path[1:])
        return self.below_object(self.dialect.document(column("properties", "e")), path)

    def context(self, path: tuple[str, ...]) -> Values:
        """The values of a path in an event's context."""
        stored = column("context", "e")
        # An empty object is kept as NULL, but is an object.
        return self.below_object(self.dialect.document(stored if path else call("coalesce", stored, text("{}"))), path)

    def trait(self, path: tuple[str, ...]) -> E:
        """What `values.trait_write` gives of an event's traits: NULL if it writes none, JSON's null if it removes."""
        return self._written(self.dialect.get(self.dialect.document(column("traits", "e")), path[0]), path[1:])

    def _written(self, value: E, path: tuple[str, ...]) -> E:
        if not path:
            return value
        d = self.dialect
        through = d.packed(self._through(value, path, DEEPEST))
        return choose(
            [
                (is_null(value), d.missing()),
                (d.is_object(value), self._written(d.get(value, path[0]), path[1:])),
                (d.is_list(value), through),
            ],
            d.document(text("null")),
        )

    def below_object(self, value: E, path: tuple[str, ...]) -> Values:
        """The values at `path` below what is an object or NULL."""
        if not path:
            return Values(one=value)
        first = self.dialect.get(value, path[0])
        return Values(one=first) if len(path) == 1 else Values(many=self._below(first, path[1:], DEEPEST))

    def below(self, value: E, path: tuple[str, ...]) -> Values:
        """The values at `path` below any JSON value."""
        return Values(many=self._below(value, path, DEEPEST)) if path else Values(one=value)

    def _below(self, value: E, path: tuple[str, ...], depth: int) -> E:
        d = self.dialect
        found = d.get(value, path[0])
        inside = self.several(found) if len(path) == 1 else self._below(found, path[1:], DEEPEST)
        return choose(
            [(d.is_object(value), inside), (d.is_list(value), self._through(value, path, depth))], d.no_values()
        )

    def _through(self, value: E, path: tuple[str, ...], depth: int) -> E:
        d = self.dialect
        if not depth:
            return d.stop(_TOO_DEEP, value)
        return d.flat(d.each(d.items(value), self.fresh(), lambda each: self._below(each, path, depth - 1)))

    def several(self, value: E) -> E:
        """A list of the value, or of nothing."""
        d = self.dialect
        return choose([(d.known(value), d.list_of(value))], d.no_values())

    def as_list(self, values: Values) -> E:
        """A list of all values."""
        if values.one is not None:
            return self.several(values.one)
        assert values.many is not None  # noqa: S101 - it is one of the two
        return values.many

    def elements(self, values: Values) -> E:
        """What `values.elements` gives: lists taken apart, also lists in lists, null left out."""
        if values.one is not None:
            return self._flat(values.one, DEEPEST)
        d = self.dialect
        return d.flat(d.each(self.as_list(values), self.fresh(), lambda each: self._flat(each, DEEPEST)))

    def _flat(self, value: E, depth: int) -> E:
        d = self.dialect
        inside = (
            d.flat(d.each(d.items(value), self.fresh(), lambda each: self._flat(each, depth - 1)))
            if depth
            else d.stop(_TOO_DEEP, value)
        )
        return choose([(d.is_list(value), inside), (d.known(value), d.list_of(value))], d.no_values())

    def parts(self, values: Values) -> E:
        """What ``any of`` asks: lists at the end taken apart by one level, null left out."""
        d = self.dialect

        def one_level(value: E) -> E:
            known = d.chosen(d.items(value), self.fresh(), d.known)
            return choose([(d.is_list(value), known)], self.several(value))

        if values.one is not None:
            return one_level(values.one)
        return d.flat(d.each(self.as_list(values), self.fresh(), one_level))

    def exists(self, values: Values, condition: Callable[[E], E]) -> E:
        """Whether any value meets a condition; the condition must be NULL or false of null."""
        if values.one is not None:
            return sure(condition(values.one))
        return self.exists_in(self.as_list(values), condition)

    def exists_in(self, values: E, condition: Callable[[E], E]) -> E:
        """Whether any element of a list meets a condition."""
        met = self.dialect.chosen(values, self.fresh(), lambda each: sure(condition(each)))
        return sure(binary(">", self.dialect.length(met), number(0)))

    # --- what a JSON value is worth ---

    def number_key(self, value: E) -> E:
        """The key of a JSON number."""
        return number_key(self.dialect, self.dialect.raw(value))

    def units(self, value: E) -> E:
        """Micro-units of a JSON value, NULL if it is no number or leaves 64 bits."""
        d = self.dialect
        return choose([(d.is_number(value), micro_units(d, d.raw(value)))])

    def key(self, value: E, canon: Callable[[E], E]) -> E:
        """A text that equal values share and no others: a letter for the type, then the value; NULL of null.

        `canon` gives such a text for the JSON text of a list or an object. Numbers and texts are also in order.
        """
        d = self.dialect
        raw = d.raw(value)
        return choose(
            [
                (d.is_text(value), joined(text("s"), d.text_of(value))),
                (d.is_number(value), joined(text("n"), self.number_key(value))),
                (d.is_boolean(value), joined(text("b"), raw)),
                (d.is_list(value), joined(text("l"), canon(raw))),
                (d.is_object(value), joined(text("o"), canon(raw))),
            ]
        )

    def is_nested(self, value: E) -> E:
        """Whether a JSON value is a list or an object."""
        return either([self.dialect.is_list(value), self.dialect.is_object(value)])
