"""The gate: what must hold at the moment of claiming before anything is decided or written for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from mailwright.core.facts import PersonFacts
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import Message, MessageState

RESERVED_DOMAINS = frozenset({"example.com", "example.net", "example.org"})
"""Second-level names that RFC 2606 keeps for documentation: nobody ever receives mail there."""

RESERVED_TOP_LEVEL = frozenset({"example", "test", "invalid", "localhost"})


class Reason(StrEnum):
    """Why a claimed message was not handed over: its `reason`. Stable; counted in reports.

    A mail that a decision skips has the decision's own reason (``missing_variable``, ``no_items``).
    """

    NO_PERSON = "no_person"
    """The person was erased, or the engine never heard of the number."""
    NO_ADDRESS = "no_address"
    """The profile has no e-mail address."""
    ON_SUPPRESSION_LIST = "on_suppression_list"
    """The address is on the suppression list: a bounce, a complaint, an objection."""
    NO_CONSENT = "no_consent"
    """The newest consent row of the address for the message's purpose does not grant it, or there is none."""
    NO_POSTAL_ADDRESS = "no_postal_address"
    """Mail that needs consent must show where the sender lives, and the settings give no postal address."""
    NO_UNSUBSCRIBE = "no_unsubscribe"
    """Mail that needs consent must have a working unsubscribe link: no base_url, or the template shows none."""
    EXPIRED = "expired"
    """Its send-by time has passed."""
    LEFT_AUDIENCE = "left_audience"
    """The person no longer meets the campaign's audience, or meets the journey's exit rule."""
    ARCHIVED = "archived"
    """Nobody has seen the person for long: the audit put them on the list ``archived``. Campaigns leave them out."""
    BAD_ADDRESS = "bad_address"
    """The address cannot exist: it breaks the syntax, or its domain is reserved for documentation."""
    NO_SENDER = "no_sender"
    """The settings give no valid from_address."""
    NO_DEFINITION = "no_definition"
    """The campaign or step that asked for the mail is not in the definitions any more."""
    TEMPLATE = "template"
    """The template does not exist or failed for this person's values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderIdentity:
    """Who writes, as the law and the receiving servers want to know it.

    Attributes:
        from_address: Also gives the domain of every Message-ID.
        postal_address: Shown in every mail that needs consent.
        base_url: How the world reaches the door, ``https://mail.example.com``; links in mails begin with it.
        allow_reserved_domains: Take addresses at example.com and the like (demo and tests).
        reply_to: Empty: replies go to `from_address`.
    """

    from_name: str
    from_address: str
    postal_address: str
    base_url: str
    allow_reserved_domains: bool = False
    reply_to: str = ""

    @property
    def domain(self) -> str:
        """The domain of `from_address`; empty if it has none."""
        return self.from_address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """The gate's no: the state that ends the message, its reason, and the particulars in words."""

    state: MessageState
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Which of the engine's named conditions must (not) hold still when the message is claimed.

    Attributes:
        archived: The condition of being archived; None: they are meant as well.
        unseen_micros: Who was seen since so long ago counts as archived no more, whatever the list says still.
    """

    holds: str | None = None
    fails: str | None = None
    archived: str | None = None
    unseen_micros: int = 0

    def contains(self, truths: Mapping[str, bool]) -> bool:
        """Whether a person with these truths is still meant. A condition that was not answered does not hold."""
        inside = self.holds is None or truths.get(self.holds, False)
        return inside and not (self.fails is not None and truths.get(self.fails, False))

    def leaves_out(self, facts: PersonFacts, now: Instant) -> bool:
        """Whether the person is archived and was not seen since."""
        listed = self.archived is not None and facts.truths.get(self.archived, False)
        return listed and facts.last_seen_at < now - self.unseen_micros


def gate(
    message: Message,
    facts: PersonFacts | None,
    *,
    address: str | None,
    consent: bool,
    suppressed: str | None,
    audience: Audience,
    now: Instant,
    identity: SenderIdentity,
) -> Barred | None:
    """Whether a claimed message may go on; None is yes. Pure. The first thing that bars it gives the reason.

    A message with an empty purpose is transactional: it needs no consent, postal address or unsubscribe link, but the
    suppression list binds it too.

    Args:
        message: As claimed.
        facts: The person at the engine's last tick; None if there is none (any more).
        address: The opened e-mail address, exactly as the person gave it; None if there is none.
        consent: Whether the newest consent row for the message's purpose grants it.
        suppressed: Why the address is on the suppression list; None if it is not.
        audience: Conditions that are checked again.
        now: The project clock's instant; a mail may go out at `send_by_at` itself, and not after.
        identity: Who writes.
    """
    if facts is None:
        return _suppressed(Reason.NO_PERSON)
    if not address:
        return _suppressed(Reason.NO_ADDRESS)
    if suppressed is not None:
        return _suppressed(Reason.ON_SUPPRESSION_LIST, suppressed)
    if message.purpose:
        barred = _bars_marketing(message.purpose, consent, identity)
        if barred:
            return barred
    if now > message.send_by_at:
        return Barred(
            state=MessageState.EXPIRED, reason=Reason.EXPIRED, detail=f"send by {format_iso(message.send_by_at)}"
        )
    if not audience.contains(facts.truths):
        return _suppressed(Reason.LEFT_AUDIENCE)
    if audience.leaves_out(facts, now):
        return _suppressed(Reason.ARCHIVED)
    return _bars_addresses(address, identity)


def _bars_marketing(purpose: str, consent: bool, identity: SenderIdentity) -> Barred | None:
    if not consent:
        return _suppressed(Reason.NO_CONSENT, purpose)
    if not identity.postal_address.strip():
        return _suppressed(Reason.NO_POSTAL_ADDRESS, "set sender.postal_address")
    parts = urlsplit(identity.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return _suppressed(Reason.NO_UNSUBSCRIBE, f"no link can be made from base_url {identity.base_url!r}")
    return None


def _bars_addresses(address: str, identity: SenderIdentity) -> Barred | None:
    wrong = address_fault(address, allow_reserved=identity.allow_reserved_domains)
    if wrong:
        return _suppressed(Reason.BAD_ADDRESS, wrong)
    wrong = _sender_fault(identity.from_address)
    return _suppressed(Reason.NO_SENDER, wrong) if wrong else None


@cache
def _sender_fault(from_address: str) -> str:
    return address_fault(from_address, allow_reserved=True)


def address_fault(address: str, *, allow_reserved: bool) -> str:
    """What is wrong with an address, without asking the network and without repeating it; empty if nothing is."""
    domain = address.rpartition("@")[2].lower().rstrip(".")
    if not allow_reserved and _is_reserved(domain):
        return f"{domain} is reserved for documentation"
    if not address.rpartition("@")[0].isascii():
        return "the part before the @ is not ASCII, which mail headers written here cannot hold"
    try:
        validate_email(address, check_deliverability=False, strict=True, test_environment=allow_reserved)
    except EmailNotValidError as error:
        return str(error)
    return ""


def _is_reserved(domain: str) -> bool:
    labels = domain.split(".")
    return labels[-1] in RESERVED_TOP_LEVEL or ".".join(labels[-2:]) in RESERVED_DOMAINS


def _suppressed(reason: Reason, detail: str = "") -> Barred:
    return Barred(state=MessageState.SUPPRESSED, reason=reason, detail=detail)
