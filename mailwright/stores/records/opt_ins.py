"""Opt-ins by forms: who asked for what, in which words, and how it was confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mailwright.core.instants import Instant
from mailwright.core.messages import SendRequest
from mailwright.core.ports import Consent, OptIn
from mailwright.stores.records.consents import add_consents
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.messages import message_id, queue
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import opt_in as table

_PACKED = ("address", "purposes", "asked_ip", "confirmed_ip")
_FIELDS = tuple(OptIn.__dataclass_fields__)


class SqlOptIns:
    """The OptInRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, opt_in: OptIn, request: SendRequest | None, *, most: int, since: Instant) -> bool:
        """See `mailwright.core.ports.OptInRecords.ask`."""
        same = table.c.address_hash == opt_in.address_hash
        if opt_in.mailbox_hash:
            same = sa.or_(same, table.c.mailbox_hash == opt_in.mailbox_hash)
        asked = sa.and_(same, table.c.asked_at > since)
        mailed = sa.and_(asked, table.c.message_id != "")
        with self._database.write() as connection:
            if connection.execute(sa.select(sa.func.count()).where(mailed)).scalar_one() >= most:
                return False
            mail = "" if request is None else message_id(request.send_key)
            connection.execute(sa.insert(table), _row(opt_in) | {"message_id": mail})
            if request is not None:
                queue(self._database, connection, [request])
        return True

    def keep(self, opt_in: OptIn, consents: Sequence[Consent]) -> None:
        """See `mailwright.core.ports.OptInRecords.keep`."""
        with self._database.write() as connection:
            connection.execute(sa.insert(table), _row(opt_in))
            add_consents(connection, consents)

    def confirm(
        self, opt_in_id: str, at: Instant, ip: Mapping[str, Any] | None, agent: str, consents: Sequence[Consent]
    ) -> bool:
        """See `mailwright.core.ports.OptInRecords.confirm`."""
        waiting = sa.and_(table.c.id == opt_in_id, table.c.confirmed_at.is_(None))
        told = {"confirmed_at": at, "confirmed_ip": _packed(ip), "confirmed_agent": agent}
        with self._database.write() as connection:
            if not connection.execute(sa.update(table).where(waiting).values(told)).rowcount:
                return False
            add_consents(connection, consents)
        return True

    def by_ids(self, opt_in_ids: Sequence[str]) -> dict[str, OptIn]:
        """See `mailwright.core.ports.OptInRecords.by_ids`."""
        found: dict[str, OptIn] = {}
        with self._database.read() as connection:
            for part in parts(opt_in_ids):
                rows = connection.execute(sa.select(table).where(table.c.id.in_(part))).mappings()
                found.update((row["id"], _opt_in(row)) for row in rows)
        return found

    def of_address(self, address_hash: str) -> list[OptIn]:
        """See `mailwright.core.ports.OptInRecords.of_address`."""
        query = sa.select(table).where(table.c.address_hash == address_hash).order_by(table.c.asked_at, table.c.seq)
        with self._database.read() as connection:
            return [_opt_in(row) for row in connection.execute(query).mappings()]


def _row(one: OptIn) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _FIELDS}
    return values | {name: _packed(values[name]) for name in _PACKED}


def _packed(value: Any) -> bytes | None:
    return None if value is None else pack_json(value)


def _opt_in(row: sa.RowMapping) -> OptIn:
    values = {name: row[name] for name in _FIELDS}
    values |= {name: None if row[name] is None else unpack_json(row[name]) for name in _PACKED}
    return OptIn(**values | {"purposes": [(purpose, wording) for purpose, wording in values["purposes"]]})
