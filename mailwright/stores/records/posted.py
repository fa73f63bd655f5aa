"""Rows of declared imports that programs post."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa

from mailwright.core.errors import Transient
from mailwright.core.posted import PostedRow
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.schema import posted_row as table

_COLUMNS = (table.c.key, table.c.turn, table.c.position, table.c.digest, table.c.kept)


class SqlPosted:
    """The PostedRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, name: str, keys: Collection[str]) -> dict[str, PostedRow]:
        """See `mailwright.core.posted.PostedRecords.known`."""
        found: dict[str, PostedRow] = {}
        with self._database.read() as connection:
            for part in parts(list(keys)):
                query = sa.select(*_COLUMNS).where(table.c.name == name, table.c.key.in_(part))
                found |= {row["key"]: PostedRow(**row) for row in connection.execute(query).mappings()}
        return found

    def note(self, name: str, rows: Sequence[PostedRow]) -> None:
        """See `mailwright.core.posted.PostedRecords.note`."""
        rows = sorted(rows, key=lambda row: row.key)  # in one order for all, so that no two wait for each other
        with self._database.write() as connection:
            # The rows are there before they are read, so that whoever comes second waits for the first.
            unknown = [replace(row, turn=0) for row in rows if row.turn == 1]
            self._database.insert_new(connection, table, [{"name": name, **asdict(row)} for row in unknown])
            turns: dict[str, int] = {}
            for part in parts([row.key for row in rows]):
                mine = sa.select(table.c.key, table.c.turn).where(table.c.name == name, table.c.key.in_(part))
                locked = connection.execute(mine.order_by(table.c.key).with_for_update())
                turns |= {key: turn for key, turn in locked}
            if any(turns.get(row.key) != row.turn - 1 for row in rows):
                message = f"another writer posts the same rows of the import {name} at this moment"
                raise Transient("posted.raced", message, "send the same batch again; let one writer post these rows")
            self._database.upsert(connection, table, [{"name": name, **asdict(row)} for row in rows])
