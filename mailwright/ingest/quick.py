"""The short way for what nearly every call is: a plain track, page or screen call that nothing is wrong with.

It takes a call only if the long way (`mailwright.ingest.segment`) would make the very same event of it without a
warning, and leaves every other to it: a personal field, an address for an id, a number that does not fit, any fault.
So it has no word of its own for a client, and a property test compares both ways.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Event, EventType, Identifier
from mailwright.core.instants import Instant, parse_iso
from mailwright.ingest.hooks import Declined
from mailwright.ingest.identifiers import in_order, is_blocked
from mailwright.ingest.limits import INT64_MAX, INT64_MIN
from mailwright.ingest.reading import Reading
from mailwright.ingest.wire import DECODE_ERRORS, Call, Id, decode_call, decode_context

_KINDS: dict[str | None, EventType] = {"track": "track", "page": "page", "screen": "screen"}
_KEY_BYTES = 4  # a key takes more than this in JSON, quotes, colon and value: a shorter call has not too many
_NEVER_BLOCKED = 10  # longer than any placeholder that broken code sends for an id, but for one made of zeros
_ZERO_LIKE = frozenset("0-:.1 \t\n\r\v\f")
_APART = ("traits", "externalIds")  # in a context they tell who it is
_MAX_CONTEXTS = 64  # of one request


class QuickDoor:
    """What holds for all calls of one request; gives an event, or None where the long way must look."""

    def __init__(self, reading: Reading) -> None:
        """Take what holds for the request; nothing is told to it."""
        rules, limits = reading.rules, reading.rules.limits
        self._source = reading.source.name
        self._received_at = reading.received_at
        self._seal = rules.seal
        self._suspects = rules.seal.suspects
        self._fits = rules.plan.fits
        self._money = rules.money("properties")
        self._max_bytes = limits.event_bytes
        self._max_keys = limits.keys
        self._max_chars = limits.id_chars
        self._depth = limits.depth - 2  # the call and its properties
        self._first_at, self._last_at = limits.earliest_at, reading.received_at + limits.future_micros
        self._history, self._imported = reading.history, reading.imported
        self._context = reading.context
        self._known: dict[bytes, tuple[dict[str, Any] | None, Any]] = {}
        self._sent_at = reading.sent_at
        self._normaliser = rules.normaliser
        self._naming = rules.naming
        self._contexts = reading.contexts

    def event(self, raw: bytes, path_type: str) -> Event | None:
        """The event of a call, or None."""
        if len(raw) > self._max_bytes:
            return None
        if len(raw) > _KEY_BYTES * self._max_keys and raw.count(b":") > self._max_keys:
            return None
        try:
            call = decode_call(raw)
        except DECODE_ERRORS:
            return None
        kind = _KINDS.get(path_type or call.type)
        message_id = call.message_id
        if kind is None or not message_id or call.traits is not None:
            return None
        name, identifiers = self._name(call, kind), self._identifiers(call.user_id, call.anonymous_id)
        if name is None or identifiers is None:
            return None
        said = bytes(call.context)
        context, zone = self._known[said] if said in self._known else self._context_of(said, call)
        stamp_at = self._stamp(call)
        message_id = message_id.strip()
        if context is None or stamp_at is None or not 0 < len(message_id) <= self._max_chars:
            return None
        properties = self._properties(call.properties or {}, name if kind == "track" else "", zone, stamp_at)
        if properties is None:
            return None
        if kind == "track" and not self._fits(name, properties, self._money):
            return None
        return Event(
            message_id=message_id,
            source=self._source,
            type=kind,
            name=name,
            stamp_at=stamp_at,
            received_at=self._received_at,
            known_at=stamp_at if self._history else self._received_at,
            identifiers=identifiers,
            properties=properties,
            context=context,
            history=self._history,
            imported=self._imported,
        )

    def _name(self, call: Call, kind: EventType) -> str | None:
        name = call.event if kind == "track" else call.name or ""
        if name is None or (kind != "track" and call.category):
            return None
        name = name.strip()
        if len(name) > self._max_chars or not (name or kind != "track"):
            return None
        return name

    def _identifiers(self, user_id: Id, anonymous_id: Id) -> list[Identifier] | None:
        """Who, or None: nobody, an address, or perhaps a placeholder."""
        user = self._id(user_id) if user_id is not None else ""
        anonymous = self._id(anonymous_id) if anonymous_id is not None else ""
        if user is None or anonymous is None:
            return None
        if self._naming is not None:
            blocked = self._naming.blocks
            if (user and blocked("user_id", user)) or (anonymous and blocked("anonymous_id", anonymous)):
                return None
        if not anonymous:
            return [Identifier("user_id", user)] if user else None
        named = Identifier("anonymous_id", anonymous)
        return in_order([Identifier("user_id", user), named], self._naming) if user else [named]

    def _id(self, value: str | int) -> str | None:
        text = str(value).strip()
        if not text or (len(text) <= self._max_chars and "@" not in text and _names_somebody(text)):
            return text
        return None

    def _stamp(self, call: Call) -> Instant | None:
        text = call.timestamp if call.original_timestamp is None else call.original_timestamp
        try:
            sent_at = self._sent_at if call.sent_at is None else parse_iso(call.sent_at)
            stamp = parse_iso(text) if text else None
        except InvalidInput:
            return None
        if stamp is None:
            return self._received_at
        if sent_at is not None and not self._history:
            stamp = Instant(self._received_at - (sent_at - stamp))
        return stamp if self._first_at <= stamp <= self._last_at else None

    def _properties(self, sent: dict[str, Any], event: str, zone: Any, stamp_at: Instant) -> dict[str, Any] | None:
        """Properties in the project's own way of writing; None if any needs sealing or a word to the client."""
        if not _is_plain(sent, self._suspects, self._depth):
            return None
        if self._normaliser is None:
            return sent
        told: list[tuple[str, str]] = []
        try:
            properties = self._normaliser.properties(
                self._source, event, sent, lambda *word: told.append(word), zone, stamp_at
            )
        except Declined:
            return None
        if told or (properties is not sent and not _is_plain(properties, self._suspects, self._depth)):
            return None
        return properties

    def _context_of(self, key: bytes, call: Call) -> tuple[dict[str, Any] | None, Any]:
        """The sealed context, one object for all calls of the request that bring the same, and its ``timezone``."""
        if len(self._known) >= _MAX_CONTEXTS:
            self._known.clear()
        context = self._known[key] = self._sealed(call)
        return context

    def _sealed(self, call: Call) -> tuple[dict[str, Any] | None, Any]:
        try:
            told = decode_context(call)
        except DECODE_ERRORS:
            return None, None
        if not _is_plain(told, _NOBODY, self._depth):
            return None, None
        told = {**self._context, **told}
        if any(name in told for name in _APART):
            return None, None
        zone = told.get("timezone")
        if self._contexts is not None:
            told = self._contexts.resolved(told)
        try:
            return self._seal.seal_fields("context", told), zone
        except InvalidInput:
            return None, None


_NOBODY: frozenset[str] = frozenset()


def _names_somebody(text: str) -> bool:
    """Whether a trimmed id is surely no placeholder; nearly all are cleared by their length and first character."""
    return (len(text) > _NEVER_BLOCKED and text[0] not in _ZERO_LIKE) or not is_blocked(text)


def _is_plain(data: dict[str, Any], suspects: AbstractSet[str], depth: int) -> bool:
    """Whether an object needs no sealing, no number in it exceeds 64 bits, and it is nested at most `depth` deep."""
    if not suspects.isdisjoint(data):
        return False
    for value in data.values():
        kind = type(value)
        if kind is str or kind is float:
            continue
        if kind is int:
            if not INT64_MIN <= value <= INT64_MAX:
                return False
        elif (kind is dict or kind is list) and not _is_plain_inside(value, suspects, depth - 1):
            return False
    return True


def _is_plain_inside(value: dict[str, Any] | list[Any], suspects: AbstractSet[str], depth: int) -> bool:
    if depth <= 0:
        return False
    if isinstance(value, dict):
        return _is_plain(value, suspects, depth)
    for each in value:
        kind = type(each)
        if kind is str or kind is float:
            continue
        if kind is int:
            if not INT64_MIN <= each <= INT64_MAX:
                return False
        elif (kind is dict or kind is list) and not _is_plain_inside(each, suspects, depth - 1):
            return False
    return True
