"""Correcting traits of one person by hand: an identify of a source of its own, with who said so and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from mailwright.core.errors import Conflict, InvalidInput, Issue
from mailwright.core.events import Event, Events, Identifier
from mailwright.core.facts import PersonFacts
from mailwright.core.ports import Clock, EngineReads, EventLog
from mailwright.core.presence import CORRECTION
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.identifiers import Source
from mailwright.ingest.parsed import Parsed
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.segment import parse_request
from mailwright.ingest.told import NO_ZONE
from mailwright.runtime.identity_changes import carry_out_all, reason_checked

_NOBODY = "correction"


def correction(
    facts: PersonFacts,
    engine: EngineReads,
    rules: IngestRules,
    clock: Clock,
    *,
    traits: Mapping[str, Any],
    reason: str,
    by: str,
) -> Event:
    """The identify that corrects traits of a person; it stays with the first identifier, whatever is merged or split.

    Args:
        facts: The person.
        engine: Knows whose an address is.
        rules: What the project says: the normaliser and the tracking plan apply as at the door.
        clock: Tells when.
        traits: Trait -> its right value; None removes it.
        reason: Why; kept in the log as it is written.
        by: Who says so.

    Raises:
        InvalidInput: ``person.trait``, if a value is not what the project declares; or the reason is none.
        Conflict: ``person.taken``, if an address or number given belongs to somebody else.
    """
    because = reason_checked(reason)
    if not traits:
        raise InvalidInput.one("person.trait", "no trait is corrected", hint="say which: trait=value")
    call = {"type": "identify", "anonymousId": _NOBODY, "traits": dict(traits)}
    call["context"] = {"correction": {"because": because, "by": by}}
    parsed = parse_request(
        "identify",
        msgspec.json.encode(call),
        rules,
        source=Source(name=CORRECTION, kind="server"),
        received_at=clock.now(),
        new_id=lambda: f"correction-{uuid4()}",
    )
    event = _faultless(parsed)
    kind, _, value = facts.first_identifier.partition(":")
    named = [one for one in event.identifiers if one != Identifier("anonymous_id", _NOBODY)]
    for one in named:
        other = engine.find(one.kind, one.value)
        if other is not None and other != facts.person:
            message = f"this {one.kind} belongs to #{other}"
            raise Conflict("person.taken", message, f"if they are one, merge #{facts.person} and #{other}")
    return msgspec.structs.replace(event, identifiers=[Identifier(kind, value), *named])


def _faultless(parsed: Parsed) -> Event:
    """The one call, if every check took it as it is."""
    told = [(one.field, one.reason) for one in parsed.refused]
    told += [(one.field, one.reason) for one in parsed.warned if not _is_taken(one.reason)]
    told += [(one.field, one.reason) for one in parsed.violations if one.policy in ("quarantine", "block")]
    faults = dict(reversed(told))  # of what several checks find in one field the first counts
    if faults or not parsed.events:
        issues = [Issue(path=field, message=_alone(faults[field]), hint="") for field in dict(told)]
        raise InvalidInput("person.trait", issues)
    [event] = parsed.events
    return event


def _alone(reason: str) -> str:
    """What is wrong, without what the door would have done then."""
    return reason.removeprefix("left out: ").removeprefix("kept as sent: ")


def _is_taken(reason: str) -> bool:
    """Whether a warning is about what is taken all the same, such as another trait that the plan wants and misses."""
    return reason == NO_ZONE or reason.startswith(("taken as it is: ", "and "))


def correct(
    log: EventLog, clock: Clock, engine: EngineReads, event: Event, *, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Append it and wait until the engine has folded it; False if that takes long."""
    return carry_out_all(log, clock, engine, [Events([event])], sleep=sleep)


def value_of(text: str, trait: str, profile: ProfileSchema, rules: IngestRules, facts: PersonFacts) -> Any:
    """What is typed for a trait: JSON where the trait is no text, as declared or as it is now; empty removes it."""
    if not text.strip():
        return None
    declared = profile.traits.get(trait)
    planned = rules.plan.types().traits.get(trait)
    known = facts.traits.get(trait)
    kind = declared.kind if declared else planned
    other = kind not in (None, "text", "instant") or (
        kind is None and known is not None and isinstance(known.value, bool | int | float | list)
    )
    if not other:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
