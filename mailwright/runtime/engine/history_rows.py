"""Rows of History: the tables' columns, and how records become them, a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mailwright.core.events import Body, Event, Item, Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.identifier_key import identifier_key, identifier_keys
from mailwright.profiles.identity import Belonging
from mailwright.rules.fold import Change
from mailwright.rules.fold.typed import Path, columns_of
from mailwright.runtime.engine.merge_rows import MergeRow

_TIME = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema(
    [
        ("offset", pa.int64()),
        ("recorded_at", _TIME),
        ("message_id", pa.string()),
        ("source", pa.string()),
        ("type", pa.string()),
        ("name", pa.string()),
        ("stamp_at", _TIME),
        ("received_at", _TIME),
        ("known_at", _TIME),
        ("identifier_kind", pa.string()),
        ("identifier", pa.string()),
        ("identifier_key", pa.int64()),
        ("properties", pa.string()),
        ("traits", pa.string()),
        ("context", pa.string()),
        ("history", pa.bool_()),
    ]
)
ITEMS = pa.schema(
    [
        ("offset", pa.int64()),
        ("catalog", pa.string()),
        ("item_id", pa.string()),
        ("stamp_at", _TIME),
        ("facts", pa.string()),
    ]
)
TICKS = pa.schema([("offset", pa.int64()), ("at", _TIME)])
TRANSITIONS = pa.schema(
    [
        ("offset", pa.int64()),
        ("at", _TIME),
        ("person", pa.int64()),
        ("segment", pa.string()),
        ("entered", pa.bool_()),
        ("cause", pa.string()),
    ]
)
BELONGING = pa.schema(
    [
        ("offset", pa.int64()),
        ("identifier", pa.string()),
        ("person", pa.int64()),
        ("from_offset", pa.int64()),
        ("to_offset", pa.int64()),
        ("identifier_key", pa.int64()),
    ]
)
"""Identifier (``kind:value``) -> person, for offsets from_offset <= o < to_offset (null: still). A row that closes one
repeats its first three values, so the newest row of (identifier, from_offset) counts."""

DEFINITIONS = pa.schema(
    [("offset", pa.int64()), ("at", _TIME), ("version", pa.int64()), ("files", pa.string()), ("in_force", pa.bool_())]
)
"""One row when a version was applied, with its files as a JSON object, and one when it came in force; often both."""

RECORDS = pa.schema([("offset", pa.int64()), ("at", _TIME), ("kind", pa.string()), ("body", pa.string())])
"""Every other record of the log, its kind being the record's tag, its body JSON."""

LISTS = pa.schema(
    [
        ("offset", pa.int64()),
        ("at", _TIME),
        ("list", pa.string()),
        ("identifier", pa.string()),
        ("added", pa.bool_()),
    ]
)
"""Who came on a list (``kind:value``) or left it; only what really changed."""

MERGES = pa.schema(
    [
        ("offset", pa.int64()),
        ("at", _TIME),
        ("kind", pa.string()),
        ("number", pa.int64()),
        ("person", pa.int64()),
        ("other", pa.int64()),
        ("one", pa.string()),
        ("two", pa.string()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("message_id", pa.string()),
        ("done_by", pa.string()),
    ]
)
"""What happened to the identity graph: merges, splits, and what was refused; see `merge_rows.MergeRow`."""

_json = msgspec.json.Encoder()

Definition = tuple[Offset, Instant, int, "dict[str, str] | None", bool]


def events_table(rows: Sequence[tuple[Offset, Instant, Person, Event]], paths: Sequence[Path]) -> pa.Table:
    """Events column by column, with the typed columns of the paths (see `mailwright.rules.fold.typed`)."""
    events = [row[3] for row in rows]
    first = [event.identifiers[0] for event in events]
    told = {
        "offset": _numbers([row[0] for row in rows]),
        "recorded_at": _times([row[1] for row in rows]),
        "message_id": [event.message_id for event in events],
        "source": [event.source for event in events],
        "type": [event.type for event in events],
        "name": [event.name for event in events],
        "stamp_at": _times([event.stamp_at for event in events]),
        "received_at": _times([event.received_at for event in events]),
        "known_at": _times([event.known_at for event in events]),
        "identifier_kind": [identifier.kind for identifier in first],
        "identifier": [identifier.value for identifier in first],
        "identifier_key": identifier_keys([f"{each.kind}:{each.value}" for each in first]),
        "properties": _texts([event.properties for event in events]),
        "traits": _texts([event.traits for event in events]),
        "context": _texts([event.context for event in events]),
        "history": [event.history for event in events],
    }
    columns = {field.name: pa.array(told[field.name], field.type) for field in EVENTS}
    for path in paths:
        inside = [event.context if path[0] == "context" else event.properties for event in events]
        columns |= columns_of(inside, path)
    return pa.table(columns)


def items_table(rows: Sequence[tuple[Offset, Item]]) -> pa.Table:
    """Item versions."""
    return _table(ITEMS, [(at, item.catalog, item.item_id, item.stamp_at, _text(item.facts)) for at, item in rows])


def ticks_table(rows: Sequence[tuple[Offset, Instant]]) -> pa.Table:
    """Ticks."""
    return _table(TICKS, rows)


def transitions_table(rows: Sequence[tuple[Offset, Instant, Change]]) -> pa.Table:
    """Changes of membership."""
    told = [(offset, at, each.person, each.segment, each.entered, each.cause) for offset, at, each in rows]
    return _table(TRANSITIONS, told)


def belonging_table(rows: Sequence[tuple[Offset, Belonging]]) -> pa.Table:
    """Rows of the identity graph."""
    return _table(BELONGING, [(offset, *row, identifier_key(row.identifier)) for offset, row in rows])


def definitions_table(rows: Sequence[Definition]) -> pa.Table:
    """Versions, applied and in force."""
    return _table(DEFINITIONS, [(*row[:3], None if row[3] is None else _text(row[3]), row[4]) for row in rows])


def records_table(rows: Sequence[tuple[Offset, Instant, Body]]) -> pa.Table:
    """Records of any other kind."""
    plain = [(offset, at, msgspec.to_builtins(body)) for offset, at, body in rows]
    return _table(RECORDS, [(offset, at, body.pop("type"), _json.encode(body).decode()) for offset, at, body in plain])


def merges_table(rows: Sequence[MergeRow]) -> pa.Table:
    """What happened to the identity graph."""
    return _table(MERGES, rows)


def lists_table(rows: Sequence[tuple[Offset, Instant, str, str, bool]]) -> pa.Table:
    """Changes of lists."""
    return _table(LISTS, rows)


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _numbers(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int64)


def _times(values: Sequence[Instant]) -> Any:
    return np.array(values, dtype=np.int64).view("datetime64[us]")


def _texts(values: Sequence[dict[str, Any]]) -> list[str | None]:
    encode = _json.encode
    return [encode(value).decode() if value else None for value in values]


def _text(value: dict[str, Any]) -> str | None:
    return _json.encode(value).decode() if value else None
