"""Findings of the monitors over time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import sqlalchemy as sa

from mailwright.core.findings import Finding, KnownFinding
from mailwright.core.instants import Instant
from mailwright.stores.records.database import Database
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import finding


class SqlFindings:
    """The FindingRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def observe(
        self, monitors: Collection[str], findings: Sequence[Finding], now: Instant, *, unsure: Collection[str] = ()
    ) -> list[Finding]:
        """See `mailwright.core.ports.FindingRecords.observe`."""
        seen = {one.key: one for one in findings}
        lasting = sa.and_(finding.c.monitor.in_(monitors), finding.c.resolved_at.is_(None))
        with self._database.write() as connection:
            kept = sa.select(finding.c.key, finding.c.first_at, finding.c.alerted_at).where(lasting)
            known = {row.key: (row.first_at, row.alerted_at) for row in connection.execute(kept)}
            gone = [key for key in known if key not in seen and key not in unsure]
            if gone:
                connection.execute(sa.update(finding).where(finding.c.key.in_(gone)).values(resolved_at=now))
            rows = [
                {
                    "key": key,
                    "monitor": one.monitor,
                    "first_at": known.get(key, (now, None))[0],
                    "last_at": now,
                    "resolved_at": None,
                    "alerted_at": known.get(key, (now, None))[1],
                    "told": pack_json(one),
                }
                for key, one in seen.items()
            ]
            self._database.upsert(connection, finding, rows)
        return [one for key, one in seen.items() if key not in known]

    def unalerted(self, monitors: Collection[str]) -> list[Finding]:
        """See `mailwright.core.ports.FindingRecords.unalerted`."""
        query = sa.select(finding.c.told).where(
            finding.c.monitor.in_(monitors), finding.c.resolved_at.is_(None), finding.c.alerted_at.is_(None)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(finding.c.key)).all()
        return [msgspec.convert(unpack_json(row.told), Finding) for row in rows]

    def alerted(self, findings: Sequence[Finding], now: Instant) -> None:
        """See `mailwright.core.ports.FindingRecords.alerted`."""
        keys = [one.key for one in findings]
        with self._database.write() as connection:
            connection.execute(sa.update(finding).where(finding.c.key.in_(keys)).values(alerted_at=now))

    def newest(self, limit: int) -> list[KnownFinding]:
        """See `mailwright.core.ports.FindingRecords.newest`."""
        query = sa.select(finding).order_by(finding.c.resolved_at.is_not(None), finding.c.last_at.desc(), finding.c.key)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [
            KnownFinding(
                finding=msgspec.convert(unpack_json(row.told), Finding),
                first_at=Instant(row.first_at),
                last_at=Instant(row.last_at),
                resolved_at=None if row.resolved_at is None else Instant(row.resolved_at),
            )
            for row in rows
        ]

    def exists(self, key: str) -> bool:
        """See `mailwright.core.ports.FindingRecords.exists`."""
        with self._database.read() as connection:
            return connection.execute(sa.select(finding.c.key).where(finding.c.key == key)).first() is not None
