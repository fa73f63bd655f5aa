"""Whether a request comes from whom it says, and has not come before. Pure: secrets and time are arguments."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import SECOND, Instant, parse_iso

__all__ = ["Authentic", "Request", "Verification", "secret_names", "verify"]

Encoding = Literal["hex", "base64"]
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,100}")
_PAYLOAD = re.compile(r"\{(\w+)\}")


Kind = Literal["hmac", "standard", "stripe", "ed25519", "basic", "bearer", "token"]


class Verification(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a sender proves who it is.

    Attributes:
        kind: ``hmac``: a keyed hash in a header. ``standard``: Standard Webhooks, and Svix, which they come from.
            ``stripe``: one header with ``t=TIMESTAMP,v1=SIGNATURE``. ``ed25519``: a signature by a key pair.
            ``basic``: Basic auth. ``bearer``: ``Authorization: Bearer SECRET``. ``token``: the secret in the address
            (``/w/NAME?token=SECRET``), for those that can do nothing else: addresses get logged.
        secret_env: Environment variable that holds the secret; of several any is good, so that one can be exchanged.
        header: Holds the signature, or for ``bearer`` the secret. Of several signatures one must fit.
        algorithm: Of ``hmac``.
        encoding: Of the signature: ``hex`` or ``base64``.
        prefix: What stands before the signature, such as ``sha256=``.
        payload: What is signed: ``{body}``, ``{timestamp}.{body}``, ``{id}.{timestamp}.{body}``.
        timestamp_header: Holds the timestamp, in seconds since 1970 or as ISO 8601; checked against `tolerance`.
        id_header: Holds the delivery's id, if that is signed.
        tolerance: How far a signed timestamp may be off, in either direction.
        user: Of ``basic``.
        parameter: Of ``token``.
        public_key: Of ``ed25519``, in hex or base64; it is no secret.
    """

    kind: Kind
    secret_env: str | list[str] = ""
    header: str = ""
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    payload: str = "{body}"
    timestamp_header: str = ""
    id_header: str = ""
    tolerance: str = "5 minutes"
    user: str = ""
    parameter: str = "token"
    public_key: str = ""

    def __post_init__(self) -> None:
        if (not self.secret_env) != (self.kind == "ed25519"):
            raise ValueError("ed25519 has a public_key" if self.secret_env else f"{self.kind} needs secret_env")
        for name in secret_names(self):
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"secret_env {name!r} is no variable of the environment: write one like SHOP_SECRET")
        if self.kind in ("hmac", "ed25519"):
            if not self.header:
                raise ValueError(f"{self.kind} needs header, which holds the signature")
            _check_payload(self.payload, timestamp=self.timestamp_header, id=self.id_header)
        if self.kind == "ed25519" and _key(self.public_key) is None:
            raise ValueError("public_key is no Ed25519 key: 32 bytes in hex or base64")
        try:
            duration_micros(self.tolerance)
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    @property
    def has_timestamp(self) -> bool:
        """Whether what is signed says when."""
        return self.kind in ("standard", "stripe") or bool(self.timestamp_header)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came: headers with names in lower case, the query, the exact bytes of the body."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentic:
    """The request is genuine. `seals`: digests by which another copy of it is known; none where nothing is signed."""

    seals: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a signature scheme looks at: what is signed, the signatures that were sent, and when it was signed."""

    payload: bytes
    signatures: Sequence[bytes]
    at: Instant | None = None


def secret_names(verification: Verification) -> list[str]:
    """The environment variables that a verification reads."""
    told = verification.secret_env
    return [told] if isinstance(told, str) and told else list(told)


def verify(
    verification: Verification, request: Request, secrets: Sequence[str], now: Instant, headers: Sequence[str] = ()
) -> Authentic | str:
    """Whether a request is genuine; if not, why, in words for a log of ours and not for whoever sent it.

    Args:
        verification: As declared.
        request: As it came.
        secrets: Values of `secret_names`; empty ones fit nothing.
        now: For signed timestamps, which may be off by the tolerance in either direction.
        headers: Names, in lower case, of headers that tell what a body is, signed or not: the same body under
            another topic is another delivery.
    """
    secrets = [secret for secret in secrets if secret]
    signed = _looked_at(verification, request)
    if signed is None:
        return _by_secret(verification, request, secrets)
    if not _fits(verification, signed, secrets):
        return "the signature does not fit" if signed.signatures else "there is no signature"
    if verification.has_timestamp and not _is_fresh(signed.at, now, verification.tolerance):
        return "it was signed too long ago, or the clocks differ"
    seal = hashlib.sha256(signed.payload)
    if headers:
        seal.update(
            msgspec.json.encode([hashlib.sha256(request.headers.get(one, "").encode()).hexdigest() for one in headers])
        )
    return Authentic(seals=(seal.hexdigest(),))


def _looked_at(verification: Verification, request: Request) -> _Signed | None:
    """What the scheme looks at; None for one that signs nothing."""
    match verification.kind:
        case "hmac" | "ed25519":
            return _header_signed(verification, request)
        case "standard":
            return _standard_signed(request)
        case "stripe":
            return _stripe_signed(verification, request)
    return None


def _fits(verification: Verification, signed: _Signed, secrets: Sequence[str]) -> bool:
    if verification.kind == "ed25519":
        return any(_ed25519_fits(verification, signed, each) for each in signed.signatures)
    if verification.kind == "standard":
        keys = [key for secret in secrets if (key := _standard_key(secret))]
    else:
        keys = [secret.encode() for secret in secrets]
    wanted = [hmac.digest(key, signed.payload, verification.algorithm) for key in keys]
    return _any_equal(wanted, signed.signatures)


def _by_secret(verification: Verification, request: Request, secrets: Sequence[str]) -> Authentic | str:
    match verification.kind:
        case "token":
            told = request.query.get(verification.parameter, "")
        case "basic":
            scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
            decoded = _base64(encoded.strip()) if scheme.lower() == "basic" else None
            told = (decoded or b"").decode("utf-8", "replace")
            secrets = [f"{verification.user}:{secret}" for secret in secrets]
        case _:
            header = (verification.header or "Authorization").lower()
            told = request.headers.get(header, "").strip()
            if header == "authorization":
                scheme, _, told = told.partition(" ")
                told = told.strip() if scheme.lower() == "bearer" else ""
    fits = _any_equal([secret.encode() for secret in secrets], [told.encode("utf-8", "replace")])
    return Authentic() if fits else "the secret does not fit" if told else "there is no secret"


def _any_equal(wanted: Iterable[bytes], told: Sequence[bytes]) -> bool:
    """Compared in constant time, each with each, whichever fits first."""
    results = [hmac.compare_digest(one, other) for one in wanted for other in told]
    return any(results)


# --- the schemes -----------------------------------------------------------------------------------------------------


def _header_signed(how: Verification, request: Request) -> _Signed:
    found: list[bytes] = []
    for part in re.split(r"[,\s]+", request.headers.get(how.header.lower(), "")):
        decoded = _decoded(part[len(how.prefix) :], how.encoding) if part.startswith(how.prefix) else None
        if decoded:
            found.append(decoded)
    return _signed(how.payload, how.timestamp_header, how.id_header, request, found)


def _signed(payload: str, at_header: str, id_header: str, request: Request, signatures: Sequence[bytes]) -> _Signed:
    at = request.headers.get(at_header.lower(), "") if at_header else ""
    id = request.headers.get(id_header.lower(), "") if id_header else ""
    told = {"timestamp": at.encode(), "id": id.encode(), "body": request.body}
    parts = _PAYLOAD.split(payload)
    whole = b"".join(told[part] if place % 2 else part.encode() for place, part in enumerate(parts))
    return _Signed(whole, signatures, _instant(at))


def _standard_signed(request: Request) -> _Signed:
    def header(name: str) -> str:
        return request.headers.get(f"webhook-{name}") or request.headers.get(f"svix-{name}", "")

    at = header("timestamp")
    payload = f"{header('id')}.{at}.".encode() + request.body
    parts = [part.removeprefix("v1,") for part in header("signature").split() if part.startswith("v1,")]
    return _Signed(payload, [found for part in parts if (found := _base64(part))], _instant(at))


def _standard_key(secret: str) -> bytes | None:
    return _base64(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()


def _stripe_signed(how: Verification, request: Request) -> _Signed:
    pairs = [
        part.strip().partition("=")
        for part in request.headers.get((how.header or "Stripe-Signature").lower(), "").split(",")
    ]
    at = next((value for key, _, value in pairs if key == "t"), "")
    found = [decoded for key, _, value in pairs if key == "v1" and (decoded := _decoded(value, "hex"))]
    return _Signed(f"{at}.".encode() + request.body, found, _instant(at))


def _ed25519_fits(how: Verification, signed: _Signed, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(_key(how.public_key) or b"").verify(signature, signed.payload)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- parts -----------------------------------------------------------------------------------------------------------


def _is_fresh(at: Instant | None, now: Instant, tolerance: str) -> bool:
    return at is not None and abs(now - at) <= duration_micros(tolerance)


def _instant(text: str) -> Instant | None:
    if text.isdecimal() and len(text) < 12:
        return Instant(int(text) * SECOND)
    try:
        return parse_iso(text)
    except InvalidInput:
        return None


def _decoded(text: str, encoding: Encoding) -> bytes | None:
    if encoding == "base64":
        return _base64(text)
    try:
        return bytes.fromhex(text) if text.isascii() else None
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _key(text: str) -> bytes | None:
    found = [key for key in (_decoded(text, "hex"), _base64(text)) if key and len(key) == 32]
    return found[0] if found else None


def _check_payload(payload: str, *, timestamp: str, id: str) -> None:
    named = _PAYLOAD.findall(payload)
    if "body" not in named:
        raise ValueError(f"payload {payload!r} does not hold {{body}}: anything could be sent under one signature")
    headers = {"timestamp": timestamp, "id": id}
    for name in named:
        if name != "body" and not headers.get(name):
            field = f"{name}_header" if name in headers else "timestamp_header"
            raise ValueError(f"payload {payload!r} has {{{name}}}: name its header as {field}")
    for name, header in headers.items():
        if header and name not in named:
            raise ValueError(f"{name}_header is not part of payload {payload!r}, so it proves nothing")
