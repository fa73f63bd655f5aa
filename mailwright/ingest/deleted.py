"""What it means that a row is gone at its origin: a draft like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailwright.ingest.drafts import Draft
from mailwright.ingest.identifiers import is_phone
from mailwright.ingest.imports import Deletes

_WHO = ("userId", "anonymousId", "groupId")


def remnant_of(deletes: Deletes, draft: Draft) -> dict[str, Any]:
    """What must be kept of a row so that its end can be told later. It may hold an address or a number."""
    body = draft.body
    match deletes.then:
        case "facts":
            return {name: body[name] for name in ("catalog", "item_id", "facts")}
        case "suppress":
            return {"email": _address(body)}
    kept: dict[str, Any] = {name: body[name] for name in _WHO if name in body}
    if address := _address(body):
        kept["email"] = address
    elif deletes.then == "unset" and not kept and (phone := _phone(body)):
        kept["phone"] = phone
    if deletes.then == "unset":
        kept["type"] = body.get("type", "identify")
        kept["traits"] = list(body.get("traits", {}))
    return kept


def can_end(deletes: Deletes, kept: Mapping[str, Any]) -> bool:
    """Whether `kept` tells whose end it is: not of a row without an address, nor if it was kept for another `then`."""
    match deletes.then:
        case "facts":
            return "facts" in kept
        case "suppress":
            return bool(kept.get("email"))
        case "unset":
            return "traits" in kept
        case "event":
            return any(kept.get(name) for name in (*_WHO, "email"))


def end_of(deletes: Deletes, kept: Mapping[str, Any], *, message_id: str, key: str, reason: str, stamp: str) -> Draft:
    """The draft that tells the end of a row.

    Args:
        deletes: As declared.
        kept: What `remnant_of` gave.
        message_id: Its own; the same for the same end.
        key: The row's key in words, for the event.
        reason: For a suppression.
        stamp: When it was deleted, ISO 8601; empty: now.
    """
    match deletes.then:
        case "facts":
            return Draft("item", {**kept, "facts": {**kept["facts"], **deletes.facts}}, ends=True)
        case "suppress":
            return Draft("suppression", {"email": kept["email"], "reason": reason}, ends=True)
    call: dict[str, Any] = {"messageId": message_id, **{name: kept[name] for name in _WHO if name in kept}}
    if stamp:
        call["timestamp"] = stamp
    if deletes.then == "event":
        call |= {"type": "track", "event": deletes.event, "properties": {"key": key}}
        if "email" in kept:
            call["context"] = {"traits": {"email": kept["email"]}}
    else:
        call |= {"type": kept["type"], "traits": dict.fromkeys(kept["traits"])}
        kind = "email" if "email" in kept else "phone"
        if kind in kept and not any(name in kept for name in _WHO):
            # The address or number names whom it is taken from, so it is told as a name and not as a trait.
            call["context"] = {"externalIds": [{"type": kind, "id": kept[kind]}]}
    return Draft("call", call, ends=True)


def is_deleted(value: Any) -> bool:
    """Whether a soft-delete column says so: by an instant, ``true``, 1; not if it is empty, false, 0 or ``no``."""
    return str(value).strip().lower() not in ("", "none", "null", "false", "0", "no", "f", "n")


def _address(body: Mapping[str, Any]) -> str:
    for place in (body, body.get("traits"), (body.get("context") or {}).get("traits")):
        if isinstance(place, Mapping) and place.get("email"):
            return str(place["email"])
    user = str(body.get("userId", ""))
    return user if "@" in user else ""


def _phone(body: Mapping[str, Any]) -> str:
    """A number that is written with its country: what another means goes by fields of the row that are not kept."""
    phone = str((body.get("traits") or {}).get("phone") or "").strip()
    return phone if phone.startswith(("+", "00")) and is_phone(phone) else ""
