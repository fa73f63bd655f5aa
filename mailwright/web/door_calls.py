"""What the door's own calls take and answer, for `openapi`: the door answers them before the framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from mailwright.ingest.consents import ConsentCall, SuppressionCall
from mailwright.ingest.items import ItemCall
from mailwright.ingest.limits import LIMITS
from mailwright.web.described import Told

Id = str | int | None


class AnyCall(msgspec.Struct, rename="camel"):
    """What every call may say. Fields that are not named here are ignored.

    Attributes:
        user_id: Who it is, as the shop knows them; one of this and `anonymousId` is there.
        anonymous_id: Who it is, as the browser knows them.
        message_id: Of two calls with the same one counts; without one, each counts.
        timestamp: When it happened, ISO 8601; without one, now.
        context: What is known besides: page, campaign, device, program.
    """

    user_id: Id = None
    anonymous_id: Id = None
    message_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    context: dict[str, Any] | None = None


class Identify(AnyCall):
    """Traits of a person; a null removes one."""

    traits: dict[str, Any] | None = None


class Track(AnyCall):
    """Something that a person did."""

    event: str | None = None
    properties: dict[str, Any] | None = None


class Page(AnyCall):
    """A page, or a screen of an app, that was seen."""

    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] | None = None


class Group(AnyCall):
    """An account that a person belongs to, with its traits."""

    group_id: Id = None
    traits: dict[str, Any] | None = None


class Alias(AnyCall):
    """Two names of one person."""

    previous_id: Id = None


class BatchItem(AnyCall, kw_only=True):
    """One call of a batch: what the call of its type may say."""

    type: Literal["identify", "track", "page", "screen", "group", "alias"]
    event: str | None = None
    name: str | None = None
    category: str | None = None
    group_id: Id = None
    previous_id: Id = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None


class Batch(msgspec.Struct, rename="camel"):
    """Many calls.

    Attributes:
        context: Of all of them; what a call itself says wins.
        write_key: The key, if no header brings it.
    """

    batch: Annotated[list[BatchItem], msgspec.Meta(max_length=LIMITS.request_items)]
    context: dict[str, Any] | None = None
    sent_at: str | None = None
    write_key: str | None = None


class ItemsCall(msgspec.Struct):
    """Versions of catalog items."""

    items: list[ItemCall]


class ConsentsCall(msgspec.Struct):
    """What people agreed to, or no longer do; a grant needs its wording."""

    consents: list[ConsentCall]


class SuppressionsCall(msgspec.Struct):
    """Addresses that get no mail at all."""

    suppressions: list[SuppressionCall]


class Refused(Told):
    """One fault of one item: the item's place in the request, the field, and why."""

    index: int
    field: str
    reason: str


class Outcome(Told):
    """What became of a request's items.

    Attributes:
        accepted: So many are durable.
        refused: Faults of those that were not taken; of JSON lines those of the first 1,000, `refused_count` in all.
        warned: What is not as the tracking plan says, and was taken all the same.
        quarantined: What the tracking plan holds back: kept, to be mended and let in; of JSON lines only `held_count`.
    """

    accepted: int
    refused: list[Refused]
    warned: list[Refused] | msgspec.UnsetType = msgspec.UNSET
    quarantined: list[Refused] | msgspec.UnsetType = msgspec.UNSET
    refused_count: int | msgspec.UnsetType = msgspec.UNSET
    held_count: int | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class DoorCall:
    """One call: what it does, its body, and whether a server key alone may send it."""

    what: str
    body: type[msgspec.Struct]
    server: bool = False
    lines: bool = False


DOOR_CALLS: Mapping[str, DoorCall] = {
    "identify": DoorCall("Traits of a person; a null removes one.", Identify),
    "track": DoorCall("An event with properties.", Track),
    "page": DoorCall("A page was seen.", Page),
    "screen": DoorCall("A screen of an app was seen.", Page),
    "group": DoorCall("A person belongs to an account, and its traits.", Group),
    "alias": DoorCall("Two identifiers are one person.", Alias),
    "batch": DoorCall("Many calls.", Batch),
    "import": DoorCall(
        "Like batch, for what happened before; gives way to live events. With a server key also JSON lines.",
        Batch,
        lines=True,
    ),
    "items": DoorCall("Versions of catalog items.", ItemsCall, server=True),
    "consents": DoorCall("Who may be written to, for which purpose.", ConsentsCall, server=True),
    "suppressions": DoorCall("Who gets no mail at all.", SuppressionsCall, server=True),
}

PIXEL_WORDS: Mapping[str, str] = {
    "track": "An event by an image's address, for pages and mails without scripts; always an image of one pixel.",
    "page": "The same for a page that was seen.",
    "screen": "The same for a screen of an app.",
}

PIXEL_FIELDS: Mapping[str, str] = {
    "writeKey": "A browser key.",
    "event": "Name of the event.",
    "name": "Of the page or screen.",
    "category": "Of the page or screen.",
    "anonymousId": "Who it is; without one, a visitor seen this once.",
    "messageId": "Of two with the same one counts.",
    "timestamp": "When, ISO 8601.",
    "data": "The whole call as base64url of JSON, instead of the others. Other parameters are properties.",
}
