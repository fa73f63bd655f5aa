"""People with histories as the relations of `rules.sql.relations` in a DuckDB, beside the interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from strategies import NEW_YORK

from mailwright.core.events import Event, Offset
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.catalog import Catalog
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.sql.compile import Definitions
from mailwright.rules.sql.run import ask

Told = Sequence[tuple[Offset, Event]]
MIDDLE = Offset(2**40)

_EVENTS = pa.schema(
    [
        *((name, pa.int64()) for name in ("offset", "person", "owned_from", "owned_until")),
        *((name, pa.string()) for name in ("type", "name")),
        *((name, pa.int64()) for name in ("stamp", "known")),
        *((name, pa.string()) for name in ("properties", "traits", "context")),
    ]
)
_MOMENTS = pa.schema(
    [
        *((name, pa.int64()) for name in ("moment", "person", "at", "offset")),
        ("first_identifier", pa.string()),
    ]
)
_LISTINGS = pa.schema(
    [
        ("name", pa.string()),
        *((name, pa.int64()) for name in ("person", "listed_from", "listed_until")),
    ]
)


def accepted(told: Told) -> list[tuple[Offset, Event]]:
    """Each (source, messageId) once, the one that came first: what the engine lets into History."""
    first: dict[tuple[str, str], tuple[Offset, Event]] = {}
    for offset, event in sorted(told, key=lambda each: each[0]):
        first.setdefault((event.source, event.message_id), (offset, event))
    return list(first.values())


def by_sql(
    rules: Mapping[str, s.Expression],
    people: Sequence[Told],
    ts: Sequence[Instant],
    lists: Mapping[str, Sequence[int]],
    definitions: Definitions,
) -> dict[int, dict[str, Any]]:
    """Answers by moment; moment `k` is person ``k // len(ts)`` at ``ts[k % len(ts)]``."""
    events = [
        (
            *(offset, person, 0, None, event.type, event.name, event.stamp_at, event.known_at),
            *(_text(event.properties), _text(event.traits), _text(event.context)),
        )
        for person, told in enumerate(people)
        for offset, event in accepted(told)
    ]
    pairs = [(person, t) for person in range(len(people)) for t in ts]
    moments = [(k, person, t, MIDDLE, f"id:{person}") for k, (person, t) in enumerate(pairs)]
    listings = [(name, person, 0, None) for name, listed in lists.items() for person in listed]
    connection = duckdb.connect(":memory:")
    for name, schema, rows in (
        ("known_events", _EVENTS, events),
        ("moments", _MOMENTS, moments),
        ("listings", _LISTINGS, listings),
    ):
        columns = list(zip(*rows, strict=True)) or [()] * len(schema)
        arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
        connection.register(name, pa.table(arrays, schema=schema))
    try:
        return ask(
            rules,
            definitions,
            NEW_YORK,
            lambda sql, bound: connection.sql(sql, params=dict(bound) if bound else None).to_arrow_table(),
        )
    finally:
        connection.close()


def by_interpreter(
    rule: s.Expression,
    told: Told,
    t: Instant,
    person: int,
    lists: Mapping[str, Sequence[int]],
    definitions: Definitions,
) -> Any:
    """What the interpreter says."""
    context = Context(
        attributes=definitions.attributes,
        segments=definitions.segments,
        catalog=Catalog(),
        lists=[name for name, listed in lists.items() if person in listed],
        zone=NEW_YORK,
        first_identifier=f"id:{person}",
        segment_since=lambda name: None,
    )
    return interpret(rule, told, t, context)


def _text(value: dict[str, Any]) -> str | None:
    """As History keeps it."""
    return msgspec.json.encode(value).decode() if value else None
