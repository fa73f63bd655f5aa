"""Facts about people and products as they stand in the log, and the log's records.

Encoded as MessagePack by msgspec. Fields may be added with a default, never renamed or removed: the log keeps
old records, and `decode_body` must read every one that was ever written.
"""

from __future__ import annotations

from typing import Any, Literal, NewType

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.instants import Instant

Person = NewType("Person", int)
"""The engine's number of a person, 0..n, given in order of first appearance and never used again."""

NOBODY = Person(-1)
"""Stands for the person of a message to somebody whom the engine need not know: the confirmation mail of a form."""

Offset = NewType("Offset", int)
"""Place in the log: record number x PLACES + place of the event inside its record."""

PLACES = 4096

EventType = Literal["identify", "track", "page", "screen", "group", "alias"]


class Identifier(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One name of a person. `value` of a personal kind (email, phone) is its keyed hash, never the clear text."""

    kind: str
    value: str


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing a person did or told us.

    Attributes:
        message_id: Unique per source; the pair is counted once.
        source: Name of the write key that brought it.
        type: Segment call.
        name: Track event name, page or screen name; empty for identify, group and alias.
        stamp_at: When it happened, after clock-skew correction.
        received_at: When the door took it.
        known_at: From when it may count: received_at, or stamp_at for an import declared ``--history``.
        identifiers: Who, in order of priority; the first is the one History stores.
        properties: Of the event (track, page, screen). Sealed fields are objects, see `mailwright.privacy`.
        traits: Told by identify (a null removes) or group.
        context: Library, page, campaign, ip (sealed), ... as sent, plus what the door resolved.
        history: True for an import declared ``--history``: it starts no journey and no mail.
        imported: It came by an import, with or without ``--history``: its message id is remembered for ever.
    """

    message_id: str
    source: str
    type: EventType
    name: str = ""
    stamp_at: Instant
    received_at: Instant
    known_at: Instant
    identifiers: list[Identifier]
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    history: bool = False
    imported: bool = False


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One version of a catalog item, in force from `stamp_at` until the next version's."""

    catalog: str
    item_id: str
    stamp_at: Instant
    facts: dict[str, Any]


class Events(msgspec.Struct, frozen=True, tag="events"):
    """The good items of one accepted request, at most 2,500."""

    events: list[Event]


class Items(msgspec.Struct, frozen=True, tag="items"):
    """Catalog item versions, at most 2,500."""

    items: list[Item]


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time has passed to the record's `at`: everything touched or due is evaluated here and nowhere else."""


class ClockMoved(msgspec.Struct, frozen=True, tag="clock"):
    """A virtual clock was moved to the record's `at` by its driver; evaluates nothing."""


class Defined(msgspec.Struct, frozen=True, tag="defined"):
    """A version of the project's definitions: file path -> text, as applied.

    In force from here if all its leaves are kept already, else from its `Installed` on.
    """

    version: int
    files: dict[str, str]


class Installed(msgspec.Struct, frozen=True, tag="installed"):
    """The past of a defined version is folded: from here on it is in force.

    Attributes:
        version: Of the definitions.
        defined: Number of the record that defined it; one that names another than the newest is ignored.
        blob: What the leaves that were missing made of everything before that record.
    """

    version: int
    defined: int
    blob: str


class Predicted(msgspec.Struct, frozen=True, tag="predicted"):
    """A model's predictions for everybody, in a blob."""

    model: str
    version: int
    blob: str


class ConsentChanged(msgspec.Struct, frozen=True, tag="consent"):
    """A consent row that Records already holds: the log's copy for history and rebuild."""

    address_hash: str
    purpose: str
    granted: bool
    source: str
    wording: str = ""
    told_at: Instant = Instant(0)


class AddressSuppressed(msgspec.Struct, frozen=True, tag="suppressed"):
    """An address came on the suppression list: the log's copy. Of two for one address the first counts."""

    address_hash: str
    reason: str
    told_at: Instant


class ListChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="list"):
    """Who is on a list changed; of a large change one of several records, appended together.

    Attributes:
        name: Of the list; ``sql:NAME`` is what the SQL segment NAME found.
        added: Identifiers as ``kind:value``; of a personal kind the value is its keyed hash.
        removed: Identifiers that leave; one that is also added stays.
        replaced: Everybody else leaves too.
        source: Who changed it: the name of a write key, ``cli``, ``sql``.
    """

    name: str
    added: list[str] = []
    removed: list[str] = []
    replaced: bool = False
    source: str = ""


AUDIT = "audit"
"""Who says it when the audit merges people: no person, so what nobody but a person may overrule holds for it."""

ARCHIVED = "archived"
"""The list of people whom nobody has seen for long: the audit keeps it, and campaigns leave them out."""


class PeopleMerged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="people_merged"):
    """Somebody says that two people are one.

    Attributes:
        one: Number of the one who stays, unless the other alone has a user_id.
        other: Number of the other.
        reason: Why, in the words of who said so.
        by: Who: the name of a session's user, of a write key, ``cli``, or `AUDIT`, which never joins two accounts, nor
            people whom somebody set apart, nor any whom the project's rules keep apart.
    """

    one: int
    other: int
    reason: str
    by: str


class PeopleKeptApart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="people_kept_apart"):
    """Somebody says that two people who look like one are two: as after a split, events and the audit never join them.

    Attributes:
        one: Number of the one.
        other: Number of the other.
        reason: Why, in the words of who said so.
        by: Who: the name of a session's user, of a write key, or ``cli``.
    """

    one: int
    other: int
    reason: str
    by: str


class PersonSplit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="person_split"):
    """Somebody says that a person is two.

    Attributes:
        person: Number of the one who is taken apart.
        merge: Number of the merge that is taken back; None: identifiers are taken out.
        identifiers: ``kind:value`` of those that a new person gets; of a personal kind the value is its keyed hash.
        reason: Why, in the words of who said so.
        by: Who: the name of a session's user, of a write key, or ``cli``.
    """

    person: int
    merge: int | None = None
    identifiers: list[str] = []
    reason: str = ""
    by: str = ""


Body = (
    Events
    | Items
    | Tick
    | ClockMoved
    | Defined
    | Installed
    | Predicted
    | ConsentChanged
    | AddressSuppressed
    | ListChanged
    | PeopleMerged
    | PeopleKeptApart
    | PersonSplit
)


class LogRecord(msgspec.Struct, frozen=True):
    """A record as read from the log. `number` counts from 1 without gaps; `at` never decreases."""

    number: int
    at: Instant
    body: Body

    @property
    def offset(self) -> Offset:
        """Offset of the record's first place."""
        return Offset(self.number * PLACES)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """MessagePack bytes of a record's body."""
    return _encoder.encode(body)


def decode_body(data: bytes) -> Body:
    """The body that `encode_body` wrote.

    Raises:
        Corrupt: If the bytes are none.
    """
    try:
        body: Body = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Corrupt("log.record", f"a log record cannot be decoded: {error}") from error
    return body
