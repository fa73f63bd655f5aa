"""Signed tokens for links in mails: what a reader's click brings back, and nobody else can make.

A token is unpadded URL-safe base64 of::

    1 byte   format, now 1
    1 byte   number of the links key
    1 byte   flags: 1 expires, 2 the payload is a MessagePack object
    8 bytes  instant of expiry, only with flag 1
    rest     payload, then 16 bytes of HMAC-SHA256 over all before

The HMAC key is derived from the links key for the purpose, so a token for one purpose is nothing for another. The
payload is signed, not secret. Old keys go on verifying: an unsubscribe link in an old mail works for good.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any, Literal, get_args

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant
from mailwright.privacy.keys import KeyRing

Purpose = Literal[
    "open",
    "click",
    "unsubscribe",
    "preview",
    "confirm",
    "answer",
    "form",
    "preferences",
    "issue",
    "visitor",
    "access",
    "visit",
]

FORMAT = 1
_MAC_BYTES = 16
_HEAD_BYTES = 3
_EXPIRES, _OBJECT = 1, 2
_MAX_CHARS = 4096  # far above any of ours; a longer one is not worth decoding
_DERIVE = b"mailwright link "


class Tokens:
    """Signs and verifies tokens with one installation's links keys."""

    def __init__(self, keyring: KeyRing) -> None:
        """Derive a key per purpose from every links key of `keyring`."""
        self._newest = max(keyring.links)
        self._keys = {
            (number, purpose): hmac.digest(key, _DERIVE + purpose.encode(), "sha256")
            for number, key in keyring.links.items()
            for purpose in get_args(Purpose)
        }

    def sign(self, purpose: Purpose, payload: dict[str, Any] | bytes, expires_at: Instant | None = None) -> str:
        """A token that carries `payload`; it is valid before `expires_at`, or for good.

        Raises:
            ValueError: If an unsubscribe token is to expire: the law and the reader want it to work for good.
        """
        if purpose == "unsubscribe" and expires_at is not None:
            raise ValueError("an unsubscribe token never expires")
        packed = payload if isinstance(payload, bytes) else msgspec.msgpack.encode(payload)
        flags = (_EXPIRES if expires_at is not None else 0) | (0 if isinstance(payload, bytes) else _OBJECT)
        until = b"" if expires_at is None else expires_at.to_bytes(8, "big", signed=True)
        signed = bytes((FORMAT, self._newest, flags)) + until + packed
        return _text(signed + self._mac(self._newest, purpose, signed))

    def verify(self, purpose: Purpose, token: str, now: Instant | None = None) -> dict[str, Any] | bytes:
        """The payload of a token that was signed here for this purpose.

        Args:
            purpose: What the token must have been signed for.
            token: From a link, so anything at all.
            now: The current instant. Without it a token that can expire is taken as expired.

        Raises:
            InvalidInput: ``token.malformed``, ``token.invalid`` (not ours, or for another purpose), ``token.expired``.
        """
        raw = _bytes(token)
        signed, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if (signed[1], purpose) not in self._keys or not hmac.compare_digest(
            mac, self._mac(signed[1], purpose, signed)
        ):
            raise InvalidInput.one("token.invalid", "the link was not made here", hint="use the link from the mail")
        flags, body = signed[2], signed[_HEAD_BYTES:]
        if flags & _EXPIRES:
            until, body = int.from_bytes(body[:8], "big", signed=True), body[8:]
            if now is None or now >= until:
                raise InvalidInput.one("token.expired", "the link has expired", hint="open the page again")
        return msgspec.msgpack.decode(body, type=dict[str, Any]) if flags & _OBJECT else body

    def _mac(self, number: int, purpose: str, signed: bytes) -> bytes:
        return hmac.digest(self._keys[number, purpose], signed, "sha256")[:_MAC_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(token: str) -> bytes:
    """The bytes of a token; only the one spelling that `_text` gives is taken, so that a token has no twins."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= _MAX_CHARS else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < _HEAD_BYTES + _MAC_BYTES or raw[0] != FORMAT or _text(raw) != token:
        raise InvalidInput.one("token.malformed", "the link is incomplete", hint="copy the whole link from the mail")
    return raw
