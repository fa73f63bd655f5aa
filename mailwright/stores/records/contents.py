"""What is big about a message: its decision record and the body that was fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import message_content

Decision = Mapping[str, Any]


def keep_bodies(database: Database, connection: sa.Connection, contents: Sequence[tuple[int, Decision, bytes]]) -> None:
    """Keep (seq, decision record, packed body), in place of what an earlier hand-over kept."""
    rows = [{"seq": seq, "decision": pack_json(decision), "body": body} for seq, decision, body in contents]
    database.upsert(connection, message_content, rows)


def keep_decisions(database: Database, connection: sa.Connection, decisions: Sequence[tuple[int, Decision]]) -> None:
    """Keep (seq, decision record); a body that an earlier hand-over fixed stays."""
    rows = [{"seq": seq, "decision": pack_json(decision)} for seq, decision in decisions]
    database.upsert(connection, message_content, rows)


def decisions(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, Decision]:
    """The decision records of these messages by seq; messages without one are left out."""
    found: dict[int, Decision] = {}
    columns = (message_content.c.seq, message_content.c.decision)
    for part in parts(seqs):
        rows = connection.execute(sa.select(*columns).where(message_content.c.seq.in_(part)))
        found.update((row.seq, unpack_json(row.decision)) for row in rows if row.decision is not None)
    return found
