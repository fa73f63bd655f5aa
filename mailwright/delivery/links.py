"""The links of a mail: signed, so that a click can bring back nothing that we did not put there.

    /o/{token}.gif   the open pixel      {"m": message id}
    /c/{token}       a link              {"m": message id, "i": place of the link in the mail, "u": destination}
    /u/{token}       unsubscribe         {"m": message id, "a": keyed hash of the address, "p": purpose}

The destination of a click travels inside the token: there is no open redirect, and the link works as long as its key,
whatever becomes of the message's record. An unsubscribe link never expires and needs no profile to work.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mailwright.core.errors import InvalidInput
from mailwright.privacy.tokens import Purpose, Tokens

MAX_TRACKED_URL = 2000
"""Characters of a destination that is still wrapped; a longer link than that gives is too long for some programs."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open pixel was asked for."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Clicked:
    """A link was followed. `place` counts the mail's links from 0, in reading order."""

    message_id: str
    place: int
    url: str


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """An unsubscribe link was followed or posted to."""

    message_id: str
    address_hash: str
    purpose: str


class MailLinks:
    """Makes and reads the links of mails."""

    def __init__(self, tokens: Tokens, base_url: str) -> None:
        """Sign with `tokens`; every link begins with `base_url`."""
        self._tokens = tokens
        self._base = base_url.rstrip("/")
        self.key_number = _key_number(tokens.sign("open", b""))
        """Number of the key that new links are signed with: bytes made with another one differ."""

    def pixel(self, message_id: str) -> str:
        """The address of the open pixel."""
        return f"{self._base}/o/{self._tokens.sign('open', {'m': message_id})}.gif"

    def click(self, message_id: str, place: int, url: str) -> str:
        """A link that leads to `url` and tells that it was followed; `url` itself if it is no web one or too long."""
        if urlsplit(url).scheme not in ("http", "https") or len(url) > MAX_TRACKED_URL:
            return url
        return f"{self._base}/c/{self._tokens.sign('click', {'m': message_id, 'i': place, 'u': url})}"

    def unsubscribe(self, message_id: str, address_hash: str, purpose: str) -> str:
        """The unsubscribe link, for the reader and for the List-Unsubscribe header (RFC 8058)."""
        payload = {"m": message_id, "a": address_hash, "p": purpose}
        return f"{self._base}/u/{self._tokens.sign('unsubscribe', payload)}"

    def read_open(self, token: str) -> Opened:
        """What a pixel's token says; raises InvalidInput for one that was not made here."""
        return Opened(self._payload("open", token)["m"])

    def read_click(self, token: str) -> Clicked:
        """What a link's token says; raises InvalidInput for one that was not made here."""
        payload = self._payload("click", token)
        return Clicked(payload["m"], payload["i"], payload["u"])

    def read_unsubscribe(self, token: str) -> Unsubscribing:
        """What an unsubscribe token says; raises InvalidInput for one that was not made here."""
        payload = self._payload("unsubscribe", token)
        return Unsubscribing(payload["m"], payload["a"], payload["p"])

    def _payload(self, purpose: Purpose, token: str) -> dict[str, Any]:
        payload = self._tokens.verify(purpose, token)
        if not isinstance(payload, dict):
            raise InvalidInput.one("token.malformed", "the link carries nothing of ours")
        return payload


def _key_number(token: str) -> int:
    """The second byte of a token, see `mailwright.privacy.tokens`."""
    return base64.urlsafe_b64decode(token[:4])[1]
