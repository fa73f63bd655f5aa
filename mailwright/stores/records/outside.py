"""Deliveries of webhooks, and answers of services outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mailwright.core.instants import Instant
from mailwright.core.outside import LookupAnswer, WebhookTally
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import lookup_answer, webhook_delivery, webhook_tally

_COUNTS = ("received", "accepted", "refused", "ignored", "replayed")


class SqlWebhooks:
    """The WebhookRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(self, webhook: str, keys: Sequence[str]) -> bool:
        """See `mailwright.core.ports.WebhookRecords.seen`."""
        row = webhook_delivery.c
        query = sa.select(row.key).where(row.webhook == webhook, row.key.in_(keys)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def bind(self, webhook: str, key: str, body: str, at: Instant) -> bool:
        """See `mailwright.core.ports.WebhookRecords.bind`. A second row says to which body."""
        first, bound = ({"webhook": webhook, "key": each, "at": at} for each in (key, f"{key} {body}"))
        table = webhook_delivery
        with self._database.write() as connection:
            if self._database.insert_once(connection, table, first):
                self._database.insert_new(connection, table, [bound])
                return True
            query = sa.select(table.c.at).where(table.c.webhook == webhook, table.c.key == bound["key"])
            return connection.execute(query).first() is not None

    def delivered(self, webhook: str, keys: Sequence[str], tally: WebhookTally) -> None:
        """See `mailwright.core.ports.WebhookRecords.delivered`."""
        rows = [{"webhook": webhook, "key": key, "at": tally.last_at} for key in keys]
        newest = sa.select(webhook_tally).where(webhook_tally.c.webhook == webhook).with_for_update()
        with self._database.write() as connection:
            if rows:
                self._database.insert_new(connection, webhook_delivery, rows)
            old = connection.execute(newest).mappings().first()
            counts = {name: getattr(tally, name) + (old[name] if old else 0) for name in _COUNTS}
            fault = tally.last_fault or (old["last_fault"] if old else "")
            row = {"webhook": webhook, **counts, "last_at": tally.last_at, "last_fault": fault}
            self._database.upsert(connection, webhook_tally, [row])

    def tallies(self) -> dict[str, WebhookTally]:
        """See `mailwright.core.ports.WebhookRecords.tallies`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(webhook_tally)).mappings().all()
        return {row["webhook"]: WebhookTally(**{k: v for k, v in row.items() if k != "webhook"}) for row in rows}

    def forget(self, before: Instant) -> int:
        """See `mailwright.core.ports.WebhookRecords.forget`."""
        with self._database.write() as connection:
            return connection.execute(sa.delete(webhook_delivery).where(webhook_delivery.c.at < before)).rowcount


class SqlLookups:
    """The LookupRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def answers(self, lookup: str, keys: Sequence[str]) -> dict[str, LookupAnswer]:
        """See `mailwright.core.ports.LookupRecords.answers`."""
        row = lookup_answer.c
        found: dict[str, LookupAnswer] = {}
        with self._database.read() as connection:
            for part in parts(list(dict.fromkeys(keys))):
                query = sa.select(lookup_answer).where(row.lookup == lookup, row.key.in_(part))
                for one in connection.execute(query):
                    found[one.key] = LookupAnswer(
                        at=Instant(one.at), found=one.found, values=unpack_json(one.told), digest=one.digest
                    )
        return found

    def keep(self, lookup: str, answers: Mapping[str, LookupAnswer]) -> None:
        """See `mailwright.core.ports.LookupRecords.keep`."""
        rows = [
            {
                "lookup": lookup,
                "key": key,
                "at": one.at,
                "found": one.found,
                "told": pack_json(dict(one.values)),
                "digest": one.digest,
            }
            for key, one in answers.items()
        ]
        if rows:
            with self._database.write() as connection:
                self._database.upsert(connection, lookup_answer, rows)

    def count(self, lookup: str) -> tuple[int, int, Instant | None]:
        """See `mailwright.core.ports.LookupRecords.count`."""
        row = lookup_answer.c
        found = sa.func.sum(sa.case((row.found, 1), else_=0))
        query = sa.select(sa.func.count(), found, sa.func.max(row.at)).where(row.lookup == lookup)
        with self._database.read() as connection:
            asked, known, newest = connection.execute(query).one()
        return asked, int(known or 0), None if newest is None else Instant(newest)

    def forget(self, lookup: str, before: Instant) -> int:
        """See `mailwright.core.ports.LookupRecords.forget`."""
        row = lookup_answer.c
        with self._database.write() as connection:
            return connection.execute(sa.delete(lookup_answer).where(row.lookup == lookup, row.at < before)).rowcount
