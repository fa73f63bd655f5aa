"""The Segment-compatible door: request bodies become events, item by item.

What is good is taken, what is not is refused with its place and reason; nothing is dropped silently. Clear text of
personal fields goes in and does not come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Event, EventType, Identifier
from mailwright.core.instants import Instant, format_iso
from mailwright.ingest.hooks import Declined, IngestRules
from mailwright.ingest.identifiers import PREVIOUS, Named, Source, identifier_of, identifiers_of, is_blocked
from mailwright.ingest.limits import Limits, Refusal, too_much
from mailwright.ingest.parsed import Held, Parsed, Violated
from mailwright.ingest.quick import QuickDoor
from mailwright.ingest.reading import Reading
from mailwright.ingest.stamps import batch_sent_at, stamp_of
from mailwright.ingest.told import properties_of, told_by
from mailwright.ingest.wire import DECODE_ERRORS, Batch, Call, decode_batch, decode_call, decode_context, in_words

__all__ = ["PATHS", "SHORT", "Held", "IngestRules", "Parsed", "Refusal", "Source", "Violated", "parse_request"]

_TYPES: tuple[EventType, ...] = get_args(EventType)
SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
PATHS = frozenset({*_TYPES, *SHORT, "batch", "import"})
"""What may follow ``/v1/``; `SHORT` names what its one-letter calls stand for."""

_CONTEXT_COPIES = 4  # copies of a batch's context may make its record this many times the largest body


class _HeldBack(Exception):  # an expected way out of one item, never seen outside this module
    def __init__(self, message_id: str) -> None:
        super().__init__(message_id)
        self.message_id = message_id


def parse_request(
    path_type: str,
    body: bytes,
    rules: IngestRules,
    *,
    source: Source,
    received_at: Instant,
    new_id: Callable[[], str],
    history: bool = False,
    keeps_held: bool = False,
    context: Mapping[str, Any] | None = None,
) -> Parsed:
    """Read the body of one request, already decompressed.

    Args:
        path_type: What follows ``/v1/``: a call, its one-letter alias, ``batch`` or ``import``; one of `PATHS`.
        body: JSON bytes, anything at all.
        rules: What the project says about incoming events.
        source: Whose write key came with it.
        received_at: The door's clock.
        new_id: Gives a new unique message id for a call that has none. Such a call, sent twice, counts twice.
        history: An import of what happened before: events count from their own stamp, and stamps are taken as sent.
        keeps_held: The caller keeps `Parsed.held`; without that, what the plan puts into quarantine is refused.
        context: What the door itself knows (``ip``, ``userAgent``); what the call says wins.

    Returns:
        Events and refusals, item by item.

    Raises:
        InvalidInput: If nothing of the body can be read: ``ingest.path``, ``ingest.json``, ``ingest.too_large``,
            ``ingest.too_many``, ``ingest.context``, ``ingest.history``.
    """
    kind = SHORT.get(path_type, path_type)
    limits = rules.limits
    _check_request(kind, body, source, history, limits)
    reading = Reading(
        rules=rules,
        source=source,
        received_at=received_at,
        new_id=new_id,
        history=history,
        imported=kind == "import" and source.kind == "server",
        keeps_held=keeps_held,
        context=dict(context or {}),
    )
    if kind in _TYPES:
        return _parse_items(reading, [body], kind)
    batch = decode_batch(body)
    if len(batch.items) > limits.request_items:
        raise InvalidInput.one(
            "ingest.too_many",
            f"{len(batch.items):,} items, at most {limits.request_items:,} are taken",
            hint="send less",
        )
    _check_context(batch, limits)
    reading.context.update(batch.context)
    reading.sent_at = batch_sent_at(reading, batch.sent_at)
    return _parse_items(reading, batch.items, "")


def _check_request(kind: str, body: bytes, source: Source, history: bool, limits: Limits) -> None:
    if kind not in PATHS:
        raise InvalidInput.one("ingest.path", f"there is no call {kind!r}", hint=nearest(kind, PATHS - SHORT.keys()))
    if len(body) > limits.request_bytes:
        raise InvalidInput.one(
            "ingest.too_large",
            f"the body has {len(body):,} bytes, at most {limits.request_bytes:,} are taken",
            hint="send smaller batches",
        )
    if history and source.kind != "server":
        raise InvalidInput.one("ingest.history", "only a server key may import history", hint="use an sk_ key")


def _check_context(batch: Batch, limits: Limits) -> None:
    """A batch's context is copied into every event: a small body must not become a large record."""
    raw = msgspec.json.encode(batch.context)
    reason = too_much(raw, batch.context, limits)
    if not reason and len(raw) * len(batch.items) > _CONTEXT_COPIES * limits.request_bytes:
        reason = f"it has {len(raw):,} bytes, too many for each of {len(batch.items):,} events"
    if reason:
        raise InvalidInput.one("ingest.context", reason, path="context", hint="send it with the events that need it")


def _parse_items(reading: Reading, items: Sequence[bytes], path_type: str) -> Parsed:
    events: list[Event] = []
    refused: list[Refusal] = []
    quick = QuickDoor(reading).event
    for index, raw in enumerate(items):
        event = quick(raw, path_type)
        if event is not None:
            events.append(event)
            continue
        reading.index = index
        n_warned = len(reading.warned)
        reading.holding = []
        try:
            events.append(_event(reading, raw, path_type))
        except Declined as fault:
            del reading.warned[n_warned:]  # warnings are about what was taken
            refused.append(Refusal(index, fault.place, fault.reason))
        except _HeldBack as held:
            del reading.warned[n_warned:]
            reading.held.append(_kept(reading, raw, path_type, held.message_id))
    return Parsed(
        events=events, refused=refused, warned=reading.warned, held=reading.held, violations=reading.violations
    )


def _kept(reading: Reading, raw: bytes, path_type: str, message_id: str) -> Held:
    """An item as it can be read again by itself."""
    call: dict[str, Any] = msgspec.json.decode(raw)
    if reading.rules.normaliser is not None:
        call = reading.rules.normaliser.without_secrets(reading.source.name, call)
    call |= {"type": path_type or call["type"], "messageId": message_id}
    call["context"] = {**reading.context, **(call.get("context") or {})}
    if reading.sent_at is not None and call.get("sentAt") is None:
        call["sentAt"] = format_iso(reading.sent_at)
    event = str(call.get("event", "")).strip() if call["type"] == "track" else call["type"]
    body = msgspec.json.encode(call)
    return Held(index=reading.index, event=event, message_id=message_id, body=body, warned=reading.holding)


def _event(reading: Reading, raw: bytes, path_type: str) -> Event:
    call, told = _decoded(raw, reading.rules.limits)
    kind = _type_of(call, path_type, reading)
    name = _name_of(call, kind, reading)
    stamp_at = stamp_of(call, reading)
    traits, context = told_by(call, told, kind, stamp_at, reading)
    identifiers = _identifiers(call, kind, traits, context, reading)
    properties = properties_of(call, kind, name, context, stamp_at, reading)
    if reading.contexts is not None:
        context = reading.contexts.resolved(context)
    seal = reading.rules.seal.seal_fields
    message_id = reading.text(call.message_id, "messageId") or reading.new_id()
    try:
        event = Event(
            message_id=message_id,
            source=reading.source.name,
            type=kind,
            name=name,
            stamp_at=stamp_at,
            received_at=reading.received_at,
            known_at=stamp_at if reading.history else reading.received_at,
            identifiers=identifiers,
            properties=seal("properties", properties),
            # A group's traits are an account's: its `name` is no person's.
            traits=seal("traits" if kind == "identify" else "properties", traits),
            context=seal("context", context),
            history=reading.history,
            imported=reading.imported,
        )
    except InvalidInput as error:
        raise Declined(error.issues[0].path, error.issues[0].message) from None
    if reading.holding:
        raise _HeldBack(message_id)  # last, so that only what the plan alone is against is held
    return event


def _decoded(raw: bytes, limits: Limits) -> tuple[Call, dict[str, Any]]:
    """A call and its context."""
    if len(raw) > limits.event_bytes:  # before decoding: a large one shall cost nothing
        raise Declined("", f"it has {len(raw):,} bytes, at most {limits.event_bytes:,} are taken")
    try:
        call = decode_call(raw)
    except DECODE_ERRORS as error:
        raise Declined(*in_words(error)) from None
    try:
        context = decode_context(call)
    except DECODE_ERRORS as error:
        place, reason = in_words(error)
        raise Declined(f"context.{place}".rstrip("."), reason) from None
    reason = too_much(raw, [call.properties, call.traits, context], limits)
    if reason:
        raise Declined("", reason)
    return call, context


def _type_of(call: Call, path_type: str, reading: Reading) -> EventType:
    kind = path_type or call.type or ""
    if kind not in _TYPES:
        raise Declined(
            "type", f"{kind!r} is no call; {reading.hints.nearest(kind, _TYPES)}".rstrip("; ") if kind else "missing"
        )
    return kind


def _name_of(call: Call, kind: EventType, reading: Reading) -> str:
    if kind == "track":
        name = reading.text(call.event, "event")
        if not name:
            raise Declined("event", "a track call needs the event's name")
        return name
    return reading.text(call.name, "name") if kind in ("page", "screen") else ""


def _identifiers(
    call: Call, kind: EventType, traits: dict[str, Any], context: dict[str, Any], reading: Reading
) -> list[Identifier]:
    theirs = traits if kind == "identify" else context.get("traits")
    named = Named(
        user_id=reading.text(call.user_id, "userId"),
        anonymous_id=reading.text(call.anonymous_id, "anonymousId"),
        traits=theirs if isinstance(theirs, dict) else {},
        external=context.pop("externalIds", None),
    )
    found = identifiers_of(named, reading.source, reading.rules.seal, reading.warn, reading.rules.naming)
    if kind == "alias":
        # An alias speaks of its user_id, whatever comes first elsewhere.
        return [*sorted(found, key=lambda one: one.kind != "user_id"), _previous(call, found, reading)]
    if not found:
        raise Declined("userId", _nobody(named))
    return found


def _nobody(named: Named) -> str:
    sent = [name for name, value in (("userId", named.user_id), ("anonymousId", named.anonymous_id)) if value]
    if not sent:
        return "nobody is named: send userId or anonymousId"
    return f"nobody is named: what {' and '.join(sent)} says is a placeholder, or blocked by identity.yaml"


def _previous(call: Call, found: list[Identifier], reading: Reading) -> Identifier:
    """An alias's old name. From a browser it can be an anonymous_id only: a public key merges no known users."""
    previous = reading.text(call.previous_id, "previousId")
    if not any(one.kind == "user_id" for one in found):
        raise Declined("userId", "an alias call needs it")
    if (
        not previous
        or is_blocked(previous)
        or (reading.rules.naming and reading.rules.naming.blocks("user_id", previous))
    ):
        raise Declined("previousId", "an alias call needs it" if not previous else f"{previous!r} names nobody")
    if reading.source.kind == "browser":
        return identifier_of(reading.rules.seal, "anonymous_id", previous)
    return Identifier(
        PREVIOUS, identifier_of(reading.rules.seal, "user_id", previous).value
    )  # hashed as a user_id would be
