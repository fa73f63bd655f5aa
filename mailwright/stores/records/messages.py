"""The outbox of messages: every arrow between two states is one transaction, guarded by state and fence."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.core.messages import (
    FINAL_STATES,
    Deferred,
    Failed,
    Message,
    MessageState,
    Outcome,
    SendRequest,
    Sent,
    Unknown,
)
from mailwright.core.ports import Handing, Refusal
from mailwright.stores.records.contents import decisions, keep_bodies, keep_decisions
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.outbox import add_to_outbox
from mailwright.stores.records.outcomes import ended
from mailwright.stores.records.packing import pack_bytes, unpack_bytes, unpack_json
from mailwright.stores.records.schema import message, message_content

_REFUSED = {MessageState.SUPPRESSED, MessageState.EXPIRED, MessageState.CANCELLED, MessageState.FAILED}
_IN_HAND = (MessageState.CLAIMED, MessageState.HANDING, MessageState.DOT)
_OPEN = (MessageState.QUEUED, *_IN_HAND)
_LAPSED = "the sender stopped after the final dot and before the reply"


@dataclass(frozen=True, slots=True)
class _End:
    """A message, as its row was before, with the final state that it reaches and why."""

    row: sa.RowMapping
    state: MessageState
    reason: str


def message_id(send_key: str) -> str:
    """The public id of a message: 26 characters of base32, fixed by its send_key and not to be guessed without it."""
    digest = hashlib.sha256(b"mailwright message " + send_key.encode()).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def queue(database: Database, connection: sa.Connection, requests: Sequence[SendRequest]) -> None:
    """Add a queued message for each request whose send_key is new."""
    database.insert_new(connection, message, [_queued(request) for request in requests])


def cancel(connection: sa.Connection, cancelled: Sequence[tuple[str, str]], now: Instant) -> None:
    """Cancel (send_key, reason) where nobody has claimed the message yet."""
    reasons = dict(cancelled)
    rows = _locked(connection, reasons, (MessageState.QUEUED,))
    _end(connection, [_End(row, MessageState.CANCELLED, reasons[row["send_key"]]) for row in rows], now)


class SqlMessages:
    """The MessageRecords port. `attempts` counts hand-overs begun."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, now: Instant, limit: int, worker: str, *, lease_now: Instant, lease_until: Instant
    ) -> list[Message]:
        """See `mailwright.core.ports.MessageRecords.claim`."""
        with self._database.write() as connection:
            _release_lapsed(connection, now, lease_now)
            due = sa.and_(message.c.state == MessageState.QUEUED, message.c.not_before_at <= now)
            oldest = sa.select(message.c.seq).where(due).order_by(message.c.queued_at, message.c.seq).limit(limit)
            taken = list(connection.execute(oldest.with_for_update(skip_locked=True)).scalars())
            claimed = {
                "state": MessageState.CLAIMED,
                "fence": message.c.fence + 1,
                "worker": worker,
                "lease_until": lease_until,
            }
            for part in parts(taken):
                connection.execute(sa.update(message).where(message.c.seq.in_(part)).values(claimed))
            return _messages(connection, [message.c.seq.in_(taken)], message.c.queued_at, message.c.seq)

    def refuse(self, refusals: Sequence[Refusal], now: Instant) -> None:
        """See `mailwright.core.ports.MessageRecords.refuse`.

        Raises:
            InvalidInput: If a state is none that a claimed message can be refused with.
        """
        if wrong := [refusal.state for refusal in refusals if refusal.state not in _REFUSED]:
            raise InvalidInput.one("message.state", f"a message cannot be refused with state {wrong[0].value}")
        by_key = {refusal.send_key: refusal for refusal in refusals}
        with self._database.write() as connection:
            rows = _locked(connection, by_key, (MessageState.CLAIMED,))
            ours = [(row, by_key[row["send_key"]]) for row in rows if row["fence"] == by_key[row["send_key"]].fence]
            keep_decisions(self._database, connection, [(row["seq"], refusal.decision) for row, refusal in ours])
            _end(connection, [_End(row, refusal.state, refusal.reason) for row, refusal in ours], now)

    def handing(self, handings: Sequence[Handing]) -> list[str]:
        """See `mailwright.core.ports.MessageRecords.handing`."""
        by_key = {handing.send_key: handing for handing in handings}
        packed = {key: pack_bytes(handing.body) for key, handing in by_key.items()}
        with self._database.write() as connection:
            rows = _locked(connection, by_key, (MessageState.CLAIMED,))
            ours = [(row, by_key[row["send_key"]]) for row in rows if row["fence"] == by_key[row["send_key"]].fence]
            contents = [(row["seq"], handing.decision, packed[handing.send_key]) for row, handing in ours]
            keep_bodies(self._database, connection, contents)
            _update(connection, [_handed(row, handing) for row, handing in ours])
        return [handing.send_key for _, handing in ours]

    def dot(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        """See `mailwright.core.ports.MessageRecords.dot`."""
        fences = dict(claims)
        with self._database.write() as connection:
            rows = _locked(connection, fences, (MessageState.HANDING,))
            ours = [row for row in rows if row["fence"] == fences[row["send_key"]]]
            for part in parts([row["seq"] for row in ours]):
                connection.execute(sa.update(message).where(message.c.seq.in_(part)).values(state=MessageState.DOT))
        return [row["send_key"] for row in ours]

    def result(self, results: Sequence[tuple[str, int, Outcome]], now: Instant) -> None:
        """See `mailwright.core.ports.MessageRecords.result`."""
        outcomes = {send_key: (fence, outcome) for send_key, fence, outcome in results}
        with self._database.write() as connection:
            rows = _locked(connection, outcomes, (*_IN_HAND, MessageState.UNKNOWN))
            # An unknown message is never claimed again, so its fence is still that of the hand-over in doubt.
            ours = [row for row in rows if row["fence"] == outcomes[row["send_key"]][0]]
            _apply(connection, [(row, outcomes[row["send_key"]][1]) for row in ours], now)

    def by_id(self, message_id: str) -> Message | None:
        """See `mailwright.core.ports.MessageRecords.by_id`."""
        with self._database.read() as connection:
            found = _messages(connection, [message.c.id == message_id])
        return found[0] if found else None

    def body(self, message_id: str) -> bytes | None:
        """See `mailwright.core.ports.MessageRecords.body`."""
        query = sa.select(message_content.c.body).join(message).where(message.c.id == message_id)
        with self._database.read() as connection:
            packed = connection.execute(query).scalar()
        return None if packed is None else unpack_bytes(packed)

    def page(
        self,
        *,
        before: str | None,
        limit: int,
        state: MessageState | None = None,
        person: Person | None = None,
        origin: str | None = None,
    ) -> list[Message]:
        """See `mailwright.core.ports.MessageRecords.page`; newest is last queued. An unknown cursor gives nothing."""
        wanted: list[sa.ColumnElement[bool]] = []
        if before is not None:
            cursor = sa.select(message.c.seq).where(message.c.id == before).scalar_subquery()
            wanted.append(message.c.seq < cursor)
        for column, value in ((message.c.state, state), (message.c.person, person), (message.c.origin, origin)):
            if value is not None:
                wanted.append(column == value)
        with self._database.read() as connection:
            return _messages(connection, wanted, message.c.seq.desc(), limit=limit)

    def counts(self) -> list[tuple[str, MessageState, str | None, str | None, int]]:
        """See `mailwright.core.ports.MessageRecords.counts`; in no particular order."""
        columns = (message.c.origin, message.c.state, message.c.reason, message.c.variant)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns, sa.func.count().label("n")).group_by(*columns)).all()
        return [(row.origin, MessageState(row.state), row.reason, row.variant, row.n) for row in rows]

    def open_count(self) -> int:
        """See `mailwright.core.ports.MessageRecords.open_count`."""
        return self._count(message.c.state.in_(_OPEN))

    def due_count(self, now: Instant) -> int:
        """See `mailwright.core.ports.MessageRecords.due_count`."""
        waiting = sa.and_(message.c.state == MessageState.QUEUED, message.c.not_before_at > now)
        return self._count(sa.and_(message.c.state.in_(_OPEN), ~waiting))

    def _count(self, which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).where(which)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()


def _queued(request: SendRequest) -> dict[str, Any]:
    return {
        "id": message_id(request.send_key),
        "send_key": request.send_key,
        "origin": request.origin,
        "step": request.step,
        "occurrence": request.occurrence,
        "person": request.person,
        "purpose": request.purpose,
        "state": MessageState.QUEUED,
        "fence": 0,
        "attempts": 0,
        "queued_at": request.queued_at,
        "send_by_at": request.send_by_at,
        "not_before_at": request.queued_at,
    }


def _locked(connection: sa.Connection, send_keys: Iterable[str], states: Sequence[MessageState]) -> list[sa.RowMapping]:
    """The rows of these messages that are in one of these states, held until the transaction ends."""
    rows: list[sa.RowMapping] = []
    for part in parts(list(send_keys)):
        wanted = sa.and_(message.c.send_key.in_(part), message.c.state.in_(states))
        # In one order, so that two transactions never wait for each other.
        query = sa.select(message).where(wanted).order_by(message.c.seq).with_for_update()
        rows += connection.execute(query).mappings().all()
    return rows


def _release_lapsed(connection: sa.Connection, now: Instant, lease_now: Instant) -> None:
    """Before the dot nothing was delivered: queued again. After it nobody knows: unknown."""
    lapsed = message.c.lease_until < lease_now
    before = sa.and_(message.c.state.in_((MessageState.CLAIMED, MessageState.HANDING)), lapsed)
    connection.execute(
        sa.update(message).where(before).values(state=MessageState.QUEUED, worker=None, lease_until=None)
    )
    after = sa.and_(message.c.state == MessageState.DOT, lapsed)
    rows = (
        connection.execute(sa.select(message).where(after).order_by(message.c.seq).with_for_update()).mappings().all()
    )
    _end(connection, [_End(row, MessageState.UNKNOWN, _LAPSED) for row in rows], now)


def _apply(connection: sa.Connection, outcomes: Sequence[tuple[sa.RowMapping, Outcome]], now: Instant) -> None:
    ends: list[_End] = []
    for row, outcome in outcomes:
        match outcome:
            case Sent(reply):
                ends.append(_End(row, MessageState.SENT, reply))
            case Failed(reply):
                ends.append(_End(row, MessageState.FAILED, reply))
            case Unknown(reason):
                # Doubt about a message in doubt tells nothing new.
                if row["state"] != MessageState.UNKNOWN:
                    ends.append(_End(row, MessageState.UNKNOWN, reason))
            case Deferred(reply, until_at):
                _update(connection, [_deferred(row, reply, now if until_at is None else until_at)])
    _end(connection, ends, now)


def _deferred(row: sa.RowMapping, reply: str, until_at: Instant) -> dict[str, Any]:
    return {
        "of_seq": row["seq"],
        "state": MessageState.QUEUED,
        "reason": reply or None,
        "not_before_at": until_at,
        "finished_at": None,
        "worker": None,
        "lease_until": None,
    }


def _handed(row: sa.RowMapping, handing: Handing) -> dict[str, Any]:
    return {
        "of_seq": row["seq"],
        "state": MessageState.HANDING,
        "attempts": row["attempts"] + 1,
        "subject": handing.subject,
        "experiment": handing.experiment,
        "variant": handing.variant,
        "p_variant": handing.p_variant,
        "template_version": handing.template_version,
    }


def _ended(end: _End, now: Instant) -> dict[str, Any]:
    return {
        "of_seq": end.row["seq"],
        "state": end.state,
        "reason": end.reason or None,
        "finished_at": now,
        "worker": None,
        "lease_until": None,
    }


def _end(connection: sa.Connection, ends: Sequence[_End], now: Instant) -> None:
    """Bring messages to final states and tell the log so."""
    _update(connection, [_ended(end, now) for end in ends])
    kept = decisions(connection, [end.row["seq"] for end in ends])
    add_to_outbox(connection, [ended(end.row, end.state, end.reason, kept.get(end.row["seq"]), now) for end in ends])


def _update(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the columns that each row names, on the message whose seq is its `of_seq`."""
    if rows:
        statement = sa.update(message).where(message.c.seq == sa.bindparam("of_seq"))
        connection.execute(statement, [dict(row) for row in rows])


def _messages(
    connection: sa.Connection, wanted: Sequence[sa.ColumnElement[bool]], *order: Any, limit: int | None = None
) -> list[Message]:
    query = sa.select(message, message_content.c.decision).outerjoin(message_content).where(*wanted)
    rows = connection.execute(query.order_by(*order).limit(limit)).mappings().all()
    return [_message(row) for row in rows]


_FIELDS = tuple(name for name in Message.__dataclass_fields__ if name not in ("state", "decision"))


def _message(row: sa.RowMapping) -> Message:
    decision = None if row["decision"] is None else unpack_json(row["decision"])
    values = {name: row[name] for name in _FIELDS}
    return Message(**values, state=MessageState(row["state"]), decision=decision)


assert set(_OPEN) | FINAL_STATES == set(MessageState), "every state is open or final"  # noqa: S101
