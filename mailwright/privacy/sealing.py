"""Sealed values: personal text that only a holder of the keys can read, yet that can be compared and joined.

A sealed value is ``{"sealed": box, "hash": 32 hex digits}`` plus projections that rules may read (``domain`` of an
e-mail). The box is base64 of::

    1 byte   format, now 1
    1 byte   number of the data key
    1 byte   length of the kind, then the kind (``email``) in UTF-8
    12 bytes random nonce
    rest     AES-256-GCM of the text with its tag

Everything before the nonce is authenticated with the text. The AES key is derived by HMAC-SHA256 from the data key for
the kind and the hash, so that a box opens only beside its own hash, and so that the limit of 2^32 random nonces per key
(NIST SP 800-38D, section 8.3) counts per value and not for the whole installation.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
import secrets
import unicodedata
from collections.abc import Iterable
from typing import Any, TypeGuard

import idna
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailwright.core.errors import Corrupt, InvalidInput
from mailwright.privacy.keys import KeyRing as KeyRing
from mailwright.privacy.policy import DEFAULT_PERSONAL, PersonalNames, kind_of, looks_sealed

FORMAT = 1
_NONCE_BYTES = 12
_HASH_HEX = 32
_CONTAINERS = (dict, list)
_NOT_IN_PHONE = re.compile(r"[^\d+]+")


def normalise(kind: str, value: str) -> str:
    """The form of a value that is hashed, so that one person's spellings are one identifier.

    An e-mail's domain becomes lower-case ASCII (IDNA); its local part is lower-cased **here only**: by RFC 5321 (2.4)
    its owner may tell ``Anna@`` from ``anna@``, so mail goes to what was written, but no provider of weight does, and
    an unsubscribe must bind every spelling. Dots and ``+tags`` are left alone: what they mean differs by provider.
    A phone keeps its digits and a leading ``+`` (``00`` is one). Other kinds are trimmed and NFC-normalised.
    """
    text = unicodedata.normalize("NFC", value.strip())
    if kind == "email":
        local, at, domain = text.rpartition("@")
        return f"{local.lower()}{at}{ascii_domain(domain)}"
    if kind == "phone":
        digits = _NOT_IN_PHONE.sub("", text)
        digits = digits[:1] + digits[1:].replace("+", "")
        return "+" + digits[2:] if digits.startswith("00") else digits
    if kind == "ip":
        return _plain_ip(text)
    return text


def ascii_domain(domain: str) -> str:
    """A mail domain in lower-case ASCII; one that IDNA does not take is only lower-cased."""
    lowered = domain.lower().rstrip(".")
    if lowered.isascii():
        return lowered
    try:
        return idna.encode(lowered, uts46=True).decode()
    except idna.IDNAError:
        return lowered


def _plain_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


class Sealer:
    """Seals, opens and hashes personal values with one installation's keys."""

    def __init__(
        self, keyring: KeyRing, personal: Iterable[str] = DEFAULT_PERSONAL, of_traits: Iterable[str] = ()
    ) -> None:
        """Use `keyring`; `personal` and `of_traits` are the names that `seal_fields` looks for, see `PersonalNames`."""
        self._keys = keyring
        self._newest = max(keyring.data)
        self._names = PersonalNames(personal, of_traits)

    def with_names(self, traits: frozenset[str], anywhere: frozenset[str]) -> Sealer:
        """A sealer with the same keys that seals these names too: `traits` as traits of people, others anywhere."""
        names = self._names
        return Sealer(self._keys, names.names | anywhere, names.traits_alone | traits)

    @property
    def personal(self) -> frozenset[str]:
        """The personal names, as declared."""
        return self._names.names

    @property
    def suspects(self) -> frozenset[str]:
        """Keys of which one must be in an object (no trait's) that holds anything to seal or that is refused."""
        return self._names.suspects

    def hash(self, kind: str, value: str) -> str:
        """The keyed hash (HMAC-SHA256, 128 bits in hex) of the normalised value; equal values of a kind are equal."""
        return hmac.digest(self._keys.hash, _pair(kind, normalise(kind, value)), "sha256").hex()[:_HASH_HEX]

    def hash_address(self, email: str) -> str:
        """The hash under which consent and suppression of an e-mail address are kept and the gate asks for them."""
        return self.hash("email", email)

    def seal(self, name: str, value: Any) -> dict[str, Any]:
        """Seal a value under its personal name. What is no text is sealed, and comes back, as its JSON text."""
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        kind = kind_of(name)
        digest = self.hash(kind, text)
        label = kind.encode()
        header = bytes((FORMAT, self._newest, len(label))) + label
        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = header + nonce + self._cipher(self._newest, kind, digest).encrypt(nonce, text.encode(), header)
        sealed = {"sealed": base64.b64encode(box).decode(), "hash": digest}
        if kind == "email" and "@" in text:
            sealed["domain"] = ascii_domain(text.strip().rpartition("@")[2])
        return sealed

    def unseal(self, value: Any) -> str:
        """The text that was sealed, exactly as written.

        Raises:
            InvalidInput: If it is no sealed value.
            Corrupt: If the box was altered, stands beside another hash, or was made by a key that is not here.
        """
        if not self.is_sealed(value):
            raise InvalidInput.one("sealed.shape", "the value is not a sealed one", hint="test with is_sealed")
        try:
            box = base64.b64decode(value["sealed"], validate=True)
            header, kind = box[: 3 + box[2]], box[3 : 3 + box[2]].decode()
            nonce, rest = box[len(header) :][:_NONCE_BYTES], box[len(header) + _NONCE_BYTES :]
            if box[0] != FORMAT:
                raise _broken(f"its format is {box[0]}, known is {FORMAT}")
            return self._cipher(box[1], kind, value["hash"]).decrypt(nonce, rest, header).decode()
        except KeyError:
            raise _broken(f"data-{box[1]}.key, which sealed it, is missing") from None
        except (InvalidTag, IndexError, ValueError, binascii.Error):
            raise _broken("it was altered, or sealed by other keys") from None

    @staticmethod
    def is_sealed(value: Any) -> TypeGuard[dict[str, Any]]:
        """Whether `value` has the shape of a sealed value."""
        return isinstance(value, dict) and looks_sealed(value)

    def opened(self, value: Any, unreadable: str | None = None) -> Any:
        """`value` with all that is sealed in it, at any depth, in clear text; the very same object if nothing is.

        Args:
            value: JSON-shaped.
            unreadable: In place of a box that cannot be opened; None: that is an error.

        Raises:
            Corrupt: If a box cannot be opened, and nothing stands for it.
        """
        if self.is_sealed(value):
            try:
                return self.unseal(value)
            except Corrupt:
                if unreadable is None:
                    raise
                return unreadable
        if isinstance(value, dict):
            made = {key: self.opened(each, unreadable) for key, each in value.items()}
            return made if any(made[key] is not each for key, each in value.items()) else value
        if isinstance(value, list):
            items = [self.opened(each, unreadable) for each in value]
            return items if any(one is not each for one, each in zip(items, value, strict=True)) else value
        return value

    def seal_fields(self, part: str, data: dict[str, Any]) -> dict[str, Any]:
        """`data` with its personal fields sealed; the very same object if it has none.

        Args:
            part: ``traits``, ``properties`` or ``context`` (whose ``traits`` are traits).
            data: JSON-shaped; None and empty text are left as they are, for they tell nothing.

        Raises:
            InvalidInput: If the data, which comes from outside, holds an object of the shape of a sealed value.
        """
        return self._object(data, "", trait=part == "traits", context=part == "context") if data else data

    def _object(self, data: dict[str, Any], parent: str, *, trait: bool, context: bool = False) -> dict[str, Any]:
        if "sealed" in data and looks_sealed(data):
            raise InvalidInput.one("sealed.forged", "an object with both 'sealed' and 'hash' is reserved", path=parent)
        personal = self._names.found(data, parent, trait=trait)
        changed = {key: self.seal(name, data[key]) for key, name in personal.items() if data[key] not in (None, "")}
        for key, value in data.items():
            if type(value) in _CONTAINERS and key not in personal:
                new = self._inner(value, key, trait=context and key == "traits")
                if new is not value:
                    changed[key] = new
        return {**data, **changed} if changed else data

    def _inner(self, value: Any, key: str, *, trait: bool) -> Any:
        if type(value) is dict:
            return self._object(value, key, trait=trait)
        if not any(type(each) in _CONTAINERS for each in value):
            return value
        new = [self._inner(each, key, trait=False) if type(each) in _CONTAINERS else each for each in value]
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value

    def _cipher(self, number: int, kind: str, digest: str) -> AESGCM:
        return AESGCM(hmac.digest(self._keys.data[number], b"box\0" + _pair(kind, digest), "sha256"))


def _pair(kind: str, value: str) -> bytes:
    return f"{kind}\0{value}".encode()


UNREADABLE = "(sealed by a key that is not here)"
"""For `Sealer.opened`, where people read it."""


def _broken(why: str) -> Corrupt:
    return Corrupt("sealed.box", f"a sealed value cannot be opened: {why}", "check the keys folder and the data folder")
