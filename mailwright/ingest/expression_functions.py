"""The functions of `mailwright.ingest.expressions`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from babel.numbers import get_currency_precision, list_currencies

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, format_iso, parse_iso

__all__ = ["FUNCTIONS", "Function", "Unfit", "is_there"]

_LARGEST = float((1 << 63) - 1)
_TRUE, _FALSE = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off"})
# A bare number that is an instant is in seconds, milliseconds or microseconds: whichever puts it after 1973.
_MILLIS, _MICROS = 10**11, 10**14


class Unfit(Exception):
    """A value cannot be what it should be; `reason` says why in words, without the value, which may be personal.

    `place` is the field of the template that needed it, once that is known.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function: how many arguments it takes, what it does (also its line in the documentation), and doing it."""

    least: int
    most: int
    help: str
    run: Callable[[Sequence[Any]], Any]

    @property
    def takes(self) -> str:
        """How many arguments, in words."""
        if self.most > _MANY - 1:
            return f"{self.least} or more arguments"
        return f"{self.least} arguments" if self.least == self.most else f"{self.least} to {self.most} arguments"


def is_there(value: Any) -> bool:
    """Whether a value tells anything: not null, and no empty text, list or object."""
    return value is not None and value not in ("", [], {})


def _number(value: Any) -> int | float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() and len(value) < 30 else float(value)
        except ValueError:
            raise Unfit("is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("is no number")
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise Unfit("is too large for a number")
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    raise Unfit("is a list or an object, no text")


def _boolean(value: Any) -> bool | None:
    if value is None or value == "" or isinstance(value, bool):
        return None if value == "" else value
    told = (_text(value) or "").strip().lower()
    if told in _TRUE:
        return True
    if told in _FALSE:
        return False
    raise Unfit("is neither true nor false")


def _instant(value: Any) -> str | None:
    """ISO 8601 in UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.strip().lstrip("-").replace(".", "", 1).isdecimal():
        try:
            return format_iso(parse_iso(_zoned(value.strip())))
        except InvalidInput as error:
            raise Unfit(f"is no instant: {error.issues[0].hint}") from None
        except OverflowError:
            raise Unfit("is no instant") from None
    number = _number(value) or 0
    scale = 1 if abs(number) >= _MICROS else 1_000 if abs(number) >= _MILLIS else 1_000_000
    try:
        return format_iso(Instant(int(number * scale)))
    except (InvalidInput, ValueError, OverflowError):
        raise Unfit("is no instant") from None


def _zoned(text: str) -> str:
    """``+0000`` as ``+00:00``, which ISO 8601 wants with colons elsewhere."""
    return f"{text[:-2]}:{text[-2:]}" if text[-5:-4] in ("+", "-") and text[-4:].isdecimal() else text


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unfit("is no list")
    return value


def _first(values: Sequence[Any]) -> Any:
    """Of one list its first element that is there, else the first argument that is."""
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    return next((value for value in values if is_there(value)), None)


def _join(values: Sequence[Any]) -> str | None:
    separator, *rest = values
    parts = [part for value in rest for part in (value if isinstance(value, list) else [value])]
    texts = [text for part in parts if (text := _text(part))]
    return (_text(separator) or "").join(texts) if texts else None


def _concat(values: Sequence[Any]) -> str | None:
    texts = [_text(value) for value in values]
    return None if None in texts else "".join(text or "" for text in texts)


def _sum(values: Sequence[Any]) -> int | float | None:
    numbers = [number for value in _list(values[0]) if (number := _number(value)) is not None]
    return _number(sum(numbers)) if numbers else None


def _arithmetic(run: Callable[[Any, Any], Any]) -> Callable[[Sequence[Any]], Any]:
    def of(values: Sequence[Any]) -> int | float | None:
        left, right = _number(values[0]), _number(values[1])
        if left is None or right is None:
            return None
        try:
            return _number(run(left, right))
        except (ZeroDivisionError, OverflowError):
            raise Unfit("cannot be computed") from None

    return of


@cache
def _precision(currency: str) -> int:
    if currency not in list_currencies():
        raise Unfit("is no currency")
    return get_currency_precision(currency)


def _money(values: Sequence[Any]) -> int | float | None:
    amount, currency = _number(values[0]), _text(values[1])
    if amount is None:
        return None
    return float(amount / 10 ** _precision((currency or "").strip().upper()[:8]))


def _split(values: Sequence[Any]) -> list[str] | None:
    text, separator = _text(values[0]), _text(values[1])
    if text is None:
        return None
    parts = text.split(separator) if separator else [text]
    return [part.strip() for part in parts if part.strip()]


def _case(values: Sequence[Any]) -> Any:
    value, *rest = values
    for wanted, then in zip(rest[0::2], rest[1::2], strict=False):
        if type(value) is type(wanted) and value == wanted:
            return then
    return rest[-1] if len(rest) % 2 else None


def _lookup(values: Sequence[Any]) -> Any:
    table, key = values[0], _text(values[1])
    found = table.get(key) if isinstance(table, dict) and key is not None else None
    return found if found is not None or len(values) < _WITH_DEFAULT else values[2]


def _entries(values: Sequence[Any]) -> list[dict[str, Any]]:
    if values[0] is None:
        return []
    if not isinstance(values[0], dict):
        raise Unfit("is no object")
    return [{"key": key, "value": value} for key, value in values[0].items()]


def _contains(values: Sequence[Any]) -> bool:
    whole, part = values
    if isinstance(whole, list):
        return any(type(each) is type(part) and each == part for each in whole)
    return isinstance(whole, str) and isinstance(part, str) and part in whole


def _json(values: Sequence[Any]) -> Any:
    text = _text(values[0])
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Unfit("is no JSON") from None


def _if(values: Sequence[Any]) -> Any:
    holds = is_there(values[0]) and values[0] is not False and values[0] != 0
    return values[1] if holds else values[2] if len(values) > 2 else None


def _of_text(change: Callable[[str], str]) -> Callable[[Sequence[Any]], str | None]:
    def of(values: Sequence[Any]) -> str | None:
        text = _text(values[0])
        return None if text is None else change(text)

    return of


_MANY = 50
_WITH_DEFAULT = 3


def _function(run: Callable[[Sequence[Any]], Any], least: int, most: int, help: str) -> Function:
    return Function(least=least, most=most, help=help, run=run)


FUNCTIONS: dict[str, Function] = {
    "number": _function(lambda v: _number(v[0]), 1, 1, 'number($.total): a number, also from text such as "12.50"'),
    "text": _function(lambda v: _text(v[0]), 1, 1, "text($.id): a text, also from a number"),
    "boolean": _function(lambda v: _boolean(v[0]), 1, 1, "boolean($.flag): true or false, also from yes, no, 1, 0"),
    "instant": _function(
        lambda v: _instant(v[0]), 1, 1, "instant($.created): from ISO 8601, or seconds, ms or µs since 1970"
    ),
    "money": _function(_money, 2, 2, "money($.amount, $.currency): from the currency's smallest unit"),
    "lower": _function(_of_text(str.lower), 1, 1, "lower($.code)"),
    "upper": _function(_of_text(str.upper), 1, 1, "upper($.currency)"),
    "trim": _function(_of_text(str.strip), 1, 1, "trim($.name)"),
    "first": _function(_first, 1, _MANY, "first($.a, $.b): the first that is there; first($.list): its first element"),
    "join": _function(_join, 2, _MANY, 'join(" ", $.first, $.last): texts that are there, or those of a list'),
    "concat": _function(_concat, 1, _MANY, 'concat("order-", $.id): texts together, null if one is missing'),
    "split": _function(_split, 2, 2, 'split($.tags, ","): a list of trimmed texts'),
    "count": _function(lambda v: len(_list(v[0])), 1, 1, "count($.items): how many elements a list has"),
    "sum": _function(_sum, 1, 1, "sum($.items[*].price)"),
    "plus": _function(_arithmetic(lambda a, b: a + b), 2, 2, "plus($.a, $.b)"),
    "minus": _function(_arithmetic(lambda a, b: a - b), 2, 2, "minus($.a, $.b)"),
    "times": _function(_arithmetic(lambda a, b: a * b), 2, 2, "times($.price, $.quantity)"),
    "divide": _function(_arithmetic(lambda a, b: a / b), 2, 2, "divide($.pence, 100)"),
    "case": _function(_case, 3, _MANY, 'case($.status, "a", "Opened", "b", "Closed", "else")'),
    "if": _function(_if, 2, 3, 'if($.vip, "gold", "plain")'),
    "lookup": _function(_lookup, 2, 3, 'lookup(option("purposes"), item.id): what an object has under a name'),
    "entries": _function(_entries, 1, 1, "entries($.choices): an object as a list of {key, value}"),
    "exists": _function(lambda v: is_there(v[0]), 1, 1, "exists($.email): neither null nor empty"),
    "contains": _function(_contains, 2, 2, 'contains($.tags, "vip"): in a list, or a part of a text'),
    "starts_with": _function(
        lambda v: isinstance(v[0], str) and isinstance(v[1], str) and v[0].startswith(v[1]), 2, 2, "starts_with(a, b)"
    ),
    "json": _function(_json, 1, 1, "json($.payload): what a text holds as JSON"),
}
"""By name."""
