"""JSON bodies as they come over the wire, cut into items so that one bad item spoils no other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.ingest.limits import Limits

Id = str | int | None


class Call(msgspec.Struct, rename="camel", gc=False):
    """One call of the Segment spec. Fields that it does not name are ignored, as everywhere in that spec.

    The context is left as it came: calls of one program have the same, so that one reading serves many.
    """

    type: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    group_id: Id = None
    message_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: msgspec.Raw = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, rename="camel"):
    """What a batch says of all its items."""

    batch: list[msgspec.Raw]
    context: dict[str, Any] | None = None
    sent_at: str | None = None


class Batch(NamedTuple):
    """The items of a batch as JSON, and what it says of all of them."""

    items: Sequence[bytes]
    context: dict[str, Any]
    sent_at: str | None


decode_call = msgspec.json.Decoder(Call).decode
_context = msgspec.json.Decoder(dict[str, Any] | None)


def decode_context(call: Call) -> dict[str, Any]:
    """The context of a call, empty if it has none.

    Raises:
        msgspec.MsgspecError: One of `DECODE_ERRORS`; `in_words` takes its place for one inside the context.
    """
    return _context.decode(call.context) or {}


DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bytes from outside: bad JSON or types, bad UTF-8, absurd nesting."""

_envelope = msgspec.json.Decoder(Envelope)
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`$")
_FIELD = re.compile(r"Object (?:(?P<missing>missing required)|contains unknown) field `(?P<name>[^`]*)`$")
_SHAPES = {
    "str": "a text",
    "int": "a number",
    "float": "a number with decimals",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}

# Strings whole (so that what is in them is not structure), else one structural character. Possessive: linear time.
_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)


def decode_batch(body: bytes, list_key: str = "batch") -> Batch:
    """Cut a body ``{"batch": [...], ...}`` into its items.

    A body that a strict parser refuses as a whole because of one item (NaN, half a surrogate pair, absurd nesting) is
    cut by its brackets, so that the other items can be read.

    Raises:
        InvalidInput: If it is no JSON object with such a list even so.
    """
    if list_key == "batch":
        try:
            envelope = _envelope.decode(body)
        except DECODE_ERRORS:
            pass
        else:
            return Batch([bytes(raw) for raw in envelope.batch], envelope.context or {}, envelope.sent_at)
    start, end, items = _cut(body, list_key)
    rest = body[:start] + b"[]" + body[end:]
    try:
        told = msgspec.json.decode(rest, type=dict[str, Any])
        envelope = msgspec.convert({**told, "batch": []}, Envelope)
    except DECODE_ERRORS as error:
        raise _no_batch(list_key, in_words(error)[1]) from None
    return Batch(items, envelope.context or {}, envelope.sent_at)


def decode_list(body: bytes, list_key: str, limits: Limits) -> Sequence[bytes]:
    """The items of a body ``{list_key: [...]}`` as JSON, if there are no more of them than `limits` allow.

    Raises:
        InvalidInput: ``ingest.json``, ``ingest.too_large`` or ``ingest.too_many``.
    """
    if len(body) > limits.request_bytes:
        message = f"the body has {len(body):,} bytes, at most {limits.request_bytes:,} are taken"
        raise InvalidInput.one("ingest.too_large", message, hint="send smaller batches")
    raws = decode_batch(body, list_key).items
    if len(raws) > limits.request_items:
        message = f"{len(raws):,} items, at most {limits.request_items:,} are taken"
        raise InvalidInput.one("ingest.too_many", message, hint="send smaller batches")
    return raws


def in_words(error: Exception) -> tuple[str, str]:
    """(field, reason) of one of DECODE_ERRORS."""
    if isinstance(error, RecursionError):
        return "", "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "", "a text is not UTF-8"
    if isinstance(error, msgspec.ValidationError):
        where = _AT.search(str(error))
        field = where[1].replace("[...]", "") if where else ""
        return _unfit(field, str(error)[: where.start()] if where else str(error))
    reason = str(error).rstrip(".")
    return "", f"not valid JSON ({reason}); NaN, infinite numbers and half surrogate pairs are none"


def _unfit(field: str, said: str) -> tuple[str, str]:
    """(field, reason) of what msgspec said of a value of another shape."""
    if match := _EXPECTED.match(said):
        wanted = " or ".join(_SHAPES.get(shape, shape) for shape in match["wanted"].split(" | ") if shape != "null")
        return field, f"{_SHAPES.get(match['got'], match['got'])} was sent where {wanted} belongs"
    if match := _FIELD.match(said):
        reason = "missing" if match["missing"] else "there is no such field"
        return ".".join(filter(None, (field, match["name"]))), reason
    return field, said


def _cut(body: bytes, list_key: str) -> tuple[int, int, list[bytes]]:
    """(start, end, items) of the list at `list_key` of the outermost object; end is after its bracket."""
    wanted = b'"' + list_key.encode() + b'"'
    depth, start, item_from = 0, -1, 0
    key = b""
    items: list[bytes] = []
    for match in _STRUCTURE.finditer(body):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            if depth == 2 and token == b"[" and key == wanted:
                start, item_from = match.start(), match.end()
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 1 and start >= 0:
                last = body[item_from : match.start()].strip()
                return start, match.end(), [*items, last] if items or last else []
        elif token == b"," and depth == 2 and start >= 0:
            items.append(body[item_from : match.start()].strip())
            item_from = match.end()
        elif depth == 1:
            key = token
    raise _no_batch(list_key, "brackets do not match" if start >= 0 else f"it has no list {list_key!r}")


def _no_batch(list_key: str, why: str) -> InvalidInput:
    return InvalidInput.one(
        "ingest.json",
        f"the body is no JSON object with a list {list_key!r}: {why}",
        hint=f'send {{"{list_key}": [...]}}',
    )
