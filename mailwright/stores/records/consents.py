"""Consent ledger and suppression list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mailwright.core.events import AddressSuppressed, ConsentChanged
from mailwright.core.instants import Instant
from mailwright.core.ports import Consent
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.outbox import add_to_outbox
from mailwright.stores.records.schema import consent, suppression


class SqlConsents:
    """The ConsentRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, consents: Sequence[Consent]) -> None:
        """See `mailwright.core.ports.ConsentRecords.record`."""
        if not consents:
            return
        with self._database.write() as connection:
            add_consents(connection, consents)

    def granted(self, address_hashes: Sequence[str], purpose: str) -> set[str]:
        """See `mailwright.core.ports.ConsentRecords.granted`; of rows with the same `at` the later recorded counts."""
        newest: dict[str, bool] = {}
        with self._database.read() as connection:
            for part in parts(address_hashes):
                wanted = sa.and_(consent.c.address_hash.in_(part), consent.c.purpose == purpose)
                rows = connection.execute(
                    sa.select(consent.c.address_hash, consent.c.granted)
                    .where(wanted)
                    .order_by(consent.c.at, consent.c.id)
                )
                newest.update((row.address_hash, row.granted) for row in rows)
        return {address_hash for address_hash, granted in newest.items() if granted}

    def ledger(self, address_hash: str) -> list[Consent]:
        """See `mailwright.core.ports.ConsentRecords.ledger`."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(consent).where(consent.c.address_hash == address_hash).order_by(consent.c.at, consent.c.id)
            ).all()
        return [
            Consent(
                address_hash=row.address_hash,
                purpose=row.purpose,
                granted=row.granted,
                at=Instant(row.at),
                source=row.source,
                wording=row.wording,
            )
            for row in rows
        ]

    def suppress(self, reasons: Mapping[str, str], at: Instant) -> None:
        """See `mailwright.core.ports.ConsentRecords.suppress`."""
        if not reasons:
            return
        rows = [{"address_hash": one, "reason": reason, "at": at} for one, reason in reasons.items()]
        with self._database.write() as connection:
            self._database.insert_new(connection, suppression, rows)
            add_to_outbox(connection, [AddressSuppressed(one, reason, at) for one, reason in reasons.items()])

    def suppressed(self, address_hashes: Sequence[str]) -> dict[str, str]:
        """See `mailwright.core.ports.ConsentRecords.suppressed`."""
        found: dict[str, str] = {}
        columns = (suppression.c.address_hash, suppression.c.reason)
        with self._database.read() as connection:
            for part in parts(address_hashes):
                rows = connection.execute(sa.select(*columns).where(suppression.c.address_hash.in_(part)))
                found.update((row.address_hash, row.reason) for row in rows)
        return found


def add_consents(connection: sa.Connection, consents: Sequence[Consent]) -> None:
    """Append ledger rows, with an outbox row each."""
    if consents:
        connection.execute(sa.insert(consent), [_row(one) for one in consents])
        add_to_outbox(connection, [_changed(one) for one in consents])


def _row(one: Consent) -> dict[str, object]:
    return {
        "address_hash": one.address_hash,
        "purpose": one.purpose,
        "granted": one.granted,
        "at": one.at,
        "source": one.source,
        "wording": one.wording,
    }


def _changed(one: Consent) -> ConsentChanged:
    return ConsentChanged(one.address_hash, one.purpose, one.granted, one.source, one.wording, one.at)
