"""What each scheme of webhooks signs, and whether a signature fits. Pure: secrets and certificates are arguments."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import SECOND, Instant, parse_iso

if TYPE_CHECKING:
    from mailwright.ingest.webhooks.verification import Request, Verification

Certificates = Callable[[str], RSAPublicKey | None]
"""The public key of the certificate at an address; None if it is nobody's whom we believe."""

PAYLOAD = re.compile(r"\{(\w+)\}")
_SNS_TOPIC = re.compile(r"arn:aws(-cn)?:sns:([a-z0-9-]+):\d{12}:[\w-]+(\.fifo)?")
_SNS_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
_MOST_SIGNATURES = 5  # of one request: each costs a hash of the whole body
_ECDSA_BYTES = 72  # of a signature on P-256 in DER, at most
_SNS_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature scheme looks at: what is signed, the signatures that were sent, and when it was signed.

    `certificate` is the address of the certificate whose key has signed, with the hash that was used, where the
    request names one.
    """

    payload: bytes
    signatures: Sequence[bytes]
    at: Instant | None = None
    certificate: tuple[str, hashes.HashAlgorithm] | None = None


def signed_by(how: Verification, request: Request) -> Signed | None:
    """What the scheme looks at; None for one that signs nothing."""
    match how.kind:
        case "hmac" | "ed25519" | "ecdsa":
            return _header_signed(how, request)
        case "standard":
            return _standard_signed(request)
        case "stripe":
            return _stripe_signed(how, request)
        case "mailgun":
            return _mailgun_signed(request)
        case "mandrill":
            return _mandrill_signed(how, request)
        case "sns":
            return _sns_signed(how, request)
    return None


def fits(how: Verification, signed: Signed, secrets: Sequence[str], certificates: Certificates) -> bool:
    """Whether one of the signatures is by one of the secrets, or by the key."""
    match how.kind:
        case "ed25519":
            return any(_ed25519_fits(how, signed, each) for each in signed.signatures)
        case "ecdsa":
            return any(_ecdsa_fits(how, signed, each) for each in signed.signatures)
        case "sns":
            return _sns_fits(signed, certificates)
        case "standard":
            keys = [key for secret in secrets if (key := _standard_key(secret))]
        case _:
            keys = [secret.encode() for secret in secrets]
    algorithm = "sha1" if how.kind == "mandrill" else how.algorithm
    return any_equal([hmac.digest(key, signed.payload, algorithm) for key in keys], signed.signatures)


def any_equal(wanted: Iterable[bytes], told: Sequence[bytes]) -> bool:
    """Compared in constant time, each with each, whichever fits first."""
    results = [hmac.compare_digest(one, other) for one in wanted for other in told]
    return any(results)


def _header_signed(how: Verification, request: Request) -> Signed:
    found: list[bytes] = []
    parts = re.split(r"[,\s]+", request.headers.get(how.header.lower(), "").strip(), maxsplit=_MOST_SIGNATURES)
    for part in parts if len(parts) <= _MOST_SIGNATURES else ():
        signature = decoded(part[len(how.prefix) :], how.encoding) if part.startswith(how.prefix) else None
        if signature:
            found.append(signature)
    return _signed(how.payload, how.timestamp_header, how.id_header, request, found)


def _signed(payload: str, at_header: str, id_header: str, request: Request, signatures: Sequence[bytes]) -> Signed:
    at = request.headers.get(at_header.lower(), "") if at_header else ""
    id = request.headers.get(id_header.lower(), "") if id_header else ""
    told = {"timestamp": at.encode(), "id": id.encode(), "body": request.body}
    parts = PAYLOAD.split(payload)
    whole = b"".join(told[part] if place % 2 else part.encode() for place, part in enumerate(parts))
    return Signed(whole, signatures, instant_of(at))


def _standard_signed(request: Request) -> Signed:
    def header(name: str) -> str:
        return request.headers.get(f"webhook-{name}") or request.headers.get(f"svix-{name}", "")

    at = header("timestamp")
    payload = f"{header('id')}.{at}.".encode() + request.body
    parts = [part.removeprefix("v1,") for part in header("signature").split() if part.startswith("v1,")]
    return Signed(payload, [found for part in parts if (found := _base64(part))], instant_of(at))


def _standard_key(secret: str) -> bytes | None:
    return _base64(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()


def _stripe_signed(how: Verification, request: Request) -> Signed:
    pairs = [
        part.strip().partition("=")
        for part in request.headers.get((how.header or "Stripe-Signature").lower(), "").split(",")
    ]
    at = next((value for key, _, value in pairs if key == "t"), "")
    found = [each for key, _, value in pairs if key == "v1" and (each := decoded(value, "hex"))]
    return Signed(f"{at}.".encode() + request.body, found, instant_of(at))


def _ed25519_fits(how: Verification, signed: Signed, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(ed25519_key(how.public_key) or b"").verify(signature, signed.payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ecdsa_fits(how: Verification, signed: Signed, signature: bytes) -> bool:
    key = ecdsa_key(how.public_key)
    try:
        if key is None or len(signature) > _ECDSA_BYTES:
            return False
        key.verify(signature, signed.payload, ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _mailgun_signed(request: Request) -> Signed:
    """Mailgun signs a timestamp and a token that stand in the body, not the body: a token counts once."""
    told = _object(request.body).get("signature")
    told = told if isinstance(told, dict) else {}
    at, token, signature = (str(told.get(name, "")) for name in ("timestamp", "token", "signature"))
    found = decoded(signature, "hex")
    return Signed(f"{at}{token}".encode("utf-8", "replace"), [found] if found and token else [], instant_of(at))


def _mandrill_signed(how: Verification, request: Request) -> Signed:
    """Mailchimp Transactional signs its address of us, and each field's name and value in the order of their names."""
    try:
        fields = sorted(parse_qsl(request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=100))
    except (ValueError, UnicodeDecodeError):
        fields = []
    found = _base64(request.headers.get("x-mandrill-signature", ""))
    payload = how.url + "".join(name + value for name, value in fields)
    return Signed(payload.encode(), [found] if found else [])


def _sns_signed(how: Verification, request: Request) -> Signed:
    """Amazon SNS signs the message's fields by name; another topic than the declared one is nobody's."""
    told = _object(request.body)
    names = _SNS_SIGNED.get(str(told.get("Type", "")), ())
    url, version = str(told.get("SigningCertURL", "")), str(told.get("SignatureVersion", ""))
    signature = _base64(str(told.get("Signature", "")))
    known = told.get("TopicArn") == how.topic and is_sns_certificate(url, how.topic) and version in ("1", "2")
    payload = "".join(f"{name}\n{told[name]}\n" for name in names if isinstance(told.get(name), str))
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303 version 1 is Amazon's default
    return Signed(
        payload.encode("utf-8", "replace"),
        [signature] if signature and names and known else [],
        instant_of(str(told.get("Timestamp", ""))),
        certificate=(url, algorithm),
    )


def _sns_fits(signed: Signed, certificates: Certificates) -> bool:
    if not signed.signatures or signed.certificate is None:
        return False
    url, algorithm = signed.certificate
    key = certificates(url)
    try:
        if key is None:
            return False
        key.verify(signed.signatures[0], signed.payload, PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def sns_host(topic: str) -> str:
    """The one host that Amazon SNS serves a topic's certificates and confirmations from; empty if it is no topic."""
    match = _SNS_TOPIC.fullmatch(topic)
    return f"sns.{match[2]}.amazonaws.com{'.cn' if match[1] else ''}" if match else ""


def is_sns_certificate(url: str, topic: str) -> bool:
    """Whether a certificate of SNS lies at an address.

    The whole address is looked at: the same host answers calls of the API with texts that anybody may have chosen.
    """
    start = f"https://{sns_host(topic)}"
    return url.startswith(start) and _SNS_CERTIFICATE.fullmatch(url.removeprefix(start)) is not None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# --- parts -----------------------------------------------------------------------------------------------------------


def instant_of(text: str) -> Instant | None:
    """Seconds since 1970, or ISO 8601; None for neither."""
    if text.isdecimal() and len(text) < 12:
        return Instant(int(text) * SECOND)
    try:
        return parse_iso(text)
    except InvalidInput:
        return None


def decoded(text: str, encoding: str) -> bytes | None:
    """Bytes written as ``hex`` or ``base64``; None if they are not."""
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


def ed25519_key(text: str) -> bytes | None:
    """The 32 bytes of a public key, in hex or base64."""
    found = [key for key in (decoded(text, "hex"), _base64(text)) if key and len(key) == 32]
    return found[0] if found else None


def ecdsa_key(text: str) -> EllipticCurvePublicKey | None:
    """A public key on P-256: DER in base64, as services show it."""
    try:
        key = load_der_public_key(_base64(text) or b"")
    except (ValueError, UnsupportedAlgorithm):  # no key, or one on a curve that is unknown here
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None
