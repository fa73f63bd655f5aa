"""Spark's words for what `dialects.DuckDB` says, and the choice of a dialect."""

# ruff: noqa: D102 - every method is documented where it is said first

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from mailwright.core.errors import InvalidInput, nearest
from mailwright.rules.sql.dialects import DuckDB
from mailwright.rules.sql.trees import (
    E,
    binary,
    call,
    cast,
    column,
    every,
    function_of,
    is_known,
    negated,
    number,
    one_of,
    sure,
    text,
    where,
)


class Spark(DuckDB):
    """Spark SQL from 4.0 on, whose VARIANT keeps the types of JSON values. Printed and parsed; see the docs."""

    name = "spark"
    huge = "DECIMAL(38, 0)"
    _json = "VARIANT"

    def document(self, stored: E) -> E:
        return call("parse_json", stored)

    def get(self, value: E, key: str) -> E:
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return call("try_variant_get", value, text(f'$["{quoted}"]'), text("variant"))

    def _type(self, value: E) -> E:
        return call("regexp_extract", call("schema_of_variant", value), text("^[A-Z]+"), number(0))

    def is_text(self, value: E) -> E:
        return one_of(self._type(value), [text("STRING")])

    def is_number(self, value: E) -> E:
        return one_of(self._type(value), [text(kind) for kind in ("BIGINT", "DECIMAL", "DOUBLE", "FLOAT")])

    def known(self, value: E) -> E:
        return sure(negated(call("is_variant_null", value)))

    def text_of(self, value: E) -> E:
        return cast(value, "STRING")

    def raw(self, value: E) -> E:
        return call("to_json", value)

    def items(self, value: E) -> E:
        return cast(value, "ARRAY<VARIANT>")

    def packed(self, values: E) -> E:
        return call("parse_json", call("to_json", values))

    def true_or_false(self, condition: E) -> E:
        return cast(condition, self._json)

    def list_of(self, *values: E) -> E:
        return cast(call("array", *values), "ARRAY<VARIANT>")

    def each(self, values: E, name: str, body: Callable[[E], E]) -> E:
        return call("transform", values, function_of(name, body(column(name))))

    def chosen(self, values: E, name: str, condition: Callable[[E], E]) -> E:
        return call("filter", values, function_of(name, condition(column(name))))

    def length(self, values: E) -> E:
        return call("array_size", values)

    def at(self, values: E, place: int) -> E:
        return call("try_element_at", values, number(place))

    def total(self, values: E) -> E:
        zero = cast(number(0), self.huge)
        added = cast(_coalesced_sum(self.huge), self.huge)
        two = function_of("so_far", added)
        two.set("expressions", [column("so_far").this, column("more").this])
        return call("aggregate", values, zero, two)

    def least(self, values: E) -> E:
        return call("array_min", values)

    def greatest(self, values: E) -> E:
        return call("array_max", values)

    def n_distinct(self, values: E) -> E:
        return call("array_size", call("array_distinct", call("array_compact", values)))

    def contains(self, values: E, value: E) -> E:
        return call("array_contains", values, value)

    def place_of(self, values: E, value: E) -> E:
        return call("array_position", values, value)

    def rows_of(self, values: E) -> E:
        return call("explode", values)

    def texts(self, parameter: E) -> E:
        return cast(parameter, "ARRAY<STRING>")

    def whole_numbers(self, parameter: E) -> E:
        return cast(parameter, "ARRAY<BIGINT>")

    def table_of(self, columns: Mapping[str, E]) -> exp.Select:
        n = call("array_size", next(iter(columns.values())))
        places = exp.select(exp.alias_(call("explode", call("sequence", number(1), n)), "place")).subquery("places")
        return exp.select(
            *(
                exp.alias_(call("element_at", values, column("place")), name, quoted=True)
                for name, values in columns.items()
            )
        ).from_(places)

    def gathered(self, value: E, condition: E) -> E:
        return where(call("collect_list", value), condition)

    def newest(self, value: E, condition: E, *order: E) -> E:
        return where(call("max_by", value, call("struct", *order)), every([condition, is_known(value)]))

    def oldest(self, value: E, condition: E, *order: E) -> E:
        return where(call("min_by", value, call("struct", *order)), every([condition, is_known(value)]))

    def micros(self, stamp: E) -> E:
        return call("unix_micros", stamp)

    def stop(self, reason: str, reference: E) -> E:
        del reference
        return cast(call("raise_error", text(reason)), "ARRAY<VARIANT>")


def _coalesced_sum(kind: str) -> E:
    return binary("+", column("so_far"), call("coalesce", column("more"), cast(number(0), kind)))


_DIALECTS = {dialect.name: dialect for dialect in (DuckDB(), Spark())}


def dialect_named(name: str) -> DuckDB:
    """The dialect of that name.

    Raises:
        InvalidInput: ``rule.dialect``, if there is none.
    """
    if name not in _DIALECTS:
        message = f"rules cannot be printed for {name!r}"
        raise InvalidInput.one("rule.dialect", message, hint=nearest(name, _DIALECTS))
    return _DIALECTS[name]
