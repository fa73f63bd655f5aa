"""Write keys and what their events were like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from mailwright.core.errors import Transient
from mailwright.core.instants import DAY, MINUTE, Instant
from mailwright.core.sources import CountKind, DayCount, Note, NotTaken, SourceSeen, Tally, ViolationCount, WriteKey
from mailwright.stores.records.database import Database
from mailwright.stores.records.schema import (
    assertion_used,
    meta,
    not_taken,
    source_day,
    source_minute,
    source_note,
    source_seen,
    violation,
    write_key,
)

_KEPT_NOT_TAKEN = 500
_HOUR = 60
_MOST_ASSERTIONS = 50_000


class SqlSources:
    """The SourceRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- keys ---

    def add_key(self, key: WriteKey) -> None:
        """See `mailwright.core.sources.SourceRecords.add_key`."""
        with self._database.write() as connection:
            connection.execute(sa.insert(write_key), [_key_row(key)])

    def key(self, digest: str) -> WriteKey | None:
        """See `mailwright.core.sources.SourceRecords.key`."""
        return self._key_where(write_key.c.digest == digest)

    def client(self, client: str) -> WriteKey | None:
        """See `mailwright.core.sources.SourceRecords.client`."""
        return self._key_where(write_key.c.client == client) if client else None

    def _key_where(self, condition: sa.ColumnElement[bool]) -> WriteKey | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(write_key).where(condition)).mappings().first()
        return WriteKey(**row) if row else None

    def all_keys(self) -> list[WriteKey]:
        """See `mailwright.core.sources.SourceRecords.all_keys`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(write_key)).mappings().all()
        return sorted((WriteKey(**row) for row in rows), key=lambda key: (key.name, key.created_at, key.digest))

    def revoke_key(self, digest: str, at: Instant) -> None:
        """See `mailwright.core.sources.SourceRecords.revoke_key`."""
        ours = sa.and_(write_key.c.digest == digest, write_key.c.revoked_at.is_(None))
        with self._database.write() as connection:
            connection.execute(sa.update(write_key).where(ours).values(revoked_at=at))

    def use_assertion(self, digest: str, until: Instant, now: Instant) -> bool:
        """See `mailwright.core.sources.SourceRecords.use_assertion`."""
        table = assertion_used
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.until < now))
            if connection.execute(sa.select(table.c.until).where(table.c.digest == digest)).first():
                return False
            if connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() >= _MOST_ASSERTIONS:
                raise Transient("oauth.busy", "too many assertions were used lately", "ask for a token once an hour")
            return self._database.insert_once(connection, table, {"digest": digest, "until": until})

    # --- counts ---

    def count(
        self,
        tallies: Sequence[Tally],
        violations: Sequence[ViolationCount],
        refused: Sequence[NotTaken],
        once: tuple[str, str] | None = None,
    ) -> None:
        """See `mailwright.core.sources.SourceRecords.count`."""
        database = self._database
        with database.write() as connection:
            if once is not None and not self._is_first(connection, once):
                return
            add_tallies(database, connection, tallies)
            counts = [_violation_row(one) for one in violations]
            database.add_up(
                connection, violation, counts, add=("n",), newest=("policy", "reason", "example", "last_at")
            )
            if refused:
                connection.execute(sa.insert(not_taken), [_not_taken_row(one) for one in refused])
                last = connection.execute(sa.select(sa.func.max(not_taken.c.id))).scalar_one()
                connection.execute(sa.delete(not_taken).where(not_taken.c.id <= last - _KEPT_NOT_TAKEN))

    def _is_first(self, connection: sa.Connection, once: tuple[str, str]) -> bool:
        key, told = f"counted.{once[0]}", once[1]
        if connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar() == told:
            return False
        self._database.upsert(connection, meta, [{"key": key, "value": told}])
        return True

    def days(self, since_day: int, source: str = "") -> list[DayCount]:
        """See `mailwright.core.sources.SourceRecords.days`."""
        query = sa.select(source_day).where(source_day.c.day >= since_day)
        if source:
            query = query.where(source_day.c.source == source)
        with self._database.read() as connection:
            found = [DayCount(**row) for row in connection.execute(query).mappings()]
        return sorted(found, key=lambda one: (-one.day, one.source, one.kind))

    def seen(self, now: Instant) -> list[SourceSeen]:
        """See `mailwright.core.sources.SourceRecords.seen`."""
        minute = now // MINUTE
        with self._database.read() as connection:
            rows = connection.execute(sa.select(source_seen)).all()
            lately = connection.execute(
                sa.select(source_minute.c.source, source_minute.c.minute, source_minute.c.n).where(
                    source_minute.c.minute > minute - _HOUR
                )
            ).all()
        in_minute: dict[str, int] = {}
        in_hour = dict.fromkeys((row.source for row in rows), 0)
        for row in lately:
            in_hour[row.source] = in_hour.get(row.source, 0) + row.n
            if row.minute >= minute - 1:
                in_minute[row.source] = max(in_minute.get(row.source, 0), row.n)
        found = [
            SourceSeen(
                source=row.source,
                first_at=Instant(row.first_minute * MINUTE),
                last_at=Instant(row.last_minute * MINUTE),
                in_minute=in_minute.get(row.source, 0),
                in_hour=in_hour[row.source],
                accepted=row.accepted,
                refused=row.refused,
                held=row.held,
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: one.source)

    def violations(self, since_day: int) -> list[ViolationCount]:
        """See `mailwright.core.sources.SourceRecords.violations`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(violation).where(violation.c.day >= since_day)).mappings().all()
        found = [ViolationCount(**row) for row in rows]
        return sorted(found, key=lambda one: (-one.day, -one.n, one.source, one.event, one.field, one.kind))

    def not_taken(self, limit: int) -> list[NotTaken]:
        """See `mailwright.core.sources.SourceRecords.not_taken`."""
        columns = [column for column in not_taken.c if column.name != "id"]
        query = sa.select(*columns).order_by(not_taken.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [NotTaken(**row) for row in connection.execute(query).mappings()]

    def forget(self, minutes_before: int, days_before: int, counts_before: int) -> None:
        """See `mailwright.core.sources.SourceRecords.forget`."""
        with self._database.write() as connection:
            connection.execute(sa.delete(source_day).where(source_day.c.day < counts_before))
            connection.execute(sa.delete(source_minute).where(source_minute.c.minute < minutes_before))
            connection.execute(sa.delete(violation).where(violation.c.day < days_before))

    # --- who did what ---

    def note(self, note: Note) -> None:
        """See `mailwright.core.sources.SourceRecords.note`."""
        row = {"at": note.at, "who": note.who, "action": note.action, "detail": note.detail}
        with self._database.write() as connection:
            connection.execute(sa.insert(source_note), [row])

    def notes(self, limit: int) -> list[Note]:
        """See `mailwright.core.sources.SourceRecords.notes`."""
        columns = [column for column in source_note.c if column.name != "id"]
        query = sa.select(*columns).order_by(source_note.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [Note(**row) for row in connection.execute(query).mappings()]


def _key_row(key: WriteKey) -> dict[str, Any]:
    names = ("digest", "name", "kind", "client", "public_key", "created_at", "revoked_at")
    return {name: getattr(key, name) for name in names}


def _minute_row(one: Tally) -> dict[str, Any]:
    return {"source": one.source, "minute": one.minute, "n": one.accepted + one.refused + one.held}


def add_tallies(database: Database, connection: sa.Connection, tallies: Sequence[Tally]) -> None:
    """Add to the counts of minutes, of sources and of days."""
    tallies = _summed(tallies)
    minutes = [row for one in tallies if (row := _minute_row(one))["n"]]
    database.add_up(connection, source_minute, minutes, add=("n",))
    seen = [_seen_row(one) for one in tallies]
    three = ("accepted", "refused", "held")
    database.add_up(connection, source_seen, seen, add=three, greatest=("last_minute",))
    days = [_day_row(one) for one in tallies]
    database.add_up(connection, source_day, days, add=(*three, "dropped"))


def _summed(tallies: Sequence[Tally]) -> list[Tally]:
    """One of each source, kind and minute: a hundred thousand items may be dropped at once."""
    found: dict[tuple[str, CountKind, int], list[Tally]] = {}
    for one in tallies:
        found.setdefault((one.source, one.kind, one.minute), []).append(one)
    counts = ("accepted", "refused", "held", "dropped")
    return [
        replace(each[0], **{name: sum(getattr(one, name) for one in each) for name in counts})
        for each in found.values()
    ]


def _day_row(one: Tally) -> dict[str, Any]:
    names = ("source", "kind", "accepted", "refused", "held", "dropped")
    return {"day": one.minute * MINUTE // DAY, **{name: getattr(one, name) for name in names}}


def _seen_row(one: Tally) -> dict[str, Any]:
    counts = {"accepted": one.accepted, "refused": one.refused, "held": one.held}
    return {"source": one.source, "first_minute": one.minute, "last_minute": one.minute, **counts}


def _violation_row(one: ViolationCount) -> dict[str, Any]:
    return {column.name: getattr(one, column.name) for column in violation.c}


def _not_taken_row(one: NotTaken) -> dict[str, Any]:
    return {column.name: getattr(one, column.name) for column in not_taken.c if column.name != "id"}
