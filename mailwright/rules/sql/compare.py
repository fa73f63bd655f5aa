"""Comparisons of typed values as SQL conditions: what `values.compare` says, two-valued, without coercion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlglot import exp

from mailwright.rules.sql.asks import Asks, Source, merged
from mailwright.rules.sql.numbers import key_of_number, key_of_units
from mailwright.rules.sql.paths import Json
from mailwright.rules.sql.trees import (
    E,
    binary,
    call,
    cast,
    choose,
    either,
    every,
    false,
    is_known,
    joined,
    negated,
    number,
    one_of,
    scaled_floor,
    sure,
    text,
    true,
)
from mailwright.rules.values import Duration, Moment, Operator, compare, kind_of

SqlKind = Literal["constant", "json", "units", "boolean", "instant", "duration", "date"]
"""``units``: a number in micro-units; instants and durations in microseconds, dates in days since 1970-01-01."""

_ORDER = ("<", "<=", ">", ">=")
_TEXT = ("contains", "starts_with", "ends_with", "matches")
_MIRRORED: dict[str, Operator] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_DOUBLE_DIGITS = 15  # decimals of so many digits keep their order among each other and with doubles' shortest texts
_DOUBLE_WHOLE = Decimal(2**53)
_DOUBLE_SMALL = Decimal("1e-300")


class Unsupported(Exception):
    """Something that SQL does not say; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A value in SQL: its type as far as it is known before anything runs, and where JSON values come from.

    `value` is NULL where the value is missing; a JSON value may also be null.
    """

    kind: SqlKind
    value: E
    sources: tuple[Source, ...] = ()
    constant: Any = None


class Comparer:
    """Builds conditions; asks for the distinct values that Python must judge."""

    def __init__(self, json: Json, asks: Asks) -> None:
        self._json = json
        self._asks = asks

    def holds(self, op: Operator, left: Typed, right: Typed) -> E:
        """``left op right``; never NULL.

        Raises:
            Unsupported: If SQL cannot say it.
        """
        if left.kind == "constant" and right.kind == "constant":
            return self._of_constants(op, left, right)
        if {_plain_kind(left), _plain_kind(right)} == {"instant", "date"}:
            raise Unsupported("an instant beside a date depends on the zone's rules")
        if left.kind == "constant":
            if op in _MIRRORED:
                return self.holds(_MIRRORED[op], right, left)
            raise Unsupported("a text predicate needs its pattern on the right")
        if right.kind == "constant":
            if left.kind == "json":
                return sure(self._json_constant(op, left, right.constant))
            return sure(self._plain_constant(op, left, right.constant))
        return sure(self._of_values(op, left, right))

    def _of_constants(self, op: Operator, left: Typed, right: Typed) -> E:
        if {_plain_kind(left), _plain_kind(right)} == {"instant", "date"}:
            raise Unsupported("an instant beside a date depends on the zone's rules")
        return true() if compare(op, left.constant, right.constant) else false()

    # --- JSON beside a constant ---

    def _json_constant(self, op: Operator, left: Typed, wanted: Any) -> E:
        d, value = self._json.dialect, left.value
        if op == "contains":
            inside = self._json.exists_in(d.items(value), lambda each: self.equal(each, wanted))
            listed = (d.is_list(value), inside)
            return choose([listed, (d.is_text(value), self._text_predicate(op, left, wanted))], false())
        match kind_of(wanted):
            case "text":
                if op in _TEXT:
                    return self._text_predicate(op, left, wanted)
                return every([d.is_text(value), binary(op, d.text_of(value), self._asks.bind(wanted))])
            case "number":
                return every([d.is_number(value), self._number(op, value, wanted)]) if op not in _TEXT else false()
            case "boolean" if op in ("=", "!="):
                shown = text("true" if wanted else "false")
                return every([d.is_boolean(value), binary(op, d.raw(value), shown)])
            case _:
                return false()

    def equal(self, value: E, wanted: Any) -> E:
        """Whether one JSON value equals a constant; may be NULL."""
        return self._json_constant("=", Typed("json", value), wanted)

    def equal_to_any(self, value: E, wanted: Sequence[Any]) -> E:
        """Whether it equals one of several constants; may be NULL."""
        d = self._json.dialect
        texts = [self._asks.bind(each) for each in wanted if kind_of(each) == "text"]
        among = [every([d.is_text(value), one_of(d.text_of(value), texts)])] if texts else []
        return either([*among, *(sure(self.equal(value, each)) for each in wanted if kind_of(each) != "text")])

    def _text_predicate(self, op: Operator, left: Typed, pattern: Any) -> E:
        if kind_of(pattern) != "text":
            return false()
        d = self._json.dialect
        held = self._asks.text_holds(d.text_of(left.value), op, pattern, left.sources)
        return every([d.is_text(left.value), held])

    def _number(self, op: Operator, value: E, wanted: Decimal) -> E:
        raw = self._json.dialect.raw(value)
        if _keeps_order_as_double(wanted):
            limit = exp.Cast(this=text(str(wanted)), to=exp.DataType.build("DOUBLE"))
            return binary(op, exp.TryCast(this=raw, to=exp.DataType.build("DOUBLE"), safe=True), limit)
        exact = choose([(self._json.dialect.is_number(value), self._json.number_key(value))])
        return binary(op, exact, text(key_of_number(wanted)))

    # --- other types ---

    def _plain_constant(self, op: Operator, left: Typed, wanted: Any) -> E:
        if op in _TEXT or kind_of(wanted) != _plain_kind(left):
            return false()
        match left.kind:
            case "boolean":
                if op not in ("=", "!="):
                    return false()
                return left.value.copy() if (op == "=") == wanted else negated(left.value)
            case "units":
                return self._units(op, left.value, wanted)
            case _:
                return binary(op, left.value, number(micros_of(wanted)))

    def _units(self, op: Operator, value: E, wanted: Decimal) -> E:
        units, exact = scaled_floor(wanted)
        limit = cast(number(units), self._json.dialect.huge)
        if exact:
            return binary(op, value, limit)
        match op:  # between two micro-units lies nothing that a sum can be
            case "=":
                return false()
            case "!=":
                return is_known(value)
            case "<" | "<=":
                return binary("<=", value, limit)
            case _:
                return binary(">", value, limit)

    def _of_values(self, op: Operator, left: Typed, right: Typed) -> E:
        if op in _TEXT:
            if left.kind != "json":
                return false()
            raise Unsupported("a text predicate needs a fixed pattern")
        if left.kind == right.kind and left.kind not in ("json", "boolean"):
            return binary(op, left.value, right.value)
        kinds = {left.kind, right.kind}
        if not kinds <= {"json", "units", "boolean"} or (op in _ORDER and "boolean" in kinds):
            return false()
        ours, theirs = self.key(left, right), self.key(right, left)
        kind, other = call("left", ours, number(1)), call("left", theirs, number(1))
        same = binary("=", kind, other)
        ordered = [one_of(kind, [text("s"), text("n")])] if op in _ORDER else []
        return every([same, *ordered, binary(op, ours, theirs)])

    def key(self, value: Typed, *beside: Typed) -> E:
        """A text that equal values share, comparable with the keys of `beside`; NULL of a missing one."""
        match value.kind:
            case "json":
                sources = merged(value.sources, *(each.sources for each in beside))
                return self._json.key(value.value, self._asks.canon(sources))
            case "units":
                return joined(text("n"), key_of_units(self._json.dialect, value.value))
            case _:
                return choose([(value.value, text("btrue"))], text("bfalse"))


def micros_of(value: Any) -> int:
    """An instant or a duration in microseconds, a date in days since 1970-01-01."""
    match value:
        case Moment(at=at):
            return int(at)
        case Duration(micros=micros):
            return micros
        case _:
            return int(value.toordinal()) - 719_163


def _plain_kind(value: Typed) -> str:
    if value.kind == "constant":
        return kind_of(value.constant)
    return "number" if value.kind == "units" else value.kind


def _keeps_order_as_double(value: Decimal) -> bool:
    """Whether comparing with this constant as doubles says the same as comparing decimal texts.

    A double and a decimal of at most 15 digits are in the order of the double's shortest text and that decimal; whole
    numbers beyond 2^53, which a double would round, are not near it.
    """
    if value == 0:
        return True
    return len(value.normalize().as_tuple().digits) <= _DOUBLE_DIGITS and _DOUBLE_SMALL <= abs(value) < _DOUBLE_WHOLE
