"""How much one request may bring, and how values are checked against it without walking small ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mailwright.core.instants import DAY, Instant, parse_iso

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
_EARLIEST_AT = parse_iso("1980-01-01T00:00:00Z")
_MANY_DIGITS = re.compile(rb"[1-9][0-9]{18}")  # 2^63 has 19 digits: without such a stretch every integer fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the door. The first three are those of Segment's HTTP API, so that its libraries keep to them.

    Attributes:
        event_bytes: One event, or one item, as JSON.
        request_bytes: A batch as JSON, after decompression.
        request_items: Events or items in a batch.
        depth: Nested objects and lists, the event itself being the first; far below any parser's own limit.
        keys: Keys of all objects in an event.
        id_chars: An identifier, a message id, an event's name.
        earliest_at: Stamps before are refused: a clock that was never set says 1970.
        future_micros: Stamps further ahead of the door's clock are refused; 1 year and 1 day lets a booking in.
    """

    event_bytes: int = 32 * 1024
    request_bytes: int = 500 * 1024
    request_items: int = 2500
    depth: int = 32
    keys: int = 2048
    id_chars: int = 256
    earliest_at: Instant = _EARLIEST_AT
    future_micros: int = 366 * DAY


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item, or a field of it, was not taken.

    `index` counts from 0 in the request (-1: the request itself), `field` is a dotted path, empty for the whole item.
    """

    index: int
    field: str
    reason: str


def too_much(raw: bytes, value: Any, limits: Limits) -> str:
    """Why a decoded item exceeds `limits`, or an empty text. `raw` is its JSON, `value` a list or dict of its parts.

    Counting brackets and colons in the bytes clears nearly every event; only one that might exceed is walked.
    """
    if len(raw) > limits.event_bytes:
        return f"it has {len(raw):,} bytes, at most {limits.event_bytes:,} are taken"
    suspect = raw.count(b"{") + raw.count(b"[") > limits.depth or raw.count(b":") > limits.keys
    if suspect or _MANY_DIGITS.search(raw):
        return _walked(value, limits)
    return ""


def _walked(value: Any, limits: Limits) -> str:
    n_keys = 0
    level = [value]
    for _ in range(limits.depth):
        n_keys += sum(len(each) for each in level if type(each) is dict)
        if n_keys > limits.keys:
            return f"it has more than {limits.keys:,} keys"
        inside = [one for each in level for one in (each.values() if type(each) is dict else each)]
        for each in inside:
            if type(each) is int and not INT64_MIN <= each <= INT64_MAX:
                return f"the number {str(each)[:30]}... does not fit into 64 bits"
        level = [each for each in inside if type(each) in (dict, list)]
        if not level:
            return ""
    return f"it is nested deeper than {limits.depth} levels"
