"""Facts that Records held first, on their way to the log."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from mailwright.core.events import Body, decode_body, encode_body
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.schema import outbox


def add_to_outbox(connection: sa.Connection, bodies: Sequence[Body]) -> None:
    """Add rows in the transaction of what they tell."""
    if bodies:
        connection.execute(sa.insert(outbox), [{"body": encode_body(body)} for body in bodies])


class SqlOutbox:
    """The OutboxRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, limit: int) -> list[tuple[int, Body]]:
        """See `mailwright.core.ports.OutboxRecords.pending`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(outbox.c.id, outbox.c.body).order_by(outbox.c.id).limit(limit)).all()
        return [(row.id, decode_body(row.body)) for row in rows]

    def done(self, ids: Sequence[int]) -> None:
        """See `mailwright.core.ports.OutboxRecords.done`."""
        with self._database.write() as connection:
            for part in parts(ids):
                connection.execute(sa.delete(outbox).where(outbox.c.id.in_(part)))

    def pending_count(self) -> int:
        """See `mailwright.core.ports.OutboxRecords.pending_count`."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
