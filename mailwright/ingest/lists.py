"""Changes of lists as a shop tells them: entries become identifiers as the log knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.events import ListChanged
from mailwright.ingest.identifiers import Seal, identifier_of, is_address, is_blocked
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.wire import DECODE_ERRORS, in_words

__all__ = ["MAX_ENTRIES", "ListCall", "ParsedList", "check_list_name", "entry_of", "parse_list"]

MAX_ENTRIES = 2_500
"""Identifiers per record, so that a large change does not hold up what comes behind it in one piece."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Entry = str | dict[str, str]
"""An address or a user_id; or one kind with its value: ``{"email": "a@b.example"}``."""


class ListCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change as sent. ``replace``: the whole list from now on; not together with the others."""

    add: list[Entry] = []
    remove: list[Entry] = []
    replace: list[Entry] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedList:
    """Records to append together, how many entries they hold, and the faults of the others."""

    records: Sequence[ListChanged]
    accepted: int
    refused: Sequence[Refusal]


_call = msgspec.json.Decoder(ListCall)


def check_list_name(name: str) -> str:
    """The name of a list, if it can be one.

    Raises:
        InvalidInput: ``list.name``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput.one(
            "list.name", f"{name!r} cannot be a list's name", hint="use lower-case letters, digits, _ and -"
        )
    return name


def parse_list(body: bytes, *, name: str, source: str, seal: Seal, limits: Limits = LIMITS) -> ParsedList:
    """Read a body ``{"add": [...], "remove": [...]}`` or ``{"replace": [...]}``.

    A replacement with a bad entry is refused as a whole: whoever is left out by mistake would leave the list.

    Raises:
        InvalidInput: ``list.name``; ``list.body``, if nothing of the body can be read or a replacement is not whole.
    """
    check_list_name(name)
    try:
        call = _call.decode(body)
    except DECODE_ERRORS as error:
        field, reason = in_words(error)
        raise InvalidInput.one("list.body", f"{field or 'the body'} {reason}", hint=_HINT) from None
    if call.replace is not None and (call.add or call.remove):
        raise InvalidInput.one("list.body", "replace stands alone: the list is then what it says", hint=_HINT)
    refused: list[Refusal] = []
    parts = {
        field: list(_identifiers(field, entries, seal, limits, refused))
        for field, entries in (("add", call.add), ("remove", call.remove), ("replace", call.replace or []))
    }
    if call.replace is not None:
        if refused:
            one = refused[0]
            message = f"nobody was replaced: entry {one.index} of {len(call.replace)} {one.reason}"
            raise InvalidInput.one("list.body", message, hint="correct or leave out the entry")
        records = list(replacing(name, parts["replace"], source))
    else:
        records = [*_chunks(name, parts["add"], source, "added"), *_chunks(name, parts["remove"], source, "removed")]
    return ParsedList(records=records, accepted=sum(map(len, parts.values())), refused=refused)


def replacing(name: str, identifiers: Sequence[str], source: str) -> Iterator[ListChanged]:
    """Records that make the list exactly this, to be appended together: no tick comes between them."""
    yield ListChanged(name=name, added=list(identifiers[:MAX_ENTRIES]), replaced=True, source=source)
    yield from _chunks(name, identifiers[MAX_ENTRIES:], source, "added")


def _chunks(name: str, identifiers: Sequence[str], source: str, field: str) -> Iterator[ListChanged]:
    for start in range(0, len(identifiers), MAX_ENTRIES):
        chunk: dict[str, Any] = {field: list(identifiers[start : start + MAX_ENTRIES])}
        yield ListChanged(name=name, source=source, **chunk)


def _identifiers(
    field: str, entries: Sequence[Entry], seal: Seal, limits: Limits, refused: list[Refusal]
) -> Iterator[str]:
    for index, entry in enumerate(entries):
        try:
            yield entry_of(entry, seal, limits)
        except InvalidInput as error:
            refused.append(Refusal(index, field, error.issues[0].message))


def entry_of(entry: Entry, seal: Seal, limits: Limits = LIMITS) -> str:
    """``kind:value`` of an entry; addresses and phone numbers by their keyed hash.

    Raises:
        InvalidInput: ``list.entry``, if it names nobody.
    """
    if isinstance(entry, str):
        kind, value = ("email" if is_address(entry) else "user_id"), entry
    elif len(entry) == 1:
        ((kind, value),) = entry.items()
    else:
        raise InvalidInput.one("list.entry", "has not exactly one kind with its value", hint=_HINT)
    value = value.strip()
    if not _KIND.fullmatch(kind):
        raise InvalidInput.one("list.entry", f"has no kind of identifier {kind!r}")
    if not value or len(value) > limits.id_chars or is_blocked(value):
        raise InvalidInput.one("list.entry", f"{kind} {value[:30]!r} names nobody")
    if kind == "email" and not is_address(value):
        raise InvalidInput.one("list.entry", "is no e-mail address")
    identifier = identifier_of(seal, kind, value)
    return f"{identifier.kind}:{identifier.value}"


_HINT = 'send {"add": ["ada@example.com", {"user_id": "42"}]}, "remove" likewise, or {"replace": [...]} for all of it'
