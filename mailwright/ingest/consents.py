"""Consents and suppressions as a shop tells them: request bodies become ledger rows by address hash."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import MINUTE, Instant, format_iso, parse_iso
from mailwright.core.ports import Consent
from mailwright.ingest.identifiers import is_address
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.wire import DECODE_ERRORS, decode_list, in_words

__all__ = [
    "AHEAD_MICROS",
    "ConsentCall",
    "ParsedConsents",
    "ParsedSuppressions",
    "Suppression",
    "SuppressionCall",
    "consent_of",
    "parse_consents",
    "parse_suppressions",
    "suppression_of",
]

AHEAD_MICROS = MINUTE
"""How far a shop's clock may run ahead of ours; such an `at` counts as now."""

Fault = tuple[str, str]
"""(field, reason)."""

HashAddress = Callable[[str], str]
"""An address as written -> the keyed hash that the gate asks for: ``Sealer.hash`` of kind ``email``."""

_C = TypeVar("_C")
_T = TypeVar("_T")


class ConsentCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One consent as sent. `at`: ISO 8601, when the person decided; without one, now."""

    email: str
    purpose: str
    granted: bool
    source: str
    wording: str | None = None
    at: str | None = None


class SuppressionCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One address for the suppression list, as sent."""

    email: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address that gets no mail of any kind, by its hash."""

    address_hash: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedConsents:
    """The good rows of a request, in order, and the faults of the bad ones."""

    consents: Sequence[Consent]
    refused: Sequence[Refusal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSuppressions:
    """The good entries of a request, in order, and the faults of the bad ones."""

    suppressions: Sequence[Suppression]
    refused: Sequence[Refusal]


_consent = msgspec.json.Decoder(ConsentCall)
_suppression = msgspec.json.Decoder(SuppressionCall)


def parse_consents(
    body: bytes, *, hash_address: HashAddress, received_at: Instant, limits: Limits = LIMITS
) -> ParsedConsents:
    """Read a body ``{"consents": [{"email", "purpose", "granted", "source", "wording"?, "at"?}, ...]}``.

    All faults of an item are listed, and it is refused as a whole.

    Raises:
        InvalidInput: If nothing of the body can be read: ``ingest.json``, ``ingest.too_large``, ``ingest.too_many``.
    """
    good, refused = _parse(
        decode_list(body, "consents", limits),
        _consent,
        lambda call: consent_of(call, hash_address=hash_address, received_at=received_at, limits=limits),
        limits,
    )
    return ParsedConsents(consents=good, refused=refused)


def parse_suppressions(body: bytes, *, hash_address: HashAddress, limits: Limits = LIMITS) -> ParsedSuppressions:
    """Read a body ``{"suppressions": [{"email", "reason"}, ...]}``; see `parse_consents`."""
    good, refused = _parse(
        decode_list(body, "suppressions", limits),
        _suppression,
        lambda call: suppression_of(call, hash_address=hash_address, limits=limits),
        limits,
    )
    return ParsedSuppressions(suppressions=good, refused=refused)


def consent_of(
    call: ConsentCall, *, hash_address: HashAddress, received_at: Instant, limits: Limits = LIMITS
) -> tuple[Consent | None, list[Fault]]:
    """The ledger row that a call tells, or None and its faults.

    A grant needs the wording that the person saw, for whoever must prove it later; a withdrawal needs none. An `at`
    ahead of `received_at` by at most `AHEAD_MICROS` becomes `received_at`: rows count by `at`, and one that lay in the
    future would outlast a withdrawal that is told meanwhile.
    """
    purpose, source, wording = call.purpose.strip(), call.source.strip(), (call.wording or "").strip()
    faults = _address_faults(call.email)
    faults += _name_faults("purpose", purpose, limits) + _name_faults("source", source, limits)
    if call.granted and not wording:
        faults.append(("wording", "a grant needs the wording that the person saw"))
    faults += _text_faults("wording", wording)
    at, late = _instant(call.at, received_at, limits)
    faults += late
    if faults:
        return None, faults
    address_hash = hash_address(call.email)
    return Consent(
        address_hash=address_hash, purpose=purpose, granted=call.granted, at=at, source=source, wording=wording
    ), []


def suppression_of(
    call: SuppressionCall, *, hash_address: HashAddress, limits: Limits = LIMITS
) -> tuple[Suppression | None, list[Fault]]:
    """The entry that a call tells, or None and its faults."""
    reason = call.reason.strip()
    faults = _address_faults(call.email) + _name_faults("reason", reason, limits)
    if faults:
        return None, faults
    return Suppression(address_hash=hash_address(call.email), reason=reason), []


def _parse(
    raws: Sequence[bytes],
    decoder: msgspec.json.Decoder[_C],
    read: Callable[[_C], tuple[_T | None, list[Fault]]],
    limits: Limits,
) -> tuple[list[_T], list[Refusal]]:
    good: list[_T] = []
    refused: list[Refusal] = []
    for index, raw in enumerate(raws):
        one, faults = _one(raw, decoder, read, limits)
        if one is not None:
            good.append(one)
        refused += [Refusal(index, place, reason) for place, reason in faults]
    return good, refused


def _one(
    raw: bytes,
    decoder: msgspec.json.Decoder[_C],
    read: Callable[[_C], tuple[_T | None, list[Fault]]],
    limits: Limits,
) -> tuple[_T | None, list[Fault]]:
    if len(raw) > limits.event_bytes:
        return None, [("", f"it has {len(raw):,} bytes, at most {limits.event_bytes:,} are taken")]
    try:
        call = decoder.decode(raw)
    except DECODE_ERRORS as error:
        return None, [in_words(error)]
    return read(call)


def _address_faults(email: str) -> list[Fault]:
    if not is_address(email):
        return [("email", "is no e-mail address")]
    return _text_faults("email", email)


def _name_faults(field: str, text: str, limits: Limits) -> list[Fault]:
    if not 0 < len(text) <= limits.id_chars:
        return [(field, f"it has {len(text)} characters, 1 to {limits.id_chars} are taken")]
    return _text_faults(field, text)


def _text_faults(field: str, text: str) -> list[Fault]:
    """Control characters are never what a person saw or meant, and would steer whatever terminal shows them."""
    if any(unicodedata.category(each) in ("Cc", "Cs") and not each.isspace() for each in text):
        return [(field, "it has control characters")]
    return []


def _instant(text: str | None, received_at: Instant, limits: Limits) -> tuple[Instant, list[Fault]]:
    if text is None:
        return received_at, []
    try:
        at = parse_iso(text)
        told = format_iso(at)
    except InvalidInput as error:
        return received_at, [("at", error.issues[0].message)]
    except OverflowError:  # an offset led out of the years 1 to 9999
        return received_at, [("at", "the time is out of range")]
    if at > received_at + AHEAD_MICROS:
        return at, [("at", f"{told} lies in the future; it is {format_iso(received_at)}")]
    if at < limits.earliest_at:
        return at, [("at", f"{told} is before {format_iso(limits.earliest_at)}")]
    return min(at, received_at), []
