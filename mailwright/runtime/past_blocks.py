"""History's events as blocks of columns, for the fold in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import expressions as exp

from mailwright.core.errors import NotFound
from mailwright.core.events import Event, Identifier, Offset
from mailwright.core.instants import Instant
from mailwright.core.ports import History, Piece
from mailwright.rules.fold.blocks import Block
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.rules.fold.typed import Path, Typed, column_suffix
from mailwright.runtime.graphs import NOBODY, keys_in

_EVENT = ("message_id", "source", "type", "name", "identifier_kind", "identifier")
_INSTANTS = ("stamp_at", "received_at", "known_at")
_OBJECTS = ("properties", "traits", "context")
WHOLE_EVENT = (*_EVENT, *_INSTANTS, *_OBJECTS, "history")
"""The columns that `events_in` needs."""

_PLAIN = ("offset", "stamp_at", "known_at", "type", "name")
_KINDS = ("kind", "number", "text", "boolean")

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Owners(Protocol):
    """Says whose an event is."""

    def persons_of(self, keys: Ints) -> Ints:
        """The person whose each identifier key is; NOBODY for one whose events are not wanted."""
        ...


def blocks(
    history: History,
    owners: Owners,
    upto: Offset,
    paths: Sequence[Path],
    *,
    persons: Bools | None = None,
) -> Iterator[Block]:
    """Events with offset <= upto in order, as blocks with the typed columns that there are for the paths.

    Args:
        history: Where from.
        owners: Whose each event is; what belongs to nobody is left out.
        upto: The last offset.
        paths: Typed columns to have at hand; a path without any is asked of the events themselves.
        persons: By number, whose events are wanted; None: everybody's.
    """
    there = set(history.columns("events"))
    typed = {path: _names(path, there) for path in paths}
    columns = [name for names in typed.values() for name in names.values() if name]
    columns = [*_PLAIN, *columns]
    coded = ["type", "name", *(name for name in columns if name.startswith("text_"))]
    keys = [name for name in ("identifier_key", "identifier_kind", "identifier") if name in there]
    for piece in history.pieces("events", coded):
        block = _block(piece, owners, upto, typed, keys, columns, persons)
        if block is not None:
            yield block


def _names(path: Path, there: set[str]) -> dict[str, str | None]:
    """The columns of a path by kind; empty if there are none."""
    suffix = column_suffix(path)
    if f"kind_{suffix}" not in there:
        return {}
    return {kind: name if (name := f"{kind}_{suffix}") in there else None for kind in _KINDS}


def _block(
    piece: Piece,
    owners: Owners,
    upto: Offset,
    typed: dict[Path, dict[str, str | None]],
    keys: Sequence[str],
    columns: Sequence[str],
    persons: Bools | None,
) -> Block | None:
    person = owners.persons_of(_keys(piece, keys))
    chosen = person != NOBODY
    if persons is not None:
        chosen &= persons[person]
        if not chosen.any():
            return None
    read = piece.read(columns)
    offset = numbers(read, "offset")
    chosen &= offset <= upto
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    whole = len(rows) == len(chosen)
    if not whole:
        read, offset, person = read.take(pa.array(rows)), offset[rows], person[rows]
    made = _made(read, person, typed, lambda asked: _whole(piece, asked if whole else rows[asked]))
    made.naming = lambda asked, name: _naming(piece, asked if whole else rows[asked], name)
    return made


def _naming(piece: Piece, rows: Ints, name: str) -> Bools:
    """Where the JSON text of the traits holds a name: far quicker than making the events."""
    texts = piece.read(["traits"]).column("traits").take(pa.array(rows))
    return np.asarray(pc.match_substring(texts, f'"{name}"').fill_null(False).to_numpy(), dtype=bool)


def _made(
    read: pa.Table, person: Ints, typed: Mapping[Path, dict[str, str | None]], events: Callable[[Ints], list[Event]]
) -> Block:
    call, calls = _calls(read)
    return Block(
        offset=numbers(read, "offset"),
        person=person,
        stamp=numbers(read, "stamp_at"),
        known=numbers(read, "known_at"),
        call=call,
        calls=calls,
        typed={path: _typed(read, names) for path, names in typed.items() if names},
        read=events,
    )


def sampled(history: History, owners: Owners, keys: Ints, upto: Offset, paths: Sequence[Path]) -> Block:
    """All events with offset <= upto of a few identifiers, as one block: what a search finds quicker than `blocks`.

    Args:
        history: Where from.
        owners: Whose each event is.
        keys: The identifiers' keys.
        upto: The last offset.
        paths: Typed columns to have at hand.
    """
    there = set(history.columns("events"))
    if "identifier_key" not in there:
        raise NotFound("history.column", "History is older than identifier keys", "ask for the exact answer")
    typed = {path: _names(path, there) for path in paths}
    columns = [*_PLAIN, "identifier_key", *(name for names in typed.values() for name in names.values() if name)]
    read = _found(history, columns, keys, upto)
    whole: list[pa.Table] = []

    def events(rows: Ints) -> list[Event]:
        if not whole:
            whole.append(_found(history, ["offset", *WHOLE_EVENT], keys, upto))
        return list(events_in(whole[0].take(pa.array(rows))))

    return _made(read, owners.persons_of(numbers(read, "identifier_key")), typed, events)


def _found(history: History, columns: Sequence[str], keys: Ints, upto: Offset) -> pa.Table:
    tree = (
        exp.select(*(exp.column(name, quoted=True) for name in columns))
        .from_("events")
        .where('"identifier_key" IN (SELECT unnest($keys)) AND "offset" <= $upto', dialect="duckdb")
        .order_by('"offset"', dialect="duckdb")
    )
    return history.query(tree.sql(dialect="duckdb"), {"keys": keys.tolist(), "upto": int(upto)})


def _keys(piece: Piece, keys: Sequence[str]) -> Ints:
    if keys[0] == "identifier_key":
        read = piece.read(keys[:1])
        if not read[0].null_count:
            return numbers(read, "identifier_key")
    return keys_in(piece.read(keys[-2:]).combine_chunks().to_batches()[0])


def _calls(read: pa.Table) -> tuple[Ints, list[tuple[str, str]]]:
    """Each event's place among the distinct (type, name), and those."""
    types, names = (_coded(read[name]) for name in ("type", "name"))
    pair = types[0] * len(names[1]) + names[0]
    there = np.flatnonzero(np.bincount(pair, minlength=len(types[1]) * len(names[1])))
    renumbered = np.zeros(len(types[1]) * len(names[1]), dtype=np.int64)
    renumbered[there] = np.arange(len(there))
    calls = [(types[1][each // len(names[1])], names[1][each % len(names[1])]) for each in there.tolist()]
    return renumbered[pair], calls


def _coded(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    array = _one(column)
    array = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    return array.indices.to_numpy(zero_copy_only=False).astype(np.int64), array.dictionary.to_pylist()


def _typed(read: pa.Table, names: dict[str, str | None]) -> Typed:
    return Typed(*(None if (name := names[kind]) is None else _one(read[name]) for kind in _KINDS))


def _one(column: pa.ChunkedArray) -> pa.Array:
    column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def numbers(rows: pa.Table | pa.RecordBatch, name: str) -> Ints:
    """A column of numbers or instants, without nulls."""
    return np.asarray(rows.column(name).cast(pa.int64()).to_numpy(), dtype=np.int64)


def _whole(piece: Piece, rows: Ints) -> list[Event]:
    return list(events_in(piece.read(WHOLE_EVENT).take(pa.array(rows))))


def events_in(rows: pa.Table | pa.RecordBatch) -> Iterator[Event]:
    """The events of rows with the columns of WHOLE_EVENT, each with its first identifier alone."""
    texts = zip(*(rows.column(name).to_pylist() for name in _EVENT), strict=True)
    instants = zip(*(numbers(rows, name).tolist() for name in _INSTANTS), strict=True)
    objects = zip(*(_objects(rows.column(name)) for name in _OBJECTS), strict=True)
    history = rows.column("history").to_pylist()
    for who, when, what, imported in zip(texts, instants, objects, history, strict=True):
        message_id, source, kind, name, identifier_kind, identifier = who
        yield Event(
            message_id=message_id,
            source=source,
            type=kind,
            name=name,
            stamp_at=Instant(when[0]),
            received_at=Instant(when[1]),
            known_at=Instant(when[2]),
            identifiers=[Identifier(identifier_kind, identifier)],
            properties=what[0],
            traits=what[1],
            context=what[2],
            history=bool(imported),
        )


def _objects(column: pa.Array) -> list[dict[str, Any]]:
    return [_decode(text) if text else {} for text in column.to_pylist()]
