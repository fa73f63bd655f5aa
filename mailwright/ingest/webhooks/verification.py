"""Whether a request comes from whom it says, and has not come before. Pure: secrets and time are arguments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant
from mailwright.ingest.webhooks.signatures import (
    PAYLOAD,
    Certificates,
    any_equal,
    decoded,
    ecdsa_key,
    ed25519_key,
    fits,
    signed_by,
    sns_host,
)

__all__ = ["Authentic", "Request", "Verification", "secret_names", "verify"]

Encoding = Literal["hex", "base64"]
Kind = Literal[
    "hmac", "standard", "stripe", "ed25519", "ecdsa", "mailgun", "mandrill", "sns", "basic", "bearer", "token"
]

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,100}")
_WITHOUT_SECRET = {"ed25519": "a public_key", "ecdsa": "a public_key", "sns": "a topic"}


class Verification(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a sender proves who it is.

    Attributes:
        kind: ``hmac``: a keyed hash in a header. ``standard``: Standard Webhooks, and Svix, which they come from.
            ``stripe``: one header with ``t=TIMESTAMP,v1=SIGNATURE``. ``ed25519``, ``ecdsa``: a signature by a key pair.
            ``mailgun``, ``mandrill``, ``sns``: as Mailgun, Mailchimp Transactional and Amazon SNS sign.
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
        public_key: Of ``ed25519``, in hex or base64, or of ``ecdsa`` (P-256), DER in base64; it is no secret.
        url: Of ``mandrill``: the address of this webhook exactly as it was given to the service, for it is signed too.
        topic: Of ``sns``: the ARN of the topic; messages of others are nobody's.
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
    url: str = ""
    topic: str = ""

    def __post_init__(self) -> None:
        if (not self.secret_env) != (self.kind in _WITHOUT_SECRET):
            proof = _WITHOUT_SECRET.get(self.kind)
            raise ValueError(f"{self.kind} has {proof}, no secret" if proof else f"{self.kind} needs secret_env")
        for name in secret_names(self):
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"secret_env {name!r} is no variable of the environment: write one like SHOP_SECRET")
        if self.kind in ("hmac", "ed25519", "ecdsa"):
            if not self.header:
                raise ValueError(f"{self.kind} needs header, which holds the signature")
            _check_payload(self.payload, timestamp=self.timestamp_header, id=self.id_header)
        if self.kind == "ed25519" and ed25519_key(self.public_key) is None:
            raise ValueError("public_key is no Ed25519 key: 32 bytes in hex or base64")
        if self.kind == "ecdsa" and ecdsa_key(self.public_key) is None:
            raise ValueError("public_key is no P-256 key: copy it from the service's settings, it begins with MFkw")
        if self.kind == "mandrill" and not self.url.startswith("https://"):
            raise ValueError("mandrill needs url, the https:// address that the service was given: it is signed too")
        if self.kind == "sns" and not sns_host(self.topic):
            raise ValueError("sns needs topic, the ARN of the topic: arn:aws:sns:REGION:ACCOUNT:NAME")
        try:
            duration_micros(self.tolerance)
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    @property
    def has_timestamp(self) -> bool:
        """Whether what is signed says when."""
        return self.kind in ("standard", "stripe", "mailgun", "sns") or bool(self.timestamp_header)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came: headers with names in lower case, the query, the exact bytes of the body."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentic:
    """The request is genuine.

    Attributes:
        seals: Digests by which another copy of it is known.
        covers_body: Whether the body is signed, or else whoever sent it knows the secret. If not, the first body that
            comes under the seals is the only one.
    """

    seals: Sequence[str]
    covers_body: bool = True


def secret_names(verification: Verification) -> list[str]:
    """The environment variables that a verification reads."""
    told = verification.secret_env
    return [told] if isinstance(told, str) and told else list(told)


def _nobodys(_: str) -> None:
    return None


def verify(
    verification: Verification,
    request: Request,
    secrets: Sequence[str],
    now: Instant,
    headers: Sequence[str] = (),
    certificates: Certificates = _nobodys,
) -> Authentic | str:
    """Whether a request is genuine; if not, why, in words for a log of ours and not for whoever sent it.

    Args:
        verification: As declared.
        request: As it came.
        secrets: Values of `secret_names`; empty ones fit nothing.
        now: For signed timestamps, which may be off by the tolerance in either direction.
        headers: Names, in lower case, of headers that tell what a body is, signed or not: the same body under
            another topic is another delivery.
        certificates: Gives the key of the certificate that a request names; asked only for addresses of its service.
    """
    secrets = [secret for secret in secrets if secret]
    signed = signed_by(verification, request)
    if signed is None:
        fault = _secret_fault(verification, request, secrets)
        return fault or Authentic(seals=(_seal(request.body, request, headers),))
    if not fits(verification, signed, secrets, certificates):
        return "the signature does not fit" if signed.signatures else "there is no signature"
    if verification.has_timestamp and not _is_fresh(signed.at, now, verification.tolerance):
        return "it was signed too long ago, or the clocks differ"
    return Authentic(seals=(_seal(signed.payload, request, headers),), covers_body=verification.kind != "mailgun")


def _seal(payload: bytes, request: Request, headers: Sequence[str]) -> str:
    seal = hashlib.sha256(payload)
    if headers:
        seal.update(
            msgspec.json.encode([hashlib.sha256(request.headers.get(one, "").encode()).hexdigest() for one in headers])
        )
    return seal.hexdigest()


def _secret_fault(verification: Verification, request: Request, secrets: Sequence[str]) -> str:
    """Why the secret that came is not it; empty if it is."""
    match verification.kind:
        case "token":
            told = request.query.get(verification.parameter, "")
        case "basic":
            scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
            found = decoded(encoded.strip(), "base64") if scheme.lower() == "basic" else None
            told = (found or b"").decode("utf-8", "replace")
            secrets = [f"{verification.user}:{secret}" for secret in secrets]
        case _:
            header = (verification.header or "Authorization").lower()
            told = request.headers.get(header, "").strip()
            if header == "authorization":
                scheme, _, told = told.partition(" ")
                told = told.strip() if scheme.lower() == "bearer" else ""
    if any_equal([secret.encode() for secret in secrets], [told.encode("utf-8", "replace")]):
        return ""
    return "the secret does not fit" if told else "there is no secret"


def _is_fresh(at: Instant | None, now: Instant, tolerance: str) -> bool:
    return at is not None and abs(now - at) <= duration_micros(tolerance)


def _check_payload(payload: str, *, timestamp: str, id: str) -> None:
    named = PAYLOAD.findall(payload)
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
