"""The links of a mail: signed, so that a click can bring back nothing that we did not put there.

    /o/{token}.gif   the open pixel      {"m": message id}
    /c/{token}       a link              {"m": message id, "i": place of the link in the mail, "u": destination}
    /u/{token}       unsubscribe         {"m": message id, "a": keyed hash of the address, "p": purpose}
    /k/{token}       confirm an opt-in   {"o": opt-in id}
    /a/{token}       answer a question   {"m": message id, "f": form, "q": trait, "v": answer}
    /f/NAME?t=token  a form              {"m": message id, "f": form}
    /p/{token}       preference centre   {"m": message id, "f": form}

The destination of a click travels inside the token: there is no open redirect, and the link works as long as its key,
whatever becomes of the message's record. An unsubscribe link never expires and needs no profile to work. Links to
answers and forms expire: a mail may be passed on, and they write on the profile of whoever it was written to. A
redirect to a page of the shop's own may add a token that joins the visit to the mail's person, for some minutes:
{"m": message id, "n": nonce}.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.privacy.tokens import Purpose, Tokens
from mailwright.rendering.filters import OWN_PAGES

MAX_TRACKED_URL = 2000
"""Characters of a destination that is still wrapped; a longer link than that gives is too long for some programs."""


ANSWERS_LAST_MICROS = 60 * DAY
"""Links to answers and forms work so long after the mail."""


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
class Visiting:
    """A page was reached by a link of a mail. `nonce` differs with every click."""

    message_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """An unsubscribe link was followed or posted to."""

    message_id: str
    address_hash: str
    purpose: str


@dataclass(frozen=True, slots=True)
class FormLink:
    """A form, or a preference centre, was opened from a mail."""

    message_id: str
    form: str


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer to a question was chosen in a mail; `question` is the trait."""

    message_id: str
    form: str
    question: str
    value: str


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

    def confirm(self, opt_in_id: str, expires_at: Instant) -> str:
        """The link of a confirmation mail; it works before `expires_at`."""
        return f"{self._base}/k/{self._tokens.sign('confirm', {'o': opt_in_id}, expires_at)}"

    def own_page(self, url: str, message_id: str, mailed_at: Instant) -> str | None:
        """The signed link for an address that ``answer_url``, ``form_url`` or ``preferences_url`` wrote; else None."""
        if not url.startswith(OWN_PAGES):
            return None
        kind, *names = [unquote(part) for part in url.removeprefix(OWN_PAGES).split("/")]
        until = Instant(mailed_at + ANSWERS_LAST_MICROS)
        match kind, names:
            case "a", [form, question, value]:
                told = {"m": message_id, "f": form, "q": question, "v": value}
                return f"{self._base}/a/{self._tokens.sign('answer', told, until)}"
            case "f", [form]:
                token = self._tokens.sign("form", {"m": message_id, "f": form}, until)
                return f"{self._base}/f/{form}?t={token}"
            case "p", [form]:
                return f"{self._base}/p/{self._tokens.sign('preferences', {'m': message_id, 'f': form})}"
            case _:
                return None

    def read_confirm(self, token: str, now: Instant) -> str:
        """The opt-in that a confirmation link is for; raises InvalidInput for one not made here, or expired."""
        return str(self._payload("confirm", token, now)["o"])

    def read_answer(self, token: str, now: Instant) -> Answering:
        """What an answer's link says; raises InvalidInput for one not made here, or expired."""
        payload = self._payload("answer", token, now)
        return Answering(payload["m"], payload["f"], payload["q"], payload["v"])

    def read_form(self, token: str, now: Instant) -> FormLink:
        """What a form's link says; raises InvalidInput for one not made here, or expired."""
        payload = self._payload("form", token, now)
        return FormLink(payload["m"], payload["f"])

    def read_preferences(self, token: str) -> FormLink:
        """What a preference centre's link says; raises InvalidInput for one not made here."""
        payload = self._payload("preferences", token)
        return FormLink(payload["m"], payload["f"])

    def visit(self, message_id: str, nonce: str, expires_at: Instant) -> str:
        """The token of one visit, good before `expires_at`."""
        return self._tokens.sign("visit", {"m": message_id, "n": nonce}, expires_at)

    def read_visit(self, token: str, now: Instant) -> Visiting:
        """What a visit's token says; raises InvalidInput for one that was not made here or has expired."""
        payload = self._payload("visit", token, now)
        return Visiting(payload["m"], payload["n"])

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

    def _payload(self, purpose: Purpose, token: str, now: Instant | None = None) -> dict[str, Any]:
        payload = self._tokens.verify(purpose, token, now)
        if not isinstance(payload, dict):
            raise InvalidInput.one("token.malformed", "the link carries nothing of ours")
        return payload


def _key_number(token: str) -> int:
    """The second byte of a token, see `mailwright.privacy.tokens`."""
    return base64.urlsafe_b64decode(token[:4])[1]
