"""What differs between engines: JSON, lists and a few functions. All other modules build trees from these alone.

A *JSON value* here is what the engine extracts from JSON text: the type JSON in DuckDB, VARIANT in Spark. It is NULL
where nothing is, and may be JSON's own null, which `known` tells apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from mailwright.rules.sql.trees import (
    E,
    call,
    cast,
    choose,
    column,
    function_of,
    joined,
    negated,
    null,
    number,
    one_of,
    sure,
    text,
    where,
)

DEEPEST = 3
"""Lists inside lists that a path goes through; an event with deeper ones stops the query rather than be misread."""


class DuckDB:
    """DuckDB's own words; the base of the other dialects."""

    name = "duckdb"
    huge = "HUGEINT"
    _json = "JSON"

    # --- JSON ---

    def document(self, stored: E) -> E:
        """JSON text of a History column as a JSON value."""
        return stored

    def get(self, value: E, key: str) -> E:
        """What an object has under `key`; of anything else, only of an array, it may be wrong: ask `is_object`."""
        return call("json_extract", value, text("/" + key.replace("~", "~0").replace("/", "~1")))

    def _type(self, value: E) -> E:
        return call("json_type", value)

    def is_text(self, value: E) -> E:
        """Whether a JSON value is text; may be NULL for a missing one, like all of these."""
        return one_of(self._type(value), [text("VARCHAR")])

    def is_number(self, value: E) -> E:
        """Whether it is a number."""
        return one_of(self._type(value), [text(kind) for kind in ("BIGINT", "UBIGINT", "DOUBLE", "HUGEINT")])

    def is_boolean(self, value: E) -> E:
        """Whether it is true or false."""
        return one_of(self._type(value), [text("BOOLEAN")])

    def is_list(self, value: E) -> E:
        """Whether it is a list."""
        return one_of(self._type(value), [text("ARRAY")])

    def is_object(self, value: E) -> E:
        """Whether it is an object."""
        return one_of(self._type(value), [text("OBJECT")])

    def known(self, value: E) -> E:
        """Whether it is there and not null; never NULL itself."""
        return sure(negated(one_of(self._type(value), [text("NULL")])))

    def text_of(self, value: E) -> E:
        """The characters of a JSON text."""
        return call("json_extract_string", value, text("$"))

    def raw(self, value: E) -> E:
        """JSON text of a JSON value."""
        return cast(value, "VARCHAR")

    def items(self, value: E) -> E:
        """The elements of a JSON list."""
        return call("json_extract", value, text("$[*]"))

    def packed(self, values: E) -> E:
        """A JSON list of JSON values."""
        return call("to_json", values)

    def true_or_false(self, condition: E) -> E:
        """A condition as a JSON value."""
        return cast(choose([(condition, text("true"))], text("false")), self._json)

    # --- lists ---

    def list_of(self, *values: E) -> E:
        """A list of JSON values."""
        return cast(call("list_value", *values), f"{self._json}[]")

    def each(self, values: E, name: str, body: Callable[[E], E]) -> E:
        """A list of what `body` makes of each element."""
        return call("list_transform", values, function_of(name, body(column(name))))

    def chosen(self, values: E, name: str, condition: Callable[[E], E]) -> E:
        """The elements that meet a condition."""
        return call("list_filter", values, function_of(name, condition(column(name))))

    def flat(self, lists: E) -> E:
        """One list of a list of lists."""
        return call("flatten", lists)

    def length(self, values: E) -> E:
        """Number of elements."""
        return call("len", values)

    def at(self, values: E, place: int) -> E:
        """The element at 1-based `place`, NULL if there is none; -1 is the last."""
        return call("list_extract", values, number(place))

    def total(self, values: E) -> E:
        """The sum of a list of whole numbers, NULL ones skipped."""
        return call("list_sum", values)

    def least(self, values: E) -> E:
        """The smallest element."""
        return call("list_min", values)

    def greatest(self, values: E) -> E:
        """The greatest element."""
        return call("list_max", values)

    def n_distinct(self, values: E) -> E:
        """Number of distinct elements, NULL not counted."""
        return call("list_unique", values)

    def contains(self, values: E, value: E) -> E:
        """Whether a list has an element."""
        return call("list_contains", values, value)

    def place_of(self, values: E, value: E) -> E:
        """1-based place of an element."""
        return call("list_position", values, value)

    def rows_of(self, values: E) -> E:
        """One row per element, in the list of a SELECT."""
        return call("unnest", values)

    def texts(self, parameter: E) -> E:
        """A bound list, told to be one of texts: an empty one has no type of its own."""
        return cast(parameter, "VARCHAR[]")

    def whole_numbers(self, parameter: E) -> E:
        """A bound list of 64-bit numbers."""
        return cast(parameter, "BIGINT[]")

    # --- rows ---

    def table_of(self, columns: Mapping[str, E]) -> exp.Select:
        """A relation of bound lists of one length, a column each."""
        return exp.select(*(exp.alias_(self.rows_of(values), name, quoted=True) for name, values in columns.items()))

    def gathered(self, value: E, condition: E) -> E:
        """A list of all rows' values."""
        return where(call("list", value), condition)

    def newest(self, value: E, condition: E, *order: E) -> E:
        """The value, among those that are not NULL, of the row with the greatest `order`."""
        return where(call("arg_max", value, self._row(*order)), condition)

    def oldest(self, value: E, condition: E, *order: E) -> E:
        """The value, among those that are not NULL, of the row with the least `order`."""
        return where(call("arg_min", value, self._row(*order)), condition)

    def _row(self, *parts: E) -> E:
        return call("row", *parts)

    # --- text and numbers ---

    def micros(self, stamp: E) -> E:
        """Microseconds since 1970 of a History instant."""
        return call("epoch_us", stamp)

    def stop(self, reason: str, reference: E) -> E:
        """End the query with an error; `reference` only keeps the engine from doing so before any row asks for it."""
        return call("error", joined(text(reason), call("left", self.raw(reference), number(0))))

    def without_leading(self, value: E, character: str) -> E:
        """A text without the characters at its beginning that are `character`."""
        return exp.Trim(this=value.copy(), expression=text(character), position="LEADING")

    def without_trailing(self, value: E, character: str) -> E:
        """The same at its end."""
        return exp.Trim(this=value.copy(), expression=text(character), position="TRAILING")

    def no_values(self) -> E:
        """The empty list of JSON values."""
        return self.list_of()

    def missing(self) -> E:
        """NULL where a JSON value is meant."""
        return cast(null(), self._json)
