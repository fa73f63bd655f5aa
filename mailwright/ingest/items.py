"""Catalog items: request bodies become item versions, checked against the declared catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.events import Item
from mailwright.core.instants import Instant, parse_iso
from mailwright.ingest.definitions import CatalogDefinition, is_a, wrong_type
from mailwright.ingest.limits import LIMITS, Limits, Refusal, too_much
from mailwright.ingest.wire import DECODE_ERRORS, decode_list, in_words

__all__ = ["ParsedItems", "item_of", "parse_items"]


class ItemCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One item as sent. `stamp`: ISO 8601, from when the version is in force; without one, from now."""

    catalog: str
    item_id: str | int
    facts: dict[str, Any]
    stamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedItems:
    """The good items of a request, in order, and the faults of the bad ones."""

    items: Sequence[Item]
    refused: Sequence[Refusal]


_item = msgspec.json.Decoder(ItemCall)


def parse_items(
    body: bytes, *, catalogs: Mapping[str, CatalogDefinition], received_at: Instant, limits: Limits = LIMITS
) -> ParsedItems:
    """Read a body ``{"items": [{"catalog", "item_id", "facts", "stamp"?}, ...]}``.

    Facts that are null are left out. All faults of an item are listed, and it is refused as a whole.

    Raises:
        InvalidInput: If nothing of the body can be read: ``ingest.json``, ``ingest.too_large``, ``ingest.too_many``.
    """
    items: list[Item] = []
    refused: list[Refusal] = []
    for index, raw in enumerate(decode_list(body, "items", limits)):
        item, faults = _read(raw, catalogs, received_at, limits)
        refused += [Refusal(index, place, reason) for place, reason in faults]
        if item:
            items.append(item)
    return ParsedItems(items=items, refused=refused)


def _read(
    raw: bytes, catalogs: Mapping[str, CatalogDefinition], received_at: Instant, limits: Limits
) -> tuple[Item | None, list[tuple[str, str]]]:
    if len(raw) > limits.event_bytes:
        return None, [("", f"it has {len(raw):,} bytes, at most {limits.event_bytes:,} are taken")]
    try:
        call = _item.decode(raw)
    except DECODE_ERRORS as error:
        return None, [in_words(error)]
    if reason := too_much(raw, call.facts, limits):
        return None, [("facts", reason)]
    return item_of(call, catalogs, received_at)


def item_of(
    call: ItemCall, catalogs: Mapping[str, CatalogDefinition], received_at: Instant
) -> tuple[Item | None, list[tuple[str, str]]]:
    """The item version that a call tells, or None and its faults as (field, reason)."""
    catalog = catalogs.get(call.catalog)
    if catalog is None:
        return None, [("catalog", f"there is no catalog {call.catalog!r}; {nearest(call.catalog, catalogs)}")]
    facts = {name: value for name, value in call.facts.items() if value is not None}
    faults = _faults(facts, catalog)
    item_id = str(call.item_id).strip()
    if not 0 < len(item_id) <= LIMITS.id_chars:
        faults.append(("item_id", f"it has {len(item_id)} characters, 1 to {LIMITS.id_chars} are taken"))
    stamp_at = received_at
    if call.stamp is not None:
        try:
            stamp_at = parse_iso(call.stamp)
        except InvalidInput as error:
            faults.append(("stamp", error.issues[0].message))
    item = Item(catalog=call.catalog, item_id=item_id, stamp_at=stamp_at, facts=facts)
    return (None, faults) if faults else (item, [])


def _faults(facts: Mapping[str, Any], catalog: CatalogDefinition) -> list[tuple[str, str]]:
    missing = [
        (f"facts.{name}", "required by the catalog, but missing") for name in catalog.required if name not in facts
    ]
    unknown = [
        (f"facts.{name}", f"the catalog declares no such fact; {nearest(name, catalog.facts)}")
        for name in facts
        if name not in catalog.facts
    ]
    wrong = [
        (f"facts.{name}", wrong_type(declared, facts[name]))
        for name, declared in catalog.facts.items()
        if name in facts and not is_a(declared, facts[name])
    ]
    return missing + unknown + wrong
