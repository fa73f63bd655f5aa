"""Rows of a table that is read again and again: what is as it was is not sent, what is gone is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.ingest.deleted import can_end, end_of, is_deleted, remnant_of
from mailwright.ingest.drafts import Draft, draft_kind
from mailwright.ingest.identifiers import is_address
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.mapping import CALL_KINDS, RowMapping
from mailwright.privacy.sealing import Sealer

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.decode
_text = msgspec.json.Encoder(order="sorted").encode
DELETED = b"deleted"
"""What a deleted row says, in the place of its fields."""

_CONTACTS = ("email", "phone")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a change topic says of a row beside its fields.

    Attributes:
        deleted: It is gone.
        at: When it changed, ISO 8601; empty if it does not say.
        position: Its place among all changes; a later one has a greater or the same.
    """

    deleted: bool
    at: str
    position: int


class RowKeys(Protocol):
    """The rows that are known of an import, by their keys. See `mailwright.stores.key_table.KeyTable`."""

    def turn(self, key: bytes, /) -> int:
        """Tells this time from others at which a row of this key was told."""
        ...

    def seen(self, key: bytes) -> None:
        """The row of this key is still there."""
        ...

    def is_new(self, key: bytes, content: bytes, kept: bytes) -> bool:
        """Whether the row of this key is new or says something else than before; it is noted."""
        ...

    def advance(self, key: bytes, position: int, content: bytes, kept: bytes, /) -> bytes | None:
        """A change of the row: what was kept of it before, empty for a new row; None for one to pass over."""
        ...

    def forget(self, key: bytes) -> bytes | None:
        """The row of this key was deleted: what was kept of it, None if it was not there."""
        ...

    def unseen(self) -> Iterator[bytes]:
        """What was kept of each row that was there and was not seen; they are forgotten."""
        ...


class TableDrafts:
    """Drafts of one run of a declared import whose rows go by its columns.

    Args:
        name: Of the import.
        definition: As declared.
        mapping: Of its rows, checked.
        keys: What there was; None if it keeps no keys. A row that changes back to what it said before is sent again.
        seal: For addresses that must be kept to tell the end of a row.
    """

    def __init__(
        self,
        name: str,
        definition: ImportDefinition,
        mapping: RowMapping,
        *,
        keys: RowKeys | None,
        seal: Sealer,
    ) -> None:
        self._name = name
        self._definition = definition
        self._mapping = mapping
        self._keys = keys
        self._seal = seal
        self._only_newest = definition.keeps == "newest"
        self._is_call = mapping.kind in CALL_KINDS
        self._key_columns = definition.keys
        self._deletes = definition.deletes
        self._soft = definition.deletes.column if definition.deletes else ""
        self._cursor = definition.cursor.column if definition.cursor else ""
        self.n_keyless = 0
        """Rows without a key: which ones are gone cannot be said then."""
        self.n_seen = 0
        """Rows that a pass over the keys alone found."""

    def __call__(self, line: int, row: Mapping[str, Any]) -> Sequence[Draft]:
        """The drafts of a row as it is now; none if it is as it was.

        Raises:
            InvalidInput: With every fault of the row.
        """
        key = self._key(line, row)
        known_by = key or (_text(row) if self._only_newest else b"")
        if self._keys is not None:
            self._keys.seen(known_by)  # also if it has a fault: a row that cannot be taken is not gone
        position = row.get(self._cursor) if self._cursor else ""
        if self._soft and is_deleted(row.get(self._soft)):
            remnant = self._remnant(line, row, known_by)
            if remnant is None:
                return ()
            turn = self._turn(known_by, position)
            return (self._end(key, self._words(row), remnant, turn, self._stamp(row))._replace(key=known_by),)
        draft = self._draft(line, row)
        if self._keys is not None and not self._keys.is_new(known_by, _text(draft.body), self._kept(key, row, draft)):
            return ()
        self._name_message(key, draft, self._turn(known_by, position))
        return (draft._replace(key=known_by),)

    def changed(self, line: int, row: Mapping[str, Any], told: Told) -> Sequence[Draft]:
        """The drafts of a change in a topic; none if it is older than what is known. Of a deleted row the key will do.

        Raises:
            InvalidInput: With every fault of the row.
        """
        if self._keys is None:
            raise AssertionError("changes keep keys")
        key = self._key(line, row)
        if told.deleted:
            before = self._keys.advance(key, told.position, DELETED, b"")
            if before is None or self._deletes is None:
                return ()
            remnant = self._opened(before)[2] if before else self._remnant_of_row(line, row)
            if not remnant or not can_end(self._deletes, remnant):
                return ()
            return (self._end(key, self._words(row), remnant, told.position, told.at),)
        draft = self._draft(line, row)
        if told.at and self._is_call:
            draft.body.setdefault("timestamp", told.at)
        elif told.at and self._mapping.kind == "items":
            draft.body.setdefault("stamp", told.at)
        content = _text(draft.body)
        if self._keys.advance(key, told.position, content, self._kept(key, row, draft)) is None:
            return ()
        self._name_message(key, draft, told.position)
        return (draft,)

    def seen(self, row: Mapping[str, Any]) -> None:
        """A row with this key is still there."""
        self.n_seen += 1
        if self._keys is not None:
            self._keys.seen(self._key(0, row))

    def gone(self) -> Iterator[Draft]:
        """What tells the end of every row that was there and was not seen."""
        if self._keys is None or self._deletes is None or not self._deletes.compare:
            return
        for kept in self._keys.unseen():
            key, words, remnant = self._opened(kept) if kept else (b"", "", {})
            if can_end(self._deletes, remnant):
                yield self._end(key, words, remnant, self._keys.turn(key), "")

    def key_of(self, row: Mapping[str, Any]) -> bytes:
        """By what a row is known; empty if it has no key, or a part of it is missing."""
        found = [row.get(column) for column in self._key_columns]
        if any(value is None or value == "" for value in found):
            return b""
        return self._hash([str(value) for value in found]).encode() if found else b""

    # --- parts ---

    def _draft(self, line: int, row: Mapping[str, Any]) -> Draft:
        body = self._mapping.call(line, row)
        if self._is_call and not self._mapping.names_message:
            del body["messageId"]  # made of the row's key: its line says nothing in a table
        return Draft(draft_kind(self._mapping.kind), body)

    def _key(self, line: int, row: Mapping[str, Any]) -> bytes:
        """The row's key under the installation's own hash, for it may be an address; empty without one."""
        if not self._key_columns:
            return b""
        if not (key := self.key_of(row)):
            self.n_keyless += 1
            message = f"the key ({', '.join(self._key_columns)}) is empty"
            raise InvalidInput.one("import.key", message, path=f"line {line}")
        return key

    def _turn(self, known_by: bytes, position: Any) -> Any:
        """What tells this draft of a row from others of the same row: the cursor's value if that is what is kept."""
        return position if self._keys is None or self._only_newest else self._keys.turn(known_by)

    def _words(self, row: Mapping[str, Any]) -> str:
        """The row's key as it may be read by anybody: what is personal, such as a phone number, is left out."""
        return ", ".join(
            "" if self._is_personal(one, row.get(one, "")) else str(row.get(one, "")) for one in self._key_columns
        )

    def _is_personal(self, column: str, value: Any) -> bool:
        cell = self._mapping.cells.get(column)
        names = {column, cell.to.rpartition(".")[2] if cell else column}
        return not names.isdisjoint(self._seal.personal) or is_address(str(value))

    def _name_message(self, key: bytes, draft: Draft, position: Any) -> None:
        if not self._is_call or self._mapping.names_message:
            return
        said = [key.decode()]
        if not key or self._mapping.kind != "track":  # a row of a track import is one event, however often it changes
            said += [str(position), _text(draft.body).decode()]
        draft.body["messageId"] = f"{self._name}-{self._hash(said)}"

    def _stamp(self, row: Mapping[str, Any]) -> str:
        """When a row was deleted, if its soft-delete column is an instant."""
        text = str(row.get(self._soft) or "")
        return text if _INSTANT.fullmatch(text) else ""

    def _remnant(self, line: int, row: Mapping[str, Any], known_by: bytes) -> Mapping[str, Any] | None:
        """What ends a row that its soft-delete column calls deleted; None if that was told, or there is none to end."""
        if self._deletes is None:
            return None
        if self._keys is not None and not self._only_newest:  # then its other fields may be empty or wrong
            kept = self._keys.forget(known_by)
            remnant = self._opened(kept)[2] if kept else {}
        else:
            remnant = remnant_of(self._deletes, self._draft(line, row))
            if self._keys is not None and not self._keys.is_new(known_by, DELETED, b""):
                return None
        return remnant if can_end(self._deletes, remnant) else None

    def _remnant_of_row(self, line: int, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """What ends a row of which nothing is kept: a topic that tells deleted rows whole."""
        if self._deletes is None:
            return None
        try:
            return remnant_of(self._deletes, self._draft(line, row))
        except (InvalidInput, KeyError):
            return None

    def _end(self, key: bytes, words: str, remnant: Mapping[str, Any], position: Any, stamp: str) -> Draft:
        if self._deletes is None:
            raise AssertionError("only an import with deletes ends rows")
        draft = end_of(
            self._deletes,
            remnant,
            message_id=f"{self._name}-{self._hash(['deleted', key.decode(), str(position)])}",
            key=words,
            reason=f"deleted in {self._name}",
            stamp=stamp,
        )
        return draft._replace(key=key)

    def _kept(self, key: bytes, row: Mapping[str, Any], draft: Draft) -> bytes:
        """What is kept of a row to tell its end: addresses and phone numbers sealed."""
        if self._deletes is None or self._only_newest:
            return b""
        remnant = remnant_of(self._deletes, draft)
        for kind in _CONTACTS:
            if remnant.get(kind):
                remnant[kind] = self._seal.seal(kind, remnant[kind])
        return _pack([key, self._words(row), _text(remnant)])  # as text, for in JSON numbers have any length

    def _opened(self, kept: bytes) -> tuple[bytes, str, dict[str, Any]]:
        key, words, told = _unpack(kept)
        remnant = msgspec.json.decode(told) if isinstance(told, bytes) else told  # earlier versions kept no text
        for kind in _CONTACTS:
            if Sealer.is_sealed(remnant.get(kind)):
                remnant[kind] = self._seal.unseal(remnant[kind])
        return key, words, remnant

    def _hash(self, said: Sequence[str]) -> str:
        return self._seal.hash("import", _text(said).decode())
