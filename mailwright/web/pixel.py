"""The pixel of pages and mails without scripts: an address that is fetched as an image becomes a call of the door.

    /v1/pixel/track.gif?data=BASE64URL(JSON)
    /v1/pixel/track.gif?writeKey=pk_...&event=Cart+Viewed&anonymousId=...&value=59.90

Anybody can make anybody's browser fetch it, so it names no known user and tells no traits. The answer is always the
same image: it says nothing about the key, the event or a fault.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Any
from urllib.parse import parse_qsl

import msgspec

CALLS = frozenset({"track", "page", "screen"})
"""What may follow ``/v1/pixel/``, with ``.gif`` after it."""

_TEXTS = ("writeKey", "event", "name", "category", "anonymousId", "messageId", "timestamp")
_AMOUNTS = frozenset(
    {"discount", "position", "price", "quantity", "revenue", "shipping", "step", "subtotal", "tax", "total", "value"}
)
_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,6})?")
_PATH = re.compile(r"/v1/pixel/(\w+)\.gif")


def pixel_call(path: str) -> str | None:
    """The call that a path asks for, or None if it is no pixel's."""
    found = _PATH.fullmatch(path)
    return found[1] if found and found[1] in CALLS else None


def pixel_body(query: bytes, referer: str) -> dict[str, Any] | None:
    """The call that a pixel's address tells, as the body of a POST would; None if it cannot be read.

    Args:
        query: The address's query. Without ``data``, what is none of the call's own fields is a property; the usual
            amounts become numbers.
        referer: Of the request: the page on which the pixel stands, unless the call names one.

    Who sends no ``anonymousId`` is a visitor of their own, seen this once: without a script or a cookie nothing tells
    two visits to be one person's.
    """
    try:
        given = dict(parse_qsl(query.decode("ascii"), max_num_fields=100))
        told = _decoded(given["data"]) if "data" in given else _from_fields(given)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    call = {name: told[name] for name in _TEXTS if isinstance(told.get(name), str)}
    for name in ("properties", "context"):
        if isinstance(told.get(name), dict):
            call[name] = told[name]
    if "writeKey" not in call and "writeKey" in given:
        call["writeKey"] = given["writeKey"]
    call["messageId"] = call.get("messageId") or str(uuid.uuid4())
    call["anonymousId"] = call.get("anonymousId") or f"pixel-{call['messageId']}"
    if referer:
        call["context"] = {"page": {"url": referer}, **call.get("context", {})}
    call.get("context", {}).pop("traits", None)
    return call


def _decoded(data: str) -> Any:
    return msgspec.json.decode(base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True))


def _from_fields(given: dict[str, str]) -> dict[str, Any]:
    properties = {
        name: float(text) if name in _AMOUNTS and _DECIMAL.fullmatch(text) else text
        for name, text in given.items()
        if name not in _TEXTS
    }
    return {**given, "properties": properties}
