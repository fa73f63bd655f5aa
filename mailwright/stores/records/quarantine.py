"""Items that wait to be mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from mailwright.core.errors import Transient
from mailwright.core.instants import Instant
from mailwright.core.sources import Quarantined, QuarantineFilter, Reason, Tally
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.packing import pack_bytes, pack_json, unpack_bytes, unpack_json
from mailwright.stores.records.schema import quarantined
from mailwright.stores.records.sources import add_tallies

_PAGE = 500


class SqlQuarantine:
    """The QuarantineRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hold(self, items: Sequence[Quarantined], most: int, most_of_source: int | None = None) -> int:
        """See `mailwright.core.sources.QuarantineRecords.hold`."""
        with self._database.write() as connection:
            n_new = self._database.insert_counted(connection, quarantined, [_row(item) for item in items])
            count = sa.select(sa.func.count()).select_from(quarantined)
            n = connection.execute(count).scalar_one()
            if n > most:
                raise _full(f"{most:,} items")
            room = min(most_of_source or most, max(1, most - n))
            for source in {item.source for item in items}:
                if connection.execute(count.where(quarantined.c.source == source)).scalar_one() > room:
                    raise _full(f"{room:,} items of {source}")
        return n_new

    def find(self, wanted: QuarantineFilter, limit: int) -> list[Quarantined]:
        """See `mailwright.core.sources.QuarantineRecords.find`. Reasons are looked through row by row."""
        table, before, found = quarantined, wanted.before, list[Quarantined]()
        conditions = [
            column == value
            for column, value in ((table.c.source, wanted.source), (table.c.event, wanted.event))
            if value
        ]
        while len(found) < limit:
            here = [*conditions, *([table.c.id < before] if before else [])]
            query = sa.select(table).where(*here).order_by(table.c.id.desc()).limit(_PAGE)
            with self._database.read() as connection:
                rows = connection.execute(query).mappings().all()
            if not rows:
                break
            before = rows[-1]["id"]
            found += [item for item in map(_item, rows) if _is_meant(item, wanted)]
        return found[:limit]

    def get(self, number: int) -> Quarantined | None:
        """See `mailwright.core.sources.QuarantineRecords.get`."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(quarantined).where(quarantined.c.id == number)).mappings().first()
        return _item(row) if row else None

    def explain(self, number: int, reasons: Sequence[Reason], body: str) -> None:
        """See `mailwright.core.sources.QuarantineRecords.explain`."""
        changed = {"reasons": _packed(reasons), "body": pack_bytes(body.encode())}
        with self._database.write() as connection:
            connection.execute(sa.update(quarantined).where(quarantined.c.id == number).values(changed))

    def remove(self, counted: Mapping[int, Tally]) -> int:
        """See `mailwright.core.sources.QuarantineRecords.remove`."""
        there: list[int] = []
        with self._database.write() as connection:
            for part in parts(list(counted)):
                gone = sa.delete(quarantined).where(quarantined.c.id.in_(part)).returning(quarantined.c.id)
                there += connection.execute(gone).scalars()
            add_tallies(self._database, connection, [counted[number] for number in there])
        return len(there)

    def count(self) -> int:
        """See `mailwright.core.sources.QuarantineRecords.count`."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(quarantined)).scalar_one()

    def forget(self, before: Instant) -> int:
        """See `mailwright.core.sources.QuarantineRecords.forget`."""
        with self._database.write() as connection:
            return connection.execute(sa.delete(quarantined).where(quarantined.c.received_at < before)).rowcount


def _full(held: str) -> Transient:
    message = f"{held} are held for mending already, and no more are kept"
    return Transient("quarantine.full", message, "mend or discard some; what is sent again is taken then")


def _is_meant(item: Quarantined, wanted: QuarantineFilter) -> bool:
    if not (wanted.field or wanted.kind):
        return True
    return any(wanted.field in ("", one.field) and wanted.kind in ("", one.kind) for one in item.reasons)


def _row(item: Quarantined) -> dict[str, Any]:
    plain = ("source", "message_id", "source_kind", "event", "received_at", "history", "imported")
    told = {name: getattr(item, name) for name in plain}
    return told | {"reasons": _packed(item.reasons), "body": pack_bytes(item.body.encode())}


def _packed(reasons: Sequence[Reason]) -> bytes:
    return pack_json([asdict(reason) for reason in reasons])


def _item(row: sa.RowMapping) -> Quarantined:
    reasons = [Reason(**one) for one in unpack_json(row["reasons"])]
    return Quarantined(**{**row, "reasons": reasons, "body": unpack_bytes(row["body"]).decode()})
