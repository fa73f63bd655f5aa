"""How the rows of a file become calls or catalog items: declared as data, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.core.instants import format_iso, from_datetime, parse_iso
from mailwright.ingest.limits import LIMITS, Limits

CellType = Literal["text", "number", "boolean", "instant", "json"]

_NUMBER = re.compile(r"[+-]?(\d+)(\.\d+)?([eE][+-]?\d{1,3})?")
_LARGEST = float((1 << 63) - 1)  # no sum or column holds more
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CALL_FIELDS = ("userId", "anonymousId", "messageId", "timestamp")
# Per kind: fields of the call itself, and the object that others are put into.
_TARGETS: dict[str, tuple[tuple[str, ...], str]] = {
    "identify": (_CALL_FIELDS, "traits"),
    "track": ((*_CALL_FIELDS, "event"), "properties"),
    "items": (("item_id", "stamp"), "facts"),
}
_WHEN = ("timestamp", "stamp")


class Cell(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a column's values go, and what they are read as; without a type as they come (text, from a CSV)."""

    to: str
    type: CellType | None = None


class RowMapping(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a file's rows are.

    Attributes:
        kind: ``as`` in YAML: one identify call, track call or catalog item per row.
        columns: Column -> target: ``userId``, ``timestamp``, ``traits.email``, ``properties.total``, ``item_id``,
            ``facts.price``, ... Columns that are not named are not read.
        event: Name of the track event, unless a column gives it.
        catalog: Name of the catalog of items.
        constants: Target -> value for every row.
        zone: Time zone of instants that are written without one.
    """

    kind: Literal["identify", "track", "items"] = msgspec.field(name="as")
    columns: Mapping[str, str | Cell]
    event: str = ""
    catalog: str = ""
    constants: Mapping[str, Any] = {}
    zone: str = "UTC"

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Columns with their cells; what is an instant by its target is read as one."""
        return {
            column: cell if isinstance(cell, Cell) else Cell(to=cell, type="instant" if cell in _WHEN else None)
            for column, cell in self.columns.items()
        }

    @cached_property
    def tzinfo(self) -> ZoneInfo:
        """The zone; `check` finds one that there is not."""
        return ZoneInfo(self.zone)

    def check(self, path: str, columns: Sequence[str] | None = None) -> list[Issue]:
        """Faults of the mapping in itself and, if known, against a file's columns; `path` is where it is declared."""
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
        return issues + self._missing(path, targets)

    def _target_fault(self, path: str, target: str) -> Issue | None:
        fields, inside = _TARGETS[self.kind]
        first, _, rest = target.partition(".")
        if target in fields or (first in (inside, "context") and all(rest.split("."))):
            return None
        known = [*fields, f"{inside}.{target.rpartition('.')[2] or 'name'}"]
        message = f"{target!r} is nothing that a row can fill for {self.kind}"
        return Issue(path=path, message=message, hint=nearest(target, known))

    def _missing(self, path: str, targets: Sequence[str]) -> list[Issue]:
        found = []
        if self.kind == "items":
            if not self.catalog:
                found.append(Issue(path=path, message="items need a catalog", hint="add catalog: products"))
            if "item_id" not in targets:
                found.append(Issue(path=f"{path}.columns", message="no column gives the item_id"))
        elif not {"userId", "anonymousId", "traits.email", "context.traits.email"} & set(targets):
            found.append(
                Issue(path=f"{path}.columns", message="no column says who: userId, anonymousId or traits.email")
            )
        if self.kind == "track" and not self.event and "event" not in targets:
            found.append(Issue(path=path, message="track needs the event's name", hint="add event: Order Completed"))
        try:
            self.tzinfo  # noqa: B018 - looking it up is the check
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found.append(Issue(path=f"{path}.zone", message=f"there is no time zone {self.zone!r}"))
        return found

    def call(self, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """The call, or item, that a row is. Missing and empty fields are left out.

        Without a column for it, the message id follows from the row and its line: the same file twice counts once.

        Raises:
            InvalidInput: ``file.value``: every field that cannot be read as its type.
        """
        call = self._frame()
        issues = []
        for column, cell in self.cells.items():
            value = row.get(column)
            if value is None or value == "":
                continue
            try:
                _put(call, cell.to, read_cell(value, cell.type, self.tzinfo))
            except ValueError as error:
                issues.append(Issue(path=f"line {line}, column {column}", message=str(error)))
        if issues:
            raise InvalidInput("file.value", issues)
        if self.kind != "items" and "messageId" not in call:
            call["messageId"] = f"row-{line}-{blake2b(msgspec.json.encode(row), digest_size=12).hexdigest()}"
        return call

    def _frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = {"catalog": self.catalog, "facts": {}} if self.kind == "items" else {"type": self.kind}
        if self.event:
            frame["event"] = self.event
        for target, value in self.constants.items():
            _put(frame, target, value)
        return frame


def read_cell(value: Any, type: CellType | None, zone: ZoneInfo) -> Any:
    """A field as its declared type.

    Raises:
        ValueError: If it is none, in words.
    """
    text = str(value).strip()
    match type:
        case None:
            return value
        case "text":
            return str(value)
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else _number(text)
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise ValueError(f"{text!r} is neither true nor false")
            return _BOOLEANS[text.lower()]
        case "instant":
            return _instant(text, zone)
        case "json":
            try:
                return msgspec.json.decode(text) if isinstance(value, str) else value
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                raise ValueError(f"{text[:60]!r} is not JSON") from None


def _number(text: str) -> int | float:
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no number; write it like 1234.50")
    number = float(text) if match[2] or match[3] else int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:40]!r} is too large for a number")
    return number


def _instant(text: str, zone: ZoneInfo) -> str:
    try:
        at = parse_iso(text)
        naive = datetime.fromisoformat(text) if zone.key != "UTC" and len(text) <= _PLAIN_CHARS else None
    except InvalidInput as error:
        raise ValueError(f"{error.issues[0].message}; {error.issues[0].hint}") from None
    if naive is not None and naive.tzinfo is None:
        at = from_datetime(naive.replace(tzinfo=zone).astimezone(UTC))
    return format_iso(at)


_PLAIN_CHARS = 26  # 2026-11-22T09:30:00.000000: longer ones state a zone


def _put(call: dict[str, Any], target: str, value: Any) -> None:
    *path, last = target.split(".")
    for step in path:
        call = call.setdefault(step, {})
    call[last] = value


def batches(calls: Iterable[Mapping[str, Any]], list_key: str = "batch", limits: Limits = LIMITS) -> Iterator[bytes]:
    """Request bodies that hold `calls` in order, each as full as the limits allow.

    Args:
        calls: Calls or, with `list_key` ``items``, catalog items.
        list_key: The list's name in the body.
        limits: Of the door that they go to.
    """
    head, tail = f'{{"{list_key}":['.encode(), b"]}"
    held: list[bytes] = []
    size = len(head) + len(tail)
    for call in calls:
        raw = msgspec.json.encode(call)
        if held and (len(held) == limits.request_items or size + len(raw) + len(held) > limits.request_bytes):
            yield head + b",".join(held) + tail
            held, size = [], len(head) + len(tail)
        held.append(raw)
        size += len(raw)
    if held:
        yield head + b",".join(held) + tail
