"""Tags that forms told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from mailwright.core.instants import DAY, Instant
from mailwright.stores.records.database import Database
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import form_tags as table

_KEPT = 7 * DAY


class SqlTags:
    """The TagRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(
        self,
        owner: str,
        now: Instant,
        *,
        known: Sequence[str],
        known_at: Instant,
        added: Collection[str],
        removed: Collection[str],
    ) -> tuple[list[str], Instant]:
        """See `mailwright.core.ports.TagRecords.change`."""
        mine = table.c.owner == owner
        with self._database.write() as connection:
            # The row is there before it is read, so that whoever comes second waits for it.
            self._database.insert_new(connection, table, [{"owner": owner, "tags": pack_json([]), "at": 0}])
            packed, at = connection.execute(sa.select(table.c.tags, table.c.at).where(mine).with_for_update()).one()
            present = unpack_json(packed) if at > known_at else known
            taken = set(removed).difference(added)
            tags = list(dict.fromkeys([*(tag for tag in present if tag not in taken), *added]))
            stamp = Instant(max(now, at + 1, known_at + 1))
            connection.execute(sa.update(table).where(mine).values(tags=pack_json(tags), at=stamp))
            connection.execute(sa.delete(table).where(table.c.at < now - _KEPT))
        return tags, stamp
