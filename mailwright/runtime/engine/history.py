"""What the engine folded, written to History in closed chunks by a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from mailwright.core.errors import Transient
from mailwright.core.events import Body, Event, Item, Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.ports import History
from mailwright.profiles.identifier_key import identifier_key
from mailwright.rules.fold import Change
from mailwright.runtime.engine.state import Folded

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

_PARTS = ("events", "items", "ticks", "changes", "belongings", "definitions", "records")

_json = msgspec.json.Encoder()


def _text(value: dict[str, Any]) -> str | None:
    return _json.encode(value).decode() if value else None


def _event_row(offset: Offset, recorded_at: Instant, event: Event) -> tuple[Any, ...]:
    identifier = event.identifiers[0]
    return (
        offset,
        recorded_at,
        event.message_id,
        event.source,
        event.type,
        event.name,
        event.stamp_at,
        event.received_at,
        event.known_at,
        identifier.kind,
        identifier.value,
        identifier_key(f"{identifier.kind}:{identifier.value}"),
        _text(event.properties),
        _text(event.traits),
        _text(event.context),
        event.history,
    )


def _item_row(offset: Offset, item: Item) -> tuple[Any, ...]:
    return offset, item.catalog, item.item_id, item.stamp_at, _text(item.facts)


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


class HistoryWriter:
    """Collects folded rows and appends them in chunks; one writer, at its own pace behind the engine."""

    def __init__(self, history: History, *, chunk_rows: int = 50_000) -> None:
        self._history = history
        self._chunk_rows = chunk_rows
        self._open = Folded()
        self._upto = Offset(0)
        self._queue: queue.Queue[tuple[Folded, Offset, threading.Event] | None] = queue.Queue(maxsize=4)
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def offset(self) -> Offset:
        """What the events table holds; all tables are appended before it."""
        return self._history.offset("events")

    def add(self, folded: Folded, upto: Offset) -> None:
        """Take over the rows of one micro-batch; a full chunk goes to the thread."""
        for name in _PARTS:
            getattr(self._open, name).extend(getattr(folded, name))
        self._upto = upto
        if len(self._open.events) + len(self._open.items) + len(self._open.changes) >= self._chunk_rows:
            self.close_chunk()

    def close_chunk(self) -> threading.Event:
        """Hand the open rows to the thread; the event is set when they, and all before, are in History."""
        done = threading.Event()
        self._queue.put((self._open, self._upto, done))
        self._open = Folded()
        return done

    def flush(self) -> None:
        """Wait until everything added so far is in History.

        Raises:
            Transient: If the last append failed; it is tried again with the next chunk.
        """
        self.close_chunk().wait()
        if self._failed is not None:
            raise Transient("history.append", f"History could not be written: {self._failed}") from self._failed

    def stop(self) -> None:
        """Write what is open and end the thread."""
        self.close_chunk()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting = Folded()
        while (job := self._queue.get()) is not None:
            chunk, upto, done = job
            for name in _PARTS:
                getattr(waiting, name).extend(getattr(chunk, name))
            try:
                self._append(waiting, upto)
            except Exception as error:  # noqa: BLE001 whatever the store raises, the rows are kept for the next try
                self._failed = error
            else:
                self._failed = None
                waiting = Folded()
            done.set()

    def _append(self, rows: Folded, upto: Offset) -> None:
        if rows.items:
            self._history.append("items", _table(ITEMS, [_item_row(*row) for row in rows.items]), upto)
        if rows.ticks:
            self._history.append("ticks", _table(TICKS, rows.ticks), upto)
        if rows.changes:
            self._history.append("transitions", _table(TRANSITIONS, [_change(*row) for row in rows.changes]), upto)
        if rows.belongings:
            told = [(offset, *belonging, identifier_key(belonging.identifier)) for offset, belonging in rows.belongings]
            self._history.append("belonging", _table(BELONGING, told), upto)
        if rows.definitions:
            defined = [(*row[:3], row[3] and _json.encode(row[3]).decode(), row[4]) for row in rows.definitions]
            self._history.append("definitions", _table(DEFINITIONS, defined), upto)
        if rows.records:
            others = [_record_row(*row) for row in rows.records]
            self._history.append("records", _table(RECORDS, others), upto)
        # Also without rows: this table's offset says how far History goes, and comes last.
        events = [_event_row(offset, at, event) for offset, at, _, event in rows.events]
        self._history.append("events", _table(EVENTS, events), upto)


def _record_row(offset: Offset, at: Instant, body: Body) -> tuple[Any, ...]:
    plain = msgspec.to_builtins(body)
    return offset, at, plain.pop("type"), _json.encode(plain).decode()


def _change(offset: Offset, at: Instant, change: Change) -> tuple[Offset, Instant, Person, str, bool, str]:
    return offset, at, change.person, change.segment, change.entered, change.cause
