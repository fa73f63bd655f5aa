"""The Segment-compatible door: request bodies become events, item by item.

What is good is taken, what is not is refused with its place and reason; nothing is dropped silently. Clear text of
personal fields goes in and does not come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Event, EventType, Identifier
from mailwright.core.instants import Instant, format_iso, parse_iso
from mailwright.ingest.forms.submission import OUR_EVENTS, OURS
from mailwright.ingest.hooks import Contexts, Declined, Normaliser, Resolve
from mailwright.ingest.identifiers import (
    PREVIOUS,
    Named,
    Naming,
    Seal,
    Source,
    identifier_of,
    identifiers_of,
    is_address,
    is_blocked,
    is_phone,
)
from mailwright.ingest.limits import LIMITS, Limits, Refusal, too_much
from mailwright.ingest.plan import Policy, TrackingPlan, Violation, without
from mailwright.ingest.quick import QuickDoor
from mailwright.ingest.schemas import Hints
from mailwright.ingest.typed_values import shape
from mailwright.ingest.wire import DECODE_ERRORS, Batch, Call, decode_batch, decode_call, decode_context, in_words

__all__ = ["PATHS", "Held", "Parsed", "Refusal", "Source", "Violated", "parse_request"]

_TYPES: tuple[EventType, ...] = get_args(EventType)
_SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
PATHS = frozenset({*_TYPES, *_SHORT, "batch", "import"})
"""What may follow ``/v1/``."""

_CONTEXT_COPIES = 4  # copies of a batch's context may make its record this many times the largest body
_NO_PLAN = TrackingPlan()
_MOST_TOLD = 20
"""So many violations of one item are told; of more only the number, so that many cost little."""

_GRAVEST_FIRST: Sequence[Policy] = ("block", "quarantine", "drop", "allow")
_CONTACTS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("email", is_address, "is no e-mail address"),
    ("phone", is_phone, "is no phone number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a request brought.

    Attributes:
        events: The good items, in order.
        refused: The bad items, each with its first fault.
        warned: Fields of good items that were left out or could not be used.
        held: Items that the tracking plan puts into quarantine; only if the caller said that it keeps them.
        violations: All that was not as the tracking plan says, whatever became of it.
    """

    events: Sequence[Event]
    refused: Sequence[Refusal]
    warned: Sequence[Refusal]
    held: Sequence[Held] = ()
    violations: Sequence[Violated] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violated:
    """One place where an item was not as the tracking plan says. Holds no value that was sent.

    Attributes:
        index: Of the item in its request.
        event: Name of the track event, else the kind of the call.
        field: Dotted place, without numbers of list elements.
        kind: As `mailwright.ingest.plan.Violation.kind`.
        reason: In words, without the value.
        policy: What became of it.
        example: The shape of the value as JSON, letters being ``a`` and digits ``9``; empty if it is missing.
    """

    index: int
    event: str
    field: str
    kind: str
    reason: str
    policy: Policy
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An item in quarantine, in clear text: to be sealed as a whole before it is kept.

    Attributes:
        body: The call as JSON, with its request's context, sentAt and type, so that it can be read again by itself.
        message_id: Its own or the one that it was given; also in `body`.
        warned: Why it is held, as `Refusal`s of this item.
    """

    index: int
    event: str
    message_id: str
    body: bytes
    warned: Sequence[Refusal]


class _HeldBack(Exception):  # as `_Refused`: an expected way out of one item
    def __init__(self, message_id: str) -> None:
        super().__init__(message_id)
        self.message_id = message_id


class _Refused(Exception):  # an expected way out of one item, never seen outside this module
    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class _Door:
    """What holds for all items of one request."""

    source: Source
    received_at: Instant
    seal: Seal
    new_id: Callable[[], str]
    plan: TrackingPlan
    limits: Limits
    history: bool
    imported: bool
    keeps_held: bool = False
    normaliser: Normaliser | None = None
    naming: Naming | None = None
    contexts: Contexts | None = None
    context: dict[str, Any] = field(default_factory=dict)
    sent_at: Instant | None = None
    index: int = 0
    warned: list[Refusal] = field(default_factory=list)
    holding: list[Refusal] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    violations: list[Violated] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)

    def warn(self, place: str, reason: str) -> None:
        self.warned.append(Refusal(self.index, place, reason))


def parse_request(
    path_type: str,
    body: bytes,
    *,
    source: Source,
    received_at: Instant,
    seal: Seal,
    new_id: Callable[[], str],
    history: bool = False,
    keeps_held: bool = False,
    normaliser: Normaliser | None = None,
    naming: Naming | None = None,
    plan: TrackingPlan = _NO_PLAN,
    resolve: Resolve | None = None,
    context: Mapping[str, Any] | None = None,
    limits: Limits = LIMITS,
) -> Parsed:
    """Read the body of one request, already decompressed.

    Args:
        path_type: What follows ``/v1/``: a call, its one-letter alias, ``batch`` or ``import``; one of `PATHS`.
        body: JSON bytes, anything at all.
        source: Whose write key came with it.
        received_at: The door's clock.
        seal: Seals personal fields and hashes personal identifiers.
        new_id: Gives a new unique message id for a call that has none. Such a call, sent twice, counts twice.
        history: An import of what happened before: events count from their own stamp, and stamps are taken as sent.
        keeps_held: The caller keeps `Parsed.held`; without that, what the plan puts into quarantine is refused.
        naming: What the project says about identifiers: blocked values, external ids, their order.
        normaliser: Brings names and units of traits and properties to the project's own, before the plan sees them.
        plan: Checked before sealing.
        resolve: Adds to each context what is known besides, after the plan and before sealing.
        context: What the door itself knows (``ip``, ``userAgent``); what the call says wins.
        limits: Sizes.

    Returns:
        Events and refusals, item by item.

    Raises:
        InvalidInput: If nothing of the body can be read: ``ingest.path``, ``ingest.json``, ``ingest.too_large``,
            ``ingest.too_many``, ``ingest.context``, ``ingest.history``.
    """
    kind = _SHORT.get(path_type, path_type)
    _check_request(kind, body, source, history, limits)
    door = _Door(
        source=source,
        received_at=received_at,
        seal=normaliser.sealing(seal) if normaliser else seal,
        new_id=new_id,
        plan=plan,
        limits=limits,
        history=history,
        imported=kind == "import" and source.kind == "server",
        keeps_held=keeps_held,
        normaliser=normaliser,
        naming=naming,
        contexts=Contexts(resolve) if resolve else None,
        context=dict(context or {}),
    )
    if kind in _TYPES:
        return _parse_items(door, [body], kind)
    batch = decode_batch(body)
    if len(batch.items) > limits.request_items:
        raise InvalidInput.one(
            "ingest.too_many",
            f"{len(batch.items):,} items, at most {limits.request_items:,} are taken",
            hint="send less",
        )
    _check_context(batch, limits)
    door.context.update(batch.context)
    door.sent_at = _batch_sent_at(door, batch.sent_at)
    return _parse_items(door, batch.items, "")


def _check_request(kind: str, body: bytes, source: Source, history: bool, limits: Limits) -> None:
    if kind not in PATHS:
        raise InvalidInput.one("ingest.path", f"there is no call {kind!r}", hint=nearest(kind, PATHS - _SHORT.keys()))
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


def _parse_items(door: _Door, items: Sequence[bytes], path_type: str) -> Parsed:
    events: list[Event] = []
    refused: list[Refusal] = []
    quick = _quick(door).event
    for index, raw in enumerate(items):
        event = quick(raw, path_type)
        if event is not None:
            events.append(event)
            continue
        door.index = index
        n_warned = len(door.warned)
        door.holding = []
        try:
            events.append(_event(door, raw, path_type))
        except _Refused as fault:
            del door.warned[n_warned:]  # warnings are about what was taken
            refused.append(Refusal(index, fault.place, fault.reason))
        except _HeldBack as held:
            del door.warned[n_warned:]
            door.held.append(_kept(door, raw, path_type, held.message_id))
    return Parsed(events=events, refused=refused, warned=door.warned, held=door.held, violations=door.violations)


def _kept(door: _Door, raw: bytes, path_type: str, message_id: str) -> Held:
    """An item as it can be read again by itself."""
    call: dict[str, Any] = msgspec.json.decode(raw)
    if door.normaliser is not None:
        call = door.normaliser.without_secrets(door.source.name, call)
    call |= {"type": path_type or call["type"], "messageId": message_id}
    call["context"] = {**door.context, **(call.get("context") or {})}
    if door.sent_at is not None and call.get("sentAt") is None:
        call["sentAt"] = format_iso(door.sent_at)
    event = str(call.get("event", "")).strip() if call["type"] == "track" else call["type"]
    body = msgspec.json.encode(call)
    return Held(index=door.index, event=event, message_id=message_id, body=body, warned=door.holding)


def _quick(door: _Door) -> QuickDoor:
    return QuickDoor(
        source=door.source.name,
        received_at=door.received_at,
        seal=door.seal,
        plan=door.plan,
        limits=door.limits,
        history=door.history,
        imported=door.imported,
        context=door.context,
        sent_at=door.sent_at,
        normaliser=door.normaliser,
        naming=door.naming,
        contexts=door.contexts,
    )


def _event(door: _Door, raw: bytes, path_type: str) -> Event:
    call, told = _decoded(raw, door.limits)
    kind = _type_of(call, path_type, door)
    name = _name_of(call, kind, door)
    traits, context = _told(call, told, kind, door)
    identifiers = _identifiers(call, kind, traits, context, door)
    properties = _properties(call, kind, name, context, door)
    stamp_at = _stamp(call, door)
    if door.contexts is not None:
        context = door.contexts.resolved(context)
    seal = door.seal.seal_fields
    message_id = _text(call.message_id, "messageId", door) or door.new_id()
    try:
        event = Event(
            message_id=message_id,
            source=door.source.name,
            type=kind,
            name=name,
            stamp_at=stamp_at,
            received_at=door.received_at,
            known_at=stamp_at if door.history else door.received_at,
            identifiers=identifiers,
            properties=seal("properties", properties),
            # A group's traits are an account's: its `name` is no person's.
            traits=seal("traits" if kind == "identify" else "properties", traits),
            context=seal("context", context),
            history=door.history,
            imported=door.imported,
        )
    except InvalidInput as error:
        raise _Refused(error.issues[0].path, error.issues[0].message) from None
    if door.holding:
        raise _HeldBack(message_id)  # last, so that only what the plan alone is against is held
    return event


def _decoded(raw: bytes, limits: Limits) -> tuple[Call, dict[str, Any]]:
    """A call and its context."""
    if len(raw) > limits.event_bytes:  # before decoding: a large one shall cost nothing
        raise _Refused("", f"it has {len(raw):,} bytes, at most {limits.event_bytes:,} are taken")
    try:
        call = decode_call(raw)
    except DECODE_ERRORS as error:
        raise _Refused(*in_words(error)) from None
    try:
        context = decode_context(call)
    except DECODE_ERRORS as error:
        place, reason = in_words(error)
        raise _Refused(f"context.{place}".rstrip("."), reason) from None
    reason = too_much(raw, [call.properties, call.traits, context], limits)
    if reason:
        raise _Refused("", reason)
    return call, context


def _type_of(call: Call, path_type: str, door: _Door) -> EventType:
    kind = path_type or call.type or ""
    if kind not in _TYPES:
        raise _Refused(
            "type", f"{kind!r} is no call; {door.hints.nearest(kind, _TYPES)}".rstrip("; ") if kind else "missing"
        )
    return kind


def _name_of(call: Call, kind: EventType, door: _Door) -> str:
    if kind == "track":
        name = _text(call.event, "event", door)
        if not name:
            raise _Refused("event", "a track call needs the event's name")
        return name
    return _text(call.name, "name", door) if kind in ("page", "screen") else ""


def _text(value: str | int | None, place: str, door: _Door) -> str:
    """A short text, trimmed; an id may be sent as a number."""
    text = "" if value is None else str(value).strip()
    if len(text) > door.limits.id_chars:
        raise _Refused(place, f"it has {len(text)} characters, at most {door.limits.id_chars} are taken")
    return text


# --- what the call tells ---------------------------------------------------------------------------------------------


def _told(call: Call, said: dict[str, Any], kind: EventType, door: _Door) -> tuple[dict[str, Any], dict[str, Any]]:
    """(traits, context). An identify's traits may come in ``context.traits``, as RudderStack's libraries send them."""
    context = {**door.context, **said}
    traits = call.traits or {} if kind in ("identify", "group") else {}
    theirs = context.get("traits")
    if isinstance(theirs, dict):
        if kind == "identify":
            del context["traits"]
            traits = {**theirs, **traits}
        else:
            theirs = _normalised(theirs, "identify", context, door)
            context["traits"] = _contacts_checked(theirs, door, "context.traits")
    if kind == "group":
        context["groupId"] = _text(call.group_id, "groupId", door)
        if not context["groupId"]:
            raise _Refused("groupId", "a group call needs it")
        traits = _normalised(traits, kind, context, door)
        traits = _as_planned(traits, door.plan.check_group(traits, door.hints), "group", door)
    if kind == "identify":
        traits = _normalised(traits, kind, context, door)
        violations = door.plan.check_traits(traits, door.hints)
        traits = _as_planned(_contacts_checked(traits, door, "traits"), violations, "identify", door)
    return traits, context


def _normalised(traits: dict[str, Any], kind: EventType, context: Mapping[str, Any], door: _Door) -> dict[str, Any]:
    if door.normaliser is None or not traits:
        return traits
    normalise = door.normaliser.account_traits if kind == "group" else door.normaliser.traits
    try:
        return normalise(door.source.name, traits, door.warn, context.get("timezone"))
    except Declined as fault:
        raise _Refused(fault.place, fault.reason) from None


def _contacts_checked(traits: dict[str, Any], door: _Door, place: str) -> dict[str, Any]:
    """Traits without addresses that are none; from a browser, addresses under a name that says so.

    A browser key is public: whoever reads it could name any address for any user. So its addresses become traits
    ``unverified_email`` and ``unverified_phone``, which identify nobody and get no mail before they are confirmed.
    """
    for name, fits, fault in _CONTACTS:
        value = traits.get(name)
        if value is None or value == "":
            continue
        if not (isinstance(value, str | int) and fits(str(value))):
            traits = {key: each for key, each in traits.items() if key != name}
            door.warn(f"{place}.{name}", f"left out: what was sent {fault}")
        elif door.source.kind == "browser":
            traits = {f"unverified_{name}" if key == name else key: each for key, each in traits.items()}
    return traits


def _properties(call: Call, kind: EventType, name: str, context: Mapping[str, Any], door: _Door) -> dict[str, Any]:
    if kind not in ("track", "page", "screen"):
        return {}
    properties = call.properties or {}
    if call.category and kind != "track":
        properties = {"category": call.category, **properties}
    if door.normaliser is not None:
        event, zone = name if kind == "track" else "", context.get("timezone")
        try:
            properties = door.normaliser.properties(door.source.name, event, properties, door.warn, zone)
        except Declined as fault:
            raise _Refused(fault.place, fault.reason) from None
    if kind != "track":
        return properties
    if name in OUR_EVENTS and door.source.name.startswith(OURS) and name not in door.plan.declared:
        return properties
    return _as_planned(properties, door.plan.check_event(name, properties, door.hints), name, door)


def _as_planned(data: dict[str, Any], violations: Sequence[Violation], event: str, door: _Door) -> dict[str, Any]:
    """`data` without the fields that the plan leaves out; one that it blocks ends the item."""
    if not violations:
        return data
    told = violations
    if len(violations) > _MOST_TOLD:
        told = sorted(violations, key=lambda one: _GRAVEST_FIRST.index(one.policy))[:_MOST_TOLD]
    door.violations += [_violated(one, data, event, door) for one in told]
    for one in told:
        if one.policy == "block" or (one.policy == "quarantine" and not door.keeps_held):
            raise _Refused(one.field, one.reason)
    for one in told:
        if one.policy == "quarantine":
            door.holding.append(Refusal(door.index, one.field, one.reason))
        else:
            door.warn(one.field, f"{'left out' if _goes(one) else 'taken as it is'}: {one.reason}")
    if len(violations) > len(told):
        place, more = str(violations[0].path[0]), f"and {len(violations) - len(told):,} more"
        if told[0].policy == "quarantine":
            door.holding.append(Refusal(door.index, place, more))
        door.warn(place, more)
    return without(data, *(one.path[1:] for one in violations if _goes(one)))


def _goes(one: Violation) -> bool:
    return one.policy == "drop" and one.kind != "required"


def _violated(one: Violation, data: dict[str, Any], event: str, door: _Door) -> Violated:
    value: Any = data
    for step in one.path[1:]:
        inside = isinstance(step, int) or (isinstance(value, dict) and step in value)
        value = value[step] if inside else None
    return Violated(
        index=door.index,
        event=event[: door.limits.id_chars],
        field=".".join(step for step in one.path if isinstance(step, str))[: door.limits.id_chars],
        kind=one.kind,
        reason=one.masked,
        policy=one.policy,
        example="" if value is None or value is data else shape(value),
    )


def _identifiers(
    call: Call, kind: EventType, traits: dict[str, Any], context: dict[str, Any], door: _Door
) -> list[Identifier]:
    theirs = traits if kind == "identify" else context.get("traits")
    named = Named(
        user_id=_text(call.user_id, "userId", door),
        anonymous_id=_text(call.anonymous_id, "anonymousId", door),
        traits=theirs if isinstance(theirs, dict) else {},
        external=context.pop("externalIds", None),
    )
    found = identifiers_of(named, door.source, door.seal, door.warn, door.naming)
    if kind == "alias":
        # An alias speaks of its user_id, whatever comes first elsewhere.
        return [*sorted(found, key=lambda one: one.kind != "user_id"), _previous(call, found, door)]
    if not found:
        raise _Refused("userId", "nobody is named: send userId or anonymousId")
    return found


def _previous(call: Call, found: list[Identifier], door: _Door) -> Identifier:
    """An alias's old name. From a browser it can be an anonymous_id only: a public key merges no known users."""
    previous = _text(call.previous_id, "previousId", door)
    if not any(one.kind == "user_id" for one in found):
        raise _Refused("userId", "an alias call needs it")
    if not previous or is_blocked(previous) or (door.naming and door.naming.blocks("user_id", previous)):
        raise _Refused("previousId", "an alias call needs it" if not previous else f"{previous!r} names nobody")
    if door.source.kind == "browser":
        return identifier_of(door.seal, "anonymous_id", previous)
    return Identifier(PREVIOUS, identifier_of(door.seal, "user_id", previous).value)  # hashed as a user_id would be


# --- when ------------------------------------------------------------------------------------------------------------


def _stamp(call: Call, door: _Door) -> Instant:
    """When it happened, by the door's clock: ``receivedAt - (sentAt - originalTimestamp)`` where both are sent.

    So a client's wrong clock cancels out. History is taken as stamped: the moment at which an old event was re-sent
    says nothing about the clock of that time.
    """
    place = "timestamp" if call.original_timestamp is None else "originalTimestamp"
    text = call.timestamp if call.original_timestamp is None else call.original_timestamp
    original = _instant(text, place)
    sent_at = door.sent_at if call.sent_at is None else _instant(call.sent_at, "sentAt")
    if original is None:
        return door.received_at
    skewed = None if door.history else sent_at
    stamp = original if skewed is None else Instant(door.received_at - (skewed - original))
    if stamp < door.limits.earliest_at:
        raise _Refused(place, f"{text!r} is too long ago: is the clock or the unit wrong?")
    if stamp > door.received_at + door.limits.future_micros:
        raise _Refused(place, f"{text!r} is too far in the future: is the clock or the unit wrong?")
    return stamp


def _instant(text: str | None, place: str) -> Instant | None:
    if not text:
        return None
    try:
        return parse_iso(text)
    except InvalidInput as error:
        raise _Refused(place, f"{error.issues[0].message}; {error.issues[0].hint}") from None


def _batch_sent_at(door: _Door, text: str | None) -> Instant | None:
    try:
        return _instant(text, "sentAt")
    except _Refused as fault:
        door.warned.append(Refusal(-1, fault.place, f"{fault.reason}; clocks are not corrected"))
        return None
