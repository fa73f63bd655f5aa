"""Values at run time: what comparisons, paths and event filters mean, once, for every back end.

Run-time types beside JSON's own: missing is ``None``; a number is ``int``, ``float`` or ``Decimal`` and counts by its
exact decimal text (never ``bool``); a point in time is a `Moment`, a length of time a `Duration`, a day a
``datetime.date``. No type turns into another: ``'1'`` is not ``1``, text is no date.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any, Literal

import re2

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Event
from mailwright.core.instants import Instant, parse_iso, to_datetime
from mailwright.rules import syntax as s

ItemLookup = Callable[[str, str, Instant], "Mapping[str, Any] | None"]
"""(catalog, item_id, at) -> the item's facts in force at `at`; None: no such item then."""

Kind = Literal["missing", "boolean", "number", "text", "date", "instant", "duration", "list", "object"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "starts_with", "ends_with", "matches"]

MICRO_UNITS_MAX = 2**63 - 1
ANY_PAGE = "$page"
ANY_SCREEN = "$screen"

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Wide enough that multiplying any double's decimal text by 10^6 is exact (17 digits, exponents to +-324).
_EXACT = Context(prec=800, rounding=ROUND_HALF_EVEN)
_DECIMALS = re.compile(r"\.\d+")
_TIME = re.compile(r"\dT\d|\d \d")
# Without traps: what leaves the range of decimals becomes infinite or 0, and is then missing or 0.
_NUMBERS = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[])
_ARITHMETIC: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": _NUMBERS.add,
    "-": _NUMBERS.subtract,
    "*": _NUMBERS.multiply,
    "/": _NUMBERS.divide,
}


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """An instant as a value of a rule, such as the stamp of the last order. Ordered in time."""

    at: Instant


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time as a value of a rule, in whole microseconds. Ordered by length."""

    micros: int


def no_items(catalog: str, item_id: str, at: Instant) -> None:
    """An `ItemLookup` for where there is no catalog: every item fact is missing."""


def number(value: Any) -> Decimal | None:
    """The exact number that `value` is; None for anything else, also for true, false, NaN and the infinities."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return value if isinstance(value, Decimal) and value.is_finite() else None


def to_micro_units(value: Any) -> int | None:
    """`value` x 10^6, rounded half even from its decimal text; None if it is no number or leaves 64 bits: not summable.

    Micro-units are what sums, averages, minima and maxima are made of: adding them is exact in any order.
    """
    exact = number(value)
    if exact is None or exact.adjusted() > 18:  # > 18: surely beyond 64 bits, and never a million digits
        return None
    units = int(_EXACT.scaleb(exact, 6).to_integral_value(ROUND_HALF_EVEN))
    return units if -MICRO_UNITS_MAX - 1 <= units <= MICRO_UNITS_MAX else None


def from_micro_units(units: int) -> Decimal:
    """The exact number of so many micro-units."""
    digits = tuple(int(digit) for digit in str(abs(units)))
    return Decimal((int(units < 0), digits, -6))


def average_micro_units(total: int, n: int) -> int:
    """`total` / `n` in whole micro-units, half even; n > 0."""
    quotient, rest = divmod(total, n)
    return quotient + (2 * rest > n or (2 * rest == n and quotient % 2 == 1))


def scaled(total: Decimal, scale: Decimal) -> Decimal:
    """A score on 0..100: ``100 x total / (total + scale)`` for scale > 0; a total below 0 counts as 0."""
    floor = max(total, Decimal(0))
    return Context(prec=28).divide(100 * floor, floor + scale)


def calculated(op: Literal["+", "-", "*", "/"], left: Any, right: Any) -> Decimal | None:
    """`left` op `right` in decimals of 28 digits, half even; None unless both are numbers, and for x / 0."""
    a, b = number(left), number(right)
    if a is None or b is None or (op == "/" and b == 0):
        return None
    found = _ARITHMETIC[op](a, b)
    return found if found.is_finite() else None


def kind_of(value: Any) -> Kind:
    """The type of a run-time value."""
    match value:
        case None:
            return "missing"
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number" if number(value) is not None else "missing"
        case str():
            return "text"
        case Moment():
            return "instant"
        case date():
            return "date"
        case Duration():
            return "duration"
        case list() | tuple():
            return "list"
        case _:
            return "object"


def identity(value: Any) -> Hashable:
    """A key that two values share exactly when they are equal: 1 and 1.0 do, 1 and true and '1' do not."""
    kind = kind_of(value)
    if kind == "number":
        return kind, number(value)
    if kind == "list":
        return kind, tuple(identity(element) for element in value)
    if kind == "object":
        return kind, frozenset((name, identity(inner)) for name, inner in value.items())
    return kind, value


def constant(node: s.Constant) -> Any:
    """The run-time value of a literal."""
    match node.kind:
        case "number":
            return Decimal(str(node.value))
        case "date":
            return date.fromisoformat(str(node.value))
        case "duration":
            return Duration(int(node.value))
        case "instant":
            return Moment(Instant(int(node.value)))
        case _:
            return node.value


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers int or float, instants and dates ISO 8601 text, durations in seconds."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Moment(at=at):
            return to_datetime(at).isoformat().replace("+00:00", "Z")
        case Duration(micros=micros):
            return plain(from_micro_units(micros))
        case date():
            return value.isoformat()
        case list() | tuple():
            return [plain(element) for element in value]
        case _:
            return value


# --- comparisons -----------------------------------------------------------------------------------------------------


def compare(op: Operator, left: Any, right: Any, zone: tzinfo = UTC) -> bool:
    """`left` op `right`, two-valued: a missing side or different types are false, also for ``!=``.

    An instant beside a date counts as its day in `zone`. Order is defined for numbers, dates, instants, durations and
    texts (by code point). ``contains`` on a list means an equal element, on text a part of it; text predicates fold
    case, except ``matches``.

    Raises:
        InvalidInput: If ``matches`` gets no valid RE2 expression (``rule.regex``).
    """
    left, right = _by_day(left, right, zone)
    if op == "contains" and kind_of(left) == "list":
        return right is not None and any(identity(element) == identity(right) for element in left)
    kind = kind_of(left)
    if kind == "missing" or kind != kind_of(right):
        return False
    if op in ("=", "!="):
        return (identity(left) == identity(right)) == (op == "=")
    if op in _ORDER:
        return kind not in ("boolean", "list", "object") and _ordered(op, left, right)
    return kind == "text" and text_holds(op, left, right)


def between(value: Any, low: Any, high: Any, zone: tzinfo = UTC) -> bool:
    """``low <= value <= high``; an instant between dates counts by its day in `zone`, so both days are in whole."""
    return compare(">=", value, low, zone) and compare("<=", value, high, zone)


def in_options(value: Any, options: Iterable[Any], zone: tzinfo = UTC) -> bool:
    """`value` equals one of `options`; of a list, one of its elements does."""
    values = value if kind_of(value) == "list" else [value]
    return any(compare("=", element, option, zone) for option in options for element in values)


def text_holds(op: Operator, text: str, pattern: str) -> bool:
    """A text predicate: ``contains``, ``starts_with``, ``ends_with`` (Unicode casefold) or ``matches`` (RE2 search).

    The one function for all back ends; SQL receives the list of distinct texts for which it is true.

    Raises:
        InvalidInput: If ``matches`` gets no valid RE2 expression (``rule.regex``).
    """
    match op:
        case "contains":
            return pattern.casefold() in text.casefold()
        case "starts_with":
            return text.casefold().startswith(pattern.casefold())
        case "ends_with":
            return text.casefold().endswith(pattern.casefold())
        case "matches":
            return expression(pattern).search(text) is not None
        case _:
            raise ValueError(f"{op} is no text predicate")


@lru_cache(maxsize=1024)
def expression(pattern: str) -> Any:
    """The compiled RE2 expression; matching is linear in the text, whatever the pattern.

    Raises:
        InvalidInput: ``rule.regex``, with what RE2 says.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        message = f"{pattern!r} is no regular expression that RE2 takes: {reason}"
        raise InvalidInput.one("rule.regex", message, hint="RE2 has no look-around and no back-references") from error


def _by_day(left: Any, right: Any, zone: tzinfo) -> tuple[Any, Any]:
    if isinstance(left, Moment) and isinstance(right, date):
        return local_date(left.at, zone), right
    if isinstance(left, date) and isinstance(right, Moment):
        return left, local_date(right.at, zone)
    return left, right


def _ordered(op: Operator, left: Any, right: Any) -> bool:
    if kind_of(left) == "number":
        left, right = number(left), number(right)
    return bool(_ORDER[op](left, right))


# --- days ------------------------------------------------------------------------------------------------------------


def local_date(at: Instant, zone: tzinfo) -> date:
    """The calendar day of an instant in `zone`; beyond the years 1 to 9999, the first or last day there is."""
    try:
        return to_datetime(at).astimezone(zone).date()
    except OverflowError:
        return date.min if at < 0 else date.max


# --- text as time -----------------------------------------------------------------------------------------------------


def as_date(value: Any, zone: tzinfo) -> date | None:
    """The day that a date, an instant or ISO 8601 text means; None for anything else.

    An instant, and text with an offset, gives its day in `zone`; text with a time but no offset, the day it names.
    """
    match value:
        case Moment(at=at):
            return local_date(at, zone)
        case date():
            return value
        case str():
            return _date_in(value, zone)
        case _:
            return None


def _date_in(text: str, zone: tzinfo) -> date | None:
    try:
        # More than six decimals are refused by some versions of Python and needless for a day.
        read = datetime.fromisoformat(_DECIMALS.sub("", text.strip()))
        return (read if read.tzinfo is None else read.astimezone(zone)).date()
    except (ValueError, OverflowError):
        return None


def as_instant(value: Any) -> Moment | None:
    """The instant that an instant or ISO 8601 text with a time of day means; without an offset it is UTC."""
    if isinstance(value, Moment):
        return value
    if not isinstance(value, str) or not _TIME.search(value):
        return None
    try:
        return Moment(parse_iso(value))
    except (InvalidInput, OverflowError):
        return None


# --- events ----------------------------------------------------------------------------------------------------------


def names_of(event: Event) -> tuple[str, ...]:
    """The names by which rules call an event; none for identify, group and alias.

    A track, page or screen call has its own name; a page call also ``$page`` and a screen call ``$screen``, which
    ``any page`` and ``any screen`` mean.
    """
    own = (event.name,) if event.name else ()
    match event.type:
        case "track":
            return own
        case "page":
            return (*own, ANY_PAGE)
        case "screen":
            return (*own, ANY_SCREEN)
        case _:
            return ()


def trait_write(traits: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """Whether these traits write trait `path`, and the value written (None removes it).

    An object on the way that does not name the next step writes nothing below it; a null or a plain value on the way
    replaces what was below, so it removes. A list on the way gives the list of its elements' values.
    """
    value: Any = traits
    for place, step in enumerate(path):
        if isinstance(value, list):
            return True, paths(value, path[place:], Instant(0), no_items)
        if not isinstance(value, Mapping):
            return True, None
        if step not in value:
            return False, None
        value = value[step]
    return True, value


def paths(data: Any, path: tuple[str, ...], at: Instant, items: ItemLookup) -> list[Any]:
    """The values at `path` below `data`, in order; missing ones are left out.

    A list on the way means each of its elements; a list at the end is one value. The step ``product`` on an object
    that has none of its own but a ``product_id`` gives the facts of that item of catalog ``products`` in force at `at`.
    """
    if isinstance(data, list):
        return [value for element in data for value in paths(element, path, at, items)] if path else [data]
    if not path:
        return [] if kind_of(data) == "missing" else [data]
    return paths(_step(data, path[0], at, items), path[1:], at, items) if isinstance(data, Mapping) else []


def _step(data: Mapping[str, Any], step: str, at: Instant, items: ItemLookup) -> Any:
    value = data.get(step)
    item_id = data.get("product_id") if value is None and step == "product" else None
    if isinstance(item_id, str) or (isinstance(item_id, int) and not isinstance(item_id, bool)):
        return items("products", str(item_id), at)
    return value


def property_values(event: Event, path: tuple[str, ...], items: ItemLookup) -> list[Any]:
    """The values of an event's property; a first step ``context`` reads the event's context instead."""
    if path[:1] == ("context",):
        return paths(event.context, path[1:], event.stamp_at, items)
    return paths(event.properties, path, event.stamp_at, items)


def elements(event: Event, path: tuple[str, ...], items: ItemLookup) -> list[Any]:
    """What an aggregate counts: the values of the property, lists taken apart into their elements, missing left out."""
    return list(_flat(property_values(event, path, items)))


def key_of(event: Event, path: tuple[str, ...], items: ItemLookup) -> Hashable | None:
    """The key by which ``same``, ``by`` and joins compare events; None if there is no value, or more than one."""
    found = property_values(event, path, items)
    return identity(found[0]) if len(found) == 1 else None


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        elif kind_of(value) != "missing":
            yield value


# --- filters ---------------------------------------------------------------------------------------------------------


def holds(where: s.Expression | None, event: Event, items: ItemLookup) -> bool:
    """Whether an event meets a ``where`` filter; no filter is met by all.

    A property with several values (a path over a list) meets a comparison when any of them does, so two comparisons
    may be met by different elements; `AnyOf` asks for one element that meets all. Days are those of UTC.

    Raises:
        InvalidInput: If the filter holds a node that cannot be said of an event (``rule.where``).
    """
    return where is None or _holds(where, _Scope(event, None, items))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a filter is asked of: an event, or inside ``any of`` one element of a list in it."""

    event: Event
    element: Any
    items: ItemLookup

    def values(self, path: tuple[str, ...]) -> list[Any]:
        if self.element is None:
            return property_values(self.event, path, self.items)
        return paths(self.element, path, self.event.stamp_at, self.items)


def _holds(where: s.Expression, scope: _Scope) -> bool:
    match where:
        case s.And(terms=terms):
            return all(_holds(term, scope) for term in terms)
        case s.Or(terms=terms):
            return any(_holds(term, scope) for term in terms)
        case s.Not(term=term):
            return not _holds(term, scope)
        case s.Always():
            return True
        case s.AnyOf(path=path, where=inner):
            found = (each for value in scope.values(path) for each in (value if isinstance(value, list) else [value]))
            elements = (each for each in found if each is not None)  # null is missing: no element to ask
            return any(_holds(inner, _Scope(scope.event, each, scope.items)) for each in elements)
        case _:
            return _compares(where, scope)


def _compares(where: s.Expression, scope: _Scope) -> bool:
    match where:
        case s.Compare(op=op, left=left, right=right):
            rights = _operand(right, scope)
            return any(compare(op, a, b) for a in _operand(left, scope) for b in rights)
        case s.BetweenValues(value=value, low=low, high=high):
            lows, highs = _operand(low, scope), _operand(high, scope)
            return any(between(a, b, c) for a in _operand(value, scope) for b in lows for c in highs)
        case s.In(value=value, options=options):
            allowed = [constant(option) for option in options]
            return any(in_options(each, allowed) for each in _operand(value, scope))
        case s.IsKnown(value=value):
            return bool(_operand(value, scope))
        case _:
            return any(value is True for value in _operand(where, scope))


def _operand(node: s.Expression, scope: _Scope) -> list[Any]:
    match node:
        case s.Property(path=path):
            return scope.values(path)
        case s.Constant():
            return [constant(node)]
        case s.AsTime(kind=kind, of=s.Property(path=path)):
            times = (as_date(value, UTC) if kind == "date" else as_instant(value) for value in scope.values(path))
            return [time for time in times if time is not None]
        case _:
            raise InvalidInput.one(
                "rule.where",
                f"{type(node).__name__} cannot be asked of one event",
                hint="in `where`, only properties of the event and constants can be compared",
            )
