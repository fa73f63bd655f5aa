"""What goes over the wire of SMTP: replies, stages, and the bytes of a message (RFC 5321)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import idna

MAX_REPLY_BYTES = (
    64 * 1024
)  # a reply line has at most 512 octets (RFC 5321 4.5.3.1.5); this leaves room for bad servers

_BARE_BREAK = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_FORBIDDEN_IN_PATH = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029]")
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})([ -]?)([^\r\n]*)\r?\n")


class Stage(StrEnum):
    """Where in a hand-over something happened; everything before FINAL is provably not delivered."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    FINAL = "final"
    RSET = "rset"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimeouts:
    """How long each stage may take, in seconds; the defaults are those of RFC 5321 section 4.5.3.2.

    A shorter `final_s` makes doubtful mails: the server may have taken the mail and be slow to say so (RFC 1047).
    """

    connect_s: float = 60
    greeting_s: float = 300
    command_s: float = 300
    data_s: float = 120
    block_s: float = 180
    final_s: float = 600


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code (200 to 599) and its lines' texts."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class RefusedStage(Exception):
    """The server answered a stage with a definite refusal."""

    def __init__(self, stage: Stage, reply: Reply) -> None:
        super().__init__(f"{stage.value}: {reply}")
        self.stage = stage
        self.reply = reply


class BrokenStage(Exception):
    """A stage ended without a reply that can be read: time out, lost connection, nonsense."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(f"{stage.value}: {reason}")
        self.stage = stage
        self.reason = reason


class Unsendable(Exception):
    """The server cannot be given this message at all, whatever it answers: a visible, permanent failure."""


def parse_reply(lines: list[bytes]) -> Reply | None:
    """The reply that these lines (with their line ends) make, or None if they are none or not complete."""
    matches = [_REPLY_LINE.fullmatch(line) for line in lines]
    if not matches or any(match is None for match in matches):
        return None
    parts = [match.groups() for match in matches if match]
    last_code, last_mark, _ = parts[-1]
    if last_mark == b"-" or any(code != last_code or mark != b"-" for code, mark, _ in parts[:-1]):
        return None
    return Reply(int(last_code), "\n".join(text.decode("utf-8", "replace").strip() for _, _, text in parts))


def wire_body(body: bytes) -> bytes:
    r"""The message as it stands between DATA and the final dot: CRLF only, dots stuffed, a CRLF at the end.

    Bare CR and LF are turned into CRLF, so that no receiver can see an end of data where we see none ("smuggling").
    """
    text = _BARE_BREAK.sub(b"\r\n", body)
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    stuffed = text.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def wire_path(address: str) -> tuple[str, bool]:
    """The address for MAIL or RCPT with its domain as an A-label (IDNA 2008), and whether it needs SMTPUTF8.

    Raises:
        Unsendable: If it has characters that could end the command, no local part, or a domain that is none.
    """
    local, at, domain = address.rpartition("@")
    if not local or not at or _FORBIDDEN_IN_PATH.search(address):
        raise Unsendable(f"{address!r} is not an address that can be put into an SMTP command")
    if domain.isascii():
        return address, not local.isascii()
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}", not local.isascii()
    except idna.IDNAError as error:
        raise Unsendable(f"the domain of {address!r} is no international domain name: {error}") from error
