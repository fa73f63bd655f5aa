"""Whose a row of History is, table by table, and what is left of it when a person is erased."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mailwright.core.events import Person

_json = msgspec.json.Encoder()

_TELLING = 8
GONE = "erased"
"""Stands in `records` where an identifier stood, and before the tombstones of `belonging`."""


@dataclass(slots=True)
class Erased:
    """The person to erase.

    Attributes:
        identifiers: As ``kind:value``.
        persons: Their numbers, also those that were merged into another.
    """

    identifiers: frozenset[str]
    persons: frozenset[Person]
    _words: frozenset[str] = field(init=False)
    _texts: list[str] = field(init=False)
    _names: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Work out how the person may be named."""
        values = {identifier.partition(":")[2] for identifier in self.identifiers}
        # A short value alone, such as user id 7, may mean anything; with its kind beside it, it means the person.
        self._words = frozenset(self.identifiers | {value for value in values if len(value) >= _TELLING})
        self._texts = [_json.encode(text).decode() for text in sorted(self.identifiers | values)]
        token = uuid.uuid4().hex
        self._names = {name: f"{GONE}:{token}-{place}" for place, name in enumerate(sorted(self.identifiers))}

    def columns(self, table: str) -> list[str]:
        """What must be read of a table to know whether a row is the person's; none if it can hold nobody."""
        return _COLUMNS.get(table, [])

    def mask(self, table: str, rows: pa.Table) -> pa.Array:
        """Which rows are the person's, or name them."""
        match table:
            case "events":
                names = pc.binary_join_element_wise(rows["identifier_kind"], rows["identifier"], ":")
                return _among(names, self.identifiers)
            case "belonging" | "lists":
                return _among(rows["identifier"], self.identifiers)
            case "merges":
                both = zip(rows["one"].to_pylist(), rows["two"].to_pylist(), strict=True)
                found = [any(name in self._names for name in _lines(one, two)) for one, two in both]
                return pa.array(found, pa.bool_())
            case "transitions":
                return pc.is_in(rows["person"], value_set=pa.array(sorted(self.persons), pa.int64()))
            case _:
                # Nearly no row of it has one of the words in it: so the text is searched before it is read.
                return pa.array([self._named_in(body) for body in rows["body"].to_pylist()], pa.bool_())

    def left(self, table: str, rows: pa.Table) -> pa.Table | None:
        """What stands for these rows, all of them the person's, from now on; None: nothing.

        The graph keeps a row that says that the number was somebody, or its numbers would have holes; a record keeps
        what it says of others.
        """
        if table == "belonging":
            texts = [self._names[name] for name in rows["identifier"].to_pylist()]
            rows = rows.set_column(
                rows.schema.get_field_index("identifier"), "identifier", pa.array(texts, pa.string())
            )
            place = rows.schema.get_field_index("identifier_key")
            return (
                rows if place < 0 else rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), pa.int64()))
            )
        if table == "merges":
            return self._renamed(self._renamed(rows, "one"), "two")
        if table == "records":
            bodies = [
                _json.encode(self._without(msgspec.json.decode(body))).decode() for body in rows["body"].to_pylist()
            ]
            return rows.set_column(rows.schema.get_field_index("body"), "body", pa.array(bodies, pa.string()))
        return None

    def _renamed(self, rows: pa.Table, column: str) -> pa.Table:
        told = rows[column].to_pylist()
        texts = [None if text is None else "\n".join(self._names.get(n, n) for n in text.split("\n")) for text in told]
        return rows.set_column(rows.schema.get_field_index(column), column, pa.array(texts, pa.string()))

    def _named_in(self, body: str) -> bool:
        if not any(text in body for text in self._texts):
            return False
        told = msgspec.json.decode(body)
        return bool(self._without(told) != told)

    def _without(self, value: Any) -> Any:
        if isinstance(value, dict):
            if f"{value.get('kind')}:{value.get('value')}" in self.identifiers:
                return {**value, "value": GONE}
            return {key: self._without(each) for key, each in value.items() if key not in self._words}
        if isinstance(value, list):
            if len(value) == 2 and f"{value[0]}:{value[1]}" in self.identifiers:  # an identifier, as the log writes it
                return [value[0], GONE]
            return [self._without(each) for each in value if not (isinstance(each, str) and each in self._words)]
        return GONE if isinstance(value, str) and value in self._words else value


ERASED_TABLES = ("events", "transitions", "lists", "records", "merges", "belonging")
"""Tables that may name a person, the one that says who it is at the end: broken off, it can be begun again."""

_COLUMNS = {
    "events": ["identifier_kind", "identifier"],
    "belonging": ["identifier"],
    "lists": ["identifier"],
    "transitions": ["person"],
    "records": ["body"],
    "merges": ["one", "two"],
}


def _lines(*texts: str | None) -> list[str]:
    return [line for text in texts if text for line in text.split("\n")]


def _among(texts: Any, names: Collection[str]) -> pa.Array:
    return pc.is_in(texts, value_set=pa.array(sorted(names), pa.string()))
