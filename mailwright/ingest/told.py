"""What a call tells: traits, properties and context, in the project's own words and as its tracking plan says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from mailwright.core.events import EventType
from mailwright.core.instants import Instant
from mailwright.core.zones import zone_spelled
from mailwright.ingest.forms.submission import OUR_EVENTS, OURS
from mailwright.ingest.hooks import Declined
from mailwright.ingest.identifiers import is_address, is_phone
from mailwright.ingest.limits import Refusal
from mailwright.ingest.parsed import Violated
from mailwright.ingest.plan import Policy, Violation, without
from mailwright.ingest.reading import Reading
from mailwright.ingest.typed_values import shape
from mailwright.ingest.wire import Call

_MOST_TOLD = 20
"""So many violations of one item are told; of more only the number, so that many cost little."""

NO_ZONE = "taken as it is, but it names no time zone; write it like Europe/Berlin"
"""Told of a trait ``timezone`` that names none: it is kept, so nothing is wrong with what told it."""

_GRAVEST_FIRST: Sequence[Policy] = ("block", "quarantine", "drop", "allow")
_CONTACTS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("email", is_address, "is no e-mail address"),
    ("phone", is_phone, "is no phone number"),
)


def told_by(
    call: Call, said: dict[str, Any], kind: EventType, stamp_at: Instant, reading: Reading
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(traits, context). An identify's traits may come in ``context.traits``, as RudderStack's libraries send them."""
    context = {**reading.context, **said}
    traits = call.traits or {} if kind in ("identify", "group") else {}
    theirs = context.get("traits")
    if isinstance(theirs, dict):
        if kind == "identify":
            del context["traits"]
            traits = {**theirs, **traits}
        else:
            theirs = _normalised(theirs, "identify", context, stamp_at, reading)
            context["traits"] = _contacts_checked(theirs, reading, "context.traits")
    if kind == "group":
        context["groupId"] = reading.text(call.group_id, "groupId")
        if not context["groupId"]:
            raise Declined("groupId", "a group call needs it")
        traits = _normalised(traits, kind, context, stamp_at, reading)
        violations = reading.rules.plan.check_group(traits, reading.hints, reading.rules.money("account_traits"))
        traits = _as_planned(traits, violations, "group", reading)
    if kind == "identify":
        traits = _zone_spelled(_normalised(traits, kind, context, stamp_at, reading), reading)
        violations = reading.rules.plan.check_traits(traits, reading.hints, reading.rules.money("traits"))
        traits = _as_planned(_contacts_checked(traits, reading, "traits"), violations, "identify", reading)
    return traits, context


def _normalised(
    traits: dict[str, Any], kind: EventType, context: Mapping[str, Any], stamp_at: Instant, reading: Reading
) -> dict[str, Any]:
    if reading.rules.normaliser is None or not traits:
        return traits
    normalise = reading.rules.normaliser.account_traits if kind == "group" else reading.rules.normaliser.traits
    return normalise(reading.source.name, traits, reading.warn, context.get("timezone"), stamp_at)


def _zone_spelled(traits: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Traits with ``timezone`` spelled as zones are. What names none stays, which is told: it decides nothing."""
    told = traits.get("timezone")
    if told is None or told == "":
        return traits
    name = zone_spelled(told) if isinstance(told, str) else None
    if name is None:
        reading.warn("traits.timezone", NO_ZONE)
    return traits if name is None or name == told else {**traits, "timezone": name}


def _contacts_checked(traits: dict[str, Any], reading: Reading, place: str) -> dict[str, Any]:
    """Traits without addresses that are none; from a browser, addresses under a name that says so.

    Empty text tells no address, and is no fault.

    A browser key is public: whoever reads it could name any address for any user. So its addresses become traits
    ``unverified_email`` and ``unverified_phone``, which identify nobody and get no mail before they are confirmed.
    """
    for name, fits, fault in _CONTACTS:
        value = traits.get(name)
        if value is None:
            continue
        if isinstance(value, str) and not value.strip():
            traits = {key: each for key, each in traits.items() if key != name}
        elif not (isinstance(value, str | int) and fits(str(value))):
            traits = {key: each for key, each in traits.items() if key != name}
            # A normaliser says "traits" wherever they stand, and knows better what is wrong.
            why = _taken_back({f"{place}.{name}", f"traits.{name}"}, reading) or f"what was sent {fault}"
            reading.warn(f"{place}.{name}", f"left out: {why}")
        elif reading.source.kind == "browser":
            traits = {f"unverified_{name}" if key == name else key: each for key, each in traits.items()}
    return traits


def _taken_back(fields: Collection[str], reading: Reading) -> str:
    """Why a field was kept as sent so far that now is left out: that is no longer told. Empty if nothing was told."""
    told = [one for one in reading.warned if one.index == reading.index and one.field in fields]
    reading.warned[:] = [one for one in reading.warned if one not in told]
    return told[0].reason.removeprefix("kept as sent: ") if told else ""


def properties_of(
    call: Call, kind: EventType, name: str, context: Mapping[str, Any], stamp_at: Instant, reading: Reading
) -> dict[str, Any]:
    """The properties of a track, page or screen call."""
    if kind not in ("track", "page", "screen"):
        return {}
    properties = call.properties or {}
    if call.category and kind != "track":
        properties = {"category": call.category, **properties}
    if reading.rules.normaliser is not None:
        event, zone = name if kind == "track" else "", context.get("timezone")
        normalise = reading.rules.normaliser.properties
        properties = normalise(reading.source.name, event, properties, reading.warn, zone, stamp_at)
    if kind != "track":
        return properties
    if name in OUR_EVENTS and reading.source.name.startswith(OURS) and name not in reading.rules.plan.declared:
        return properties
    money = reading.rules.money("properties")
    violations = reading.rules.plan.check_event(name, properties, reading.hints, money)
    return _as_planned(properties, violations, name, reading)


def _as_planned(data: dict[str, Any], violations: Sequence[Violation], event: str, reading: Reading) -> dict[str, Any]:
    """`data` without the fields that the plan leaves out; one that it blocks ends the item."""
    if not violations:
        return data
    violations = _with_causes(violations, reading)
    told = violations
    if len(violations) > _MOST_TOLD:
        told = sorted(violations, key=lambda one: _GRAVEST_FIRST.index(one.policy))[:_MOST_TOLD]
    reading.violations += [_violated(one, data, event, reading) for one in told]
    for one in told:
        if one.policy == "block" or (one.policy == "quarantine" and not reading.keeps_held):
            raise Declined(one.field, one.reason)
    for one in told:
        if one.policy == "quarantine":
            reading.holding.append(Refusal(reading.index, one.field, one.reason))
        else:
            reading.warn(one.field, f"{'left out' if _goes(one) else 'taken as it is'}: {one.reason}")
    if len(violations) > len(told):
        place, more = str(violations[0].path[0]), f"and {len(violations) - len(told):,} more"
        if told[0].policy == "quarantine":
            reading.holding.append(Refusal(reading.index, place, more))
        reading.warn(place, more)
    return without(data, *(one.path[1:] for one in violations if _goes(one)))


def _with_causes(violations: Sequence[Violation], reading: Reading) -> Sequence[Violation]:
    """Each with why its value could not be brought into its declared form, if that is behind it."""
    told = (one for one in reading.warned if one.index == reading.index)
    causes = {one.field: one.reason.partition(": ")[2] or one.reason for one in told}  # without what was done then
    if not causes:
        return violations
    return [
        one._replace(reason=f"{causes[one.field]}; so {one.reason}", masked=f"{causes[one.field]}; so {one.masked}")
        if one.field in causes
        else one
        for one in violations
    ]


def _goes(one: Violation) -> bool:
    return one.policy == "drop" and one.kind != "required"


def _violated(one: Violation, data: dict[str, Any], event: str, reading: Reading) -> Violated:
    value: Any = data
    for step in one.path[1:]:
        inside = isinstance(step, int) or (isinstance(value, dict) and step in value)
        value = value[step] if inside else None
    return Violated(
        index=reading.index,
        event=event[: reading.rules.limits.id_chars],
        field=".".join(step for step in one.path if isinstance(step, str))[: reading.rules.limits.id_chars],
        kind=one.kind,
        reason=one.masked,
        policy=one.policy,
        example="" if value is None or value is data else shape(value),
    )
