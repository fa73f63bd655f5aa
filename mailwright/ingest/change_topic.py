"""Changes of a database's tables as Debezium writes them: one JSON object per change, with its envelope or without.

Nothing here knows how the objects came: by a file, by HTTP or by Kafka.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, format_iso

_OPS = {"c": False, "u": False, "r": False, "d": True}
_POSITION_BITS = (1 << 63) - 1
_FILE_NUMBER = re.compile(r"[0-9]{1,18}$")
_NUMBER = re.compile(r"[0-9]{1,40}")
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999: a time after it is none."""


class Change(NamedTuple):
    """A row as a change left it, or as it was before it was deleted (then perhaps its key alone).

    `at`: when, ISO 8601, empty if not told. `position`: a later change of the same database has a greater or the same.
    """

    row: dict[str, Any]
    deleted: bool
    at: str
    position: int


def change_of(told: Mapping[str, Any]) -> Change | None:
    """The change that an object tells; None for one that tells of no row (a tombstone, a message, a transaction's end).

    Raises:
        InvalidInput: ``import.change``, if it is no change event.
    """
    if "payload" in told and "op" not in told:
        told = told["payload"]
    if told is None:
        return None
    if not isinstance(told, Mapping):
        raise _wrong("its payload is no object")
    op = told.get("op")
    if op in ("m", None) and ("status" in told or op == "m"):
        return None
    if op == "t":
        raise _wrong("the table was emptied by TRUNCATE, which tells no rows", "delete what is gone by compare: true")
    if not isinstance(op, str) or op not in _OPS:
        raise _wrong(f"op {op!r} is none of c, u, d and r")
    deleted = _OPS[op]
    row = told.get("before" if deleted else "after")
    if not isinstance(row, Mapping):
        raise _wrong(f"{'before' if deleted else 'after'} is missing")
    source = told.get("source")
    source = source if isinstance(source, Mapping) else {}
    return Change(dict(row), deleted, _at(told, source), _position(told, source))


def _at(told: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """When the database changed it; when the event was made, if that is all that is told."""
    at = _ms(told, source)
    return format_iso(Instant(at * 1000)) if at else ""


def _ms(told: Mapping[str, Any], source: Mapping[str, Any]) -> int:
    """Unix time in milliseconds; 0 if none is told that can be one."""
    for value in (source.get("ts_ms"), told.get("ts_ms")):
        if isinstance(value, int) and 0 < value <= _LAST_MS:
            return value
    return 0


def _position(told: Mapping[str, Any], source: Mapping[str, Any]) -> int:
    """PostgreSQL's lsn, MySQL's binlog file and place, SQL Server's and Oracle's numbers; else the time in ms."""
    lsn = source.get("lsn")
    if isinstance(lsn, int):
        return lsn & _POSITION_BITS
    file, place = source.get("file"), source.get("pos")
    if isinstance(file, str) and isinstance(place, int) and (number := _FILE_NUMBER.search(file)):
        row = source.get("row")
        return (int(number[0]) << 40 | place << 8 | (row if isinstance(row, int) else 0) & 0xFF) & _POSITION_BITS
    for name in ("scn", "change_lsn"):
        text = str(source.get(name) or "")
        if _NUMBER.fullmatch(text):
            return int(text) & _POSITION_BITS
        parts = text.split(":")
        if len(parts) > 1 and all(re.fullmatch(r"[0-9a-fA-F]+", part) for part in parts):
            return int("".join(parts), 16) & _POSITION_BITS
    return _ms(told, source)


def _wrong(
    message: str, hint: str = 'such as {"op": "u", "before": ..., "after": {...}, "ts_ms": ...}'
) -> InvalidInput:
    return InvalidInput.one("import.change", f"no change event: {message}", hint=hint)
