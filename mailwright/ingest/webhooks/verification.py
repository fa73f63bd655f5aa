"""Whether a request comes from whom it says, and has not come before. Pure: secrets and time are arguments."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import SECOND, Instant, parse_iso

__all__ = ["Authentic", "Request", "Verification", "secret_names", "verify"]

_VARIABLE = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,100}$")]
Secret = _VARIABLE | Annotated[list[_VARIABLE], msgspec.Meta(min_length=1, max_length=5)]
"""Names of environment variables; of several each is good, so that a secret can be exchanged without a gap."""

Encoding = Literal["hex", "base64"]
_PAYLOAD = re.compile(r"\{(\w+)\}")


class _Kind(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Hmac(_Kind, frozen=True, tag="hmac"):
    """A keyed hash in a header.

    Attributes:
        secret_env: Environment variable that holds the secret.
        header: Holds the signature; of several, separated by commas or blanks, one must fit.
        prefix: What stands before it, such as ``sha256=``.
        payload: What is signed: ``{body}``, ``{timestamp}.{body}``, ``{id}.{timestamp}.{body}``.
        timestamp_header: Holds the timestamp, in seconds since 1970 or as ISO 8601; checked against `tolerance`.
        id_header: Holds the delivery's id, if that is signed.
    """

    secret_env: Secret
    header: str
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    payload: str = "{body}"
    timestamp_header: str = ""
    id_header: str = ""
    tolerance: str = "5 minutes"

    def __post_init__(self) -> None:
        _check_payload(self.payload, timestamp=self.timestamp_header, id=self.id_header)
        _check_tolerance(self.tolerance)


class Standard(_Kind, frozen=True, tag="standard"):
    """Standard Webhooks, and Svix, which they come from."""

    secret_env: Secret
    tolerance: str = "5 minutes"

    def __post_init__(self) -> None:
        _check_tolerance(self.tolerance)


class Stripe(_Kind, frozen=True, tag="stripe"):
    """One header with ``t=TIMESTAMP,v1=SIGNATURE``, of which several may fit."""

    secret_env: Secret
    header: str = "Stripe-Signature"
    tolerance: str = "5 minutes"

    def __post_init__(self) -> None:
        _check_tolerance(self.tolerance)


class Ed25519(_Kind, frozen=True, tag="ed25519"):
    """A signature by a key pair; the public key is no secret and stands here, in hex or base64."""

    public_key: str
    header: str
    encoding: Encoding = "hex"
    payload: str = "{timestamp}{body}"
    timestamp_header: str = ""
    id_header: str = ""
    tolerance: str = "5 minutes"

    def __post_init__(self) -> None:
        _check_payload(self.payload, timestamp=self.timestamp_header, id=self.id_header)
        _check_tolerance(self.tolerance)
        if _key(self.public_key) is None:
            raise ValueError("public_key is no Ed25519 key: 32 bytes in hex or base64")


class Basic(_Kind, frozen=True, tag="basic"):
    """Basic auth with this user and the secret as password."""

    secret_env: Secret
    user: str = ""


class Bearer(_Kind, frozen=True, tag="bearer"):
    """``Authorization: Bearer SECRET``; or the bare secret in another `header`."""

    secret_env: Secret
    header: str = "Authorization"


class Token(_Kind, frozen=True, tag="token"):
    """A secret in the address (``/w/NAME?token=SECRET``), for those that can do nothing else: addresses get logged."""

    secret_env: Secret
    parameter: str = "token"


Verification = Hmac | Standard | Stripe | Ed25519 | Basic | Bearer | Token


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
    told = getattr(verification, "secret_env", [])
    return [told] if isinstance(told, str) else list(told)


def verify(
    verification: Verification, request: Request, secrets: Sequence[str], now: Instant, *, fresh: bool = True
) -> Authentic | str:
    """Whether a request is genuine; if not, why, in words for a log of ours and not for whoever sent it.

    Args:
        verification: As declared.
        request: As it came.
        secrets: Values of `secret_names`; empty ones fit nothing.
        now: For signed timestamps, which may be off by the tolerance in either direction.
        fresh: Whether to look at timestamps at all.
    """
    secrets = [secret for secret in secrets if secret]
    match verification:
        case Basic() | Bearer() | Token():
            return _by_secret(verification, request, secrets)
        case Hmac():
            signed = _hmac_signed(verification, request)
            wanted = [hmac.digest(secret.encode(), signed.payload, verification.algorithm) for secret in secrets]
            good = _any_equal(wanted, signed.signatures)
        case Standard():
            signed = _standard_signed(request)
            keys = [key for secret in secrets if (key := _standard_key(secret))]
            good = _any_equal([hmac.digest(key, signed.payload, "sha256") for key in keys], signed.signatures)
        case Stripe():
            signed = _stripe_signed(verification, request)
            wanted = [hmac.digest(secret.encode(), signed.payload, "sha256") for secret in secrets]
            good = _any_equal(wanted, signed.signatures)
        case Ed25519():
            signed = _ed25519_signed(verification, request)
            good = any(_ed25519_fits(verification, signed, each) for each in signed.signatures)
    if not good:
        return "the signature does not fit" if signed.signatures else "there is no signature"
    has_time = signed.at is not None or _says_when(verification)
    if fresh and has_time and not _is_fresh(signed.at, now, verification.tolerance):
        return "it was signed too long ago, or the clocks differ"
    return Authentic(seals=(hashlib.sha256(signed.payload).hexdigest(),))


def _by_secret(verification: Basic | Bearer | Token, request: Request, secrets: Sequence[str]) -> Authentic | str:
    match verification:
        case Token(parameter=parameter):
            told = request.query.get(parameter, "")
        case Bearer(header=header):
            told = request.headers.get(header.lower(), "").strip()
            if header.lower() == "authorization":
                scheme, _, told = told.partition(" ")
                told = told.strip() if scheme.lower() == "bearer" else ""
        case Basic(user=user):
            scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
            decoded = _base64(encoded.strip()) if scheme.lower() == "basic" else None
            told = (decoded or b"").decode("utf-8", "replace")
            secrets = [f"{user}:{secret}" for secret in secrets]
    fits = _any_equal([secret.encode() for secret in secrets], [told.encode("utf-8", "replace")])
    return Authentic() if fits else "the secret does not fit" if told else "there is no secret"


def _any_equal(wanted: Iterable[bytes], told: Sequence[bytes]) -> bool:
    """Compared in constant time, each with each, whichever fits first."""
    results = [hmac.compare_digest(one, other) for one in wanted for other in told]
    return any(results)


# --- the schemes -----------------------------------------------------------------------------------------------------


def _hmac_signed(how: Hmac, request: Request) -> _Signed:
    found: list[bytes] = []
    for part in re.split(r"[,\s]+", request.headers.get(how.header.lower(), "")):
        if how.prefix and not part.startswith(how.prefix):
            continue
        decoded = _decoded(part[len(how.prefix) :], how.encoding)
        if decoded:
            found.append(decoded)
    return _signed(how.payload, how.timestamp_header, how.id_header, request, found)


def _ed25519_signed(how: Ed25519, request: Request) -> _Signed:
    decoded = _decoded(request.headers.get(how.header.lower(), "").strip(), how.encoding)
    return _signed(how.payload, how.timestamp_header, how.id_header, request, [decoded] if decoded else [])


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


def _stripe_signed(how: Stripe, request: Request) -> _Signed:
    pairs = [part.strip().partition("=") for part in request.headers.get(how.header.lower(), "").split(",")]
    at = next((value for key, _, value in pairs if key == "t"), "")
    found = [decoded for key, _, value in pairs if key == "v1" and (decoded := _decoded(value, "hex"))]
    return _Signed(f"{at}.".encode() + request.body, found, _instant(at))


def _ed25519_fits(how: Ed25519, signed: _Signed, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(_key(how.public_key) or b"").verify(signature, signed.payload)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- parts -----------------------------------------------------------------------------------------------------------


def _says_when(verification: Hmac | Standard | Stripe | Ed25519) -> bool:
    """Whether a timestamp belongs to the scheme: then one that cannot be read is as bad as an old one."""
    return bool(getattr(verification, "timestamp_header", "-"))


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


def _check_tolerance(text: str) -> None:
    try:
        duration_micros(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
