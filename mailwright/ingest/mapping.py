"""How the rows of a file become calls or catalog items: declared as data, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.core.instants import DAY, Instant, format_iso, from_datetime, parse_iso
from mailwright.core.zones import zone_named

CellType = Literal["text", "number", "boolean", "instant", "date", "json"]
RowKind = Literal["identify", "track", "group", "items", "consents", "suppressions"]

_NUMBER = re.compile(r"[+-]?(\d+)(\.\d+)?([eE][+-]?\d{1,3})?")
_SURE_DIGITS = 19  # fewer digits always fit
_LARGEST = float((1 << 63) - 1)  # no sum or column holds more
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CALL_FIELDS = ("userId", "anonymousId", "messageId", "timestamp")
# Per kind: fields of the call itself, and the object that others are put into.
_TARGETS: dict[str, tuple[tuple[str, ...], str]] = {
    "identify": (_CALL_FIELDS, "traits"),
    "track": ((*_CALL_FIELDS, "event"), "properties"),
    "group": ((*_CALL_FIELDS, "groupId"), "traits"),
    "items": (("item_id", "stamp"), "facts"),
    "consents": (("email", "purpose", "granted", "source", "wording", "at"), ""),
    "suppressions": (("email", "reason"), ""),
}
_WHEN = ("timestamp", "stamp", "at")
_NEEDED: dict[str, tuple[str, ...]] = {
    "items": ("item_id",),
    "consents": ("email", "purpose", "granted", "source"),
    "suppressions": ("email", "reason"),
}
"""Targets that every row of a kind must fill; of the others it is enough that somebody is named."""

_IN_FILE = {
    "event": "event: Order Completed",
    "catalog": "catalog: products",
    "who": "userId, anonymousId",
    "email": "traits.email",
    "group": "groupId",
}
_BY_HAND = {
    "event": "--event 'Order Completed'",
    "catalog": "--catalog products",
    "who": "user_id, anonymous_id",
    "email": "email",
    "group": "group_id",
}
"""How what is missing is said in a definition, and on the command line."""

CALL_KINDS = ("identify", "track", "group")
"""Kinds whose rows are calls: they have a message id."""


class Cell(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a column's values go, and what they are read as; without a type as they come (text, from a CSV).

    Attributes:
        format: How an instant is written if not by ISO 8601: ``%d.%m.%Y %H:%M``, ``seconds``, ``milliseconds``,
            ``microseconds`` or ``days`` (since 1970). With type ``date``, how a day of the calendar is written, such
            as a birthday, which is the same day in every time zone.
    """

    to: str
    type: CellType | None = None
    format: str = ""


class RowMapping(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a file's rows are.

    Attributes:
        kind: ``as`` in YAML: one identify, track or group call, catalog item, consent or suppression per row.
        columns: Column -> target: ``userId``, ``timestamp``, ``traits.email``, ``properties.total``, ``item_id``,
            ``facts.price``, ... Columns that are not named are not read.
        event: Name of the track event, unless a column gives it.
        catalog: Name of the catalog of items.
        constants: Target -> value for every row.
        zone: Time zone of instants that are written without one.
    """

    kind: RowKind = msgspec.field(name="as")
    columns: Mapping[str, str | Cell]
    event: str = ""
    catalog: str = ""
    constants: Mapping[str, Any] = {}
    zone: str = "UTC"

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Columns with their cells; what is an instant by its target is read as one."""
        return {
            column: cell if isinstance(cell, Cell) else Cell(to=cell, type=usual_type(cell))
            for column, cell in self.columns.items()
        }

    @cached_property
    def _steps(self) -> list[tuple[str, str, str, tuple[str, ...], Callable[[Any], Any] | None]]:
        """(column, first key, second key, further keys, reader) of each cell; most targets have two keys at most."""
        steps = []
        for column, cell in self.cells.items():
            first, *rest = cell.to.split(".")
            steps.append((column, first, rest[0] if rest else "", tuple(rest[1:]), reader_of(cell, self.tzinfo)))
        return steps

    @cached_property
    def names_message(self) -> bool:
        """Whether a column gives the message id."""
        return any(cell.to == "messageId" for cell in self.cells.values())

    @cached_property
    def tzinfo(self) -> ZoneInfo:
        """The zone; `check` finds one that there is not."""
        return ZoneInfo(self.zone)

    def check(self, path: str, columns: Sequence[str] | None = None, *, by_hand: bool = False) -> list[Issue]:
        """Faults of the mapping in itself and, if known, against a file's columns.

        Args:
            path: Where it is declared.
            columns: Of the file.
            by_hand: It comes from the command line: what is missing is told by its options and names.
        """
        targets = [*(cell.to for cell in self.cells.values()), *self.constants]
        issues = [
            Issue(path=f"{path}.columns", message=f"the file has no column {column!r}", hint=nearest(column, columns))
            for column in self.columns
            if columns is not None and column not in columns
        ]
        issues += [issue for target in targets if (issue := self._target_fault(f"{path}.columns", target))]
        twice = {
            one
            for place, one in enumerate(targets)
            for other in targets[place + 1 :]
            if f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
        }
        issues += [Issue(path=f"{path}.columns", message=f"two columns go to {target!r}") for target in sorted(twice)]
        return issues + self._missing(path, targets, _BY_HAND if by_hand else _IN_FILE)

    def _target_fault(self, path: str, target: str) -> Issue | None:
        fields, inside = _TARGETS[self.kind]
        first, _, rest = target.partition(".")
        inner = (inside, "context") if self.kind in CALL_KINDS else (inside,)
        if target in fields or (inside and first in inner and all(rest.split("."))):
            return None
        known = [*fields, *([f"{inside}.{target.rpartition('.')[2] or 'name'}"] if inside else [])]
        message = f"{target!r} is nothing that a row can fill for {self.kind}"
        return Issue(path=path, message=message, hint=nearest(target, known))

    def _missing(self, path: str, targets: Sequence[str], words: Mapping[str, str]) -> list[Issue]:
        found = []
        if self.kind == "items" and not self.catalog:
            found.append(Issue(path=path, message="items need a catalog", hint=f"add {words['catalog']}"))
        for needed in _NEEDED.get(self.kind, ()):
            if needed not in targets:
                article = "the " if needed == "item_id" else ""
                found.append(Issue(path=f"{path}.columns", message=f"no column gives {article}{needed}"))
        if self.kind == "group" and "groupId" not in targets:
            found.append(Issue(path=f"{path}.columns", message=f"no column gives the {words['group']}"))
        if self.kind in CALL_KINDS and not _WHO & set(targets):
            email = words["email"] if self.kind == "identify" else "context.traits.email"
            found.append(Issue(path=f"{path}.columns", message=f"no column says who: {words['who']} or {email}"))
        if self.kind == "track" and not self.event and "event" not in targets:
            found.append(Issue(path=path, message="track needs the event's name", hint=f"add {words['event']}"))
        if zone_named(self.zone) is None:
            found.append(Issue(path=f"{path}.zone", message=f"there is no time zone {self.zone!r}"))
        return found

    def call(self, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """The call, or item, that a row is. Missing and empty fields are left out.

        Without a column for it, the message id follows from the row and its line: the same file twice counts once.

        Raises:
            InvalidInput: ``file.value``: every field that cannot be read as its type.
        """
        call = self._frame()
        for column, first, second, more, read in self._steps:
            value = row.get(column)
            if value is None or value == "":
                continue
            if read is not None:
                try:
                    value = read(value)
                except ValueError:
                    raise InvalidInput("file.value", self._faults(line, row)) from None
            if not second:
                call[first] = value
            elif more:
                _put(call, f"{first}.{second}.{'.'.join(more)}", value)
            elif first in call:
                call[first][second] = value
            else:
                call[first] = {second: value}
        if self.kind in CALL_KINDS and "messageId" not in call:
            call["messageId"] = f"row-{line}-{blake2b(msgspec.json.encode(row), digest_size=12).hexdigest()}"
        return call

    def _faults(self, line: int, row: Mapping[str, Any]) -> list[Issue]:
        """Every field of a row that cannot be read as its type."""
        issues = []
        for column, *_, read in self._steps:
            value = row.get(column)
            if value is None or value == "" or read is None:
                continue
            try:
                read(value)
            except ValueError as error:
                issues.append(Issue(path=f"line {line}, column {column}", message=str(error)))
        return issues

    def _frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = {"type": self.kind} if self.kind in CALL_KINDS else {}
        if self.kind == "items":
            frame = {"catalog": self.catalog, "facts": {}}
        if self.event:
            frame["event"] = self.event
        for target, value in self.constants.items():
            _put(frame, target, value)
        return frame


_WHO = frozenset({"userId", "anonymousId", "traits.email", "context.traits.email"})


def usual_type(target: str) -> CellType | None:
    """What a target is read as when nothing else is said."""
    return "instant" if target in _WHEN else "boolean" if target == "granted" else None


def reader_of(cell: Cell, zone: ZoneInfo) -> Callable[[Any], Any] | None:
    """What reads a column's values as their declared type, raising ValueError in words; None: nothing is to be read.

    `zone` is that of instants written without one.
    """
    if cell.type == "date":
        return lambda value: _date(value, cell.format)
    if cell.format:
        return lambda value: _written(value, cell.format, zone)
    match cell.type:
        case None:
            return None
        case "text":
            return str
        case "number":
            return _number
        case "boolean":
            return _boolean
        case "instant":
            return lambda value: _instant(str(value).strip(), zone)
        case "json":
            return _json


def _boolean(value: Any) -> bool:
    text = str(value).strip()
    if text.lower() not in _BOOLEANS:
        raise ValueError(f"{text!r} is neither true nor false")
    return _BOOLEANS[text.lower()]


def _json(value: Any) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ValueError(f"{value[:60]!r} is not JSON") from None


def _date(value: Any, format: str) -> str:
    """A day as ISO 8601; of an instant its day as it is written, whatever its zone."""
    text = str(value).strip()
    try:
        return (datetime.strptime(text, format) if format else datetime.fromisoformat(text)).date().isoformat()
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no date; write it like {format or '1990-12-31'}") from None


_UNITS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1, "days": DAY}


def _written(value: Any, format: str, zone: ZoneInfo) -> str:
    """ISO 8601 of an instant that is written in another way."""
    text = str(value).strip()
    try:
        if format in _UNITS:
            return format_iso(Instant(int(float(text) * _UNITS[format])))
        at = datetime.strptime(text, format)
        return format_iso(from_datetime((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)))
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not written as {format}") from None


def _number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = str(value).strip()
    if len(text) < _SURE_DIGITS and text.isascii() and text.isdecimal():
        return int(text)
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no number; write it like 1234.50")
    number = float(text) if match[2] or match[3] else int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:40]!r} is too large for a number")
    return number


def _instant(text: str, zone: ZoneInfo) -> str:
    if _PLAIN_UTC.fullmatch(text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    try:
        at = parse_iso(text)
        naive = datetime.fromisoformat(text) if zone.key != "UTC" and len(text) <= _PLAIN_CHARS else None
    except InvalidInput as error:
        raise ValueError(f"{error.issues[0].message}; {error.issues[0].hint}") from None
    try:
        if naive is not None and naive.tzinfo is None:
            at = from_datetime(naive.replace(tzinfo=zone).astimezone(UTC))
        return format_iso(at)
    except OverflowError:  # an offset led out of the years 1 to 9999
        raise ValueError(f"{text[:40]!r} is out of range") from None


_PLAIN_CHARS = 26  # 2026-11-22T09:30:00.000000: longer ones state a zone
_PLAIN_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # as we would write it


def _put(call: dict[str, Any], target: str, value: Any) -> None:
    *path, last = target.split(".")
    for step in path:
        call = call.setdefault(step, {})
    call[last] = value
