"""The ports over Records for what people told by forms and links: consents, opt-ins with their proof, tags.

As with all of Records every method is one transaction. See `mailwright.core.ports`, which names them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mailwright.core.instants import Instant
from mailwright.core.messages import SendRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One row of the consent ledger; the newest per (address_hash, purpose) counts.

    `source` says how it was told (``demo``, ``one-click``, ``form``); `wording` the text the person saw.
    """

    address_hash: str
    purpose: str
    granted: bool
    at: Instant
    source: str
    wording: str = ""


class ConsentRecords(Protocol):
    """Consent ledger and suppression list, keyed by the keyed hash of the address: they outlive the profile."""

    def record(self, consents: Sequence[Consent]) -> None:
        """Append ledger rows; binds the gate at once; the same transaction adds an outbox row each."""
        ...

    def granted(self, address_hashes: Sequence[str], purpose: str) -> set[str]:
        """Those whose newest row for `purpose` is granted."""
        ...

    def ledger(self, address_hash: str) -> list[Consent]:
        """All rows of one address, oldest first."""
        ...

    def suppress(self, reasons: Mapping[str, str], at: Instant) -> None:
        """Put addresses (hash -> reason) on the suppression list; a second time changes nothing. Adds outbox rows."""
        ...

    def suppressed(self, address_hashes: Sequence[str]) -> dict[str, str]:
        """address_hash -> reason, for those on the list."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn:
    """What somebody agreed to by a form, and the proof of it. Nothing is granted before `confirmed_at`.

    Attributes:
        id: Short, unique, not to be guessed.
        form: Name of the form.
        address_hash: Keyed hash of the address; `address` is the address itself, sealed.
        purposes: (purpose, exact wording that was ticked).
        identifier: ``kind:value`` of who asked, as the log knows them (a browser's anonymous_id).
        asked_at: When the form was sent; the link of the confirmation mail works before `expires_at`.
        asked_ip: Sealed network address; None where it is not kept. `asked_agent` is the browser's own description.
        wording_version: Version of the definitions whose wording was shown.
        message_id: The confirmation mail; empty where the form asks for none, and `confirmed_at` is `asked_at`.
        confirmed_at: When the link was used; None before.
        mailbox_hash: Keyed hash of the mailbox, the same for every way to write its address; empty if nobody told.
    """

    id: str
    form: str
    address_hash: str
    address: Mapping[str, Any]
    purposes: Sequence[tuple[str, str]]
    identifier: str
    asked_at: Instant
    expires_at: Instant
    asked_ip: Mapping[str, Any] | None = None
    asked_agent: str = ""
    wording_version: int = 0
    message_id: str = ""
    confirmed_at: Instant | None = None
    confirmed_ip: Mapping[str, Any] | None = None
    confirmed_agent: str = ""
    mailbox_hash: str = ""


class OptInRecords(Protocol):
    """Opt-ins by forms, with their proof."""

    def ask(self, opt_in: OptIn, request: SendRequest | None, *, most: int, since: Instant) -> bool:
        """Keep an opt-in that waits for its confirmation, with the id of its mail, and queue that.

        False, and nothing is written, if the address or its mailbox was asked `most` times or more after `since`.
        """
        ...

    def keep(self, opt_in: OptIn, consents: Sequence[Consent]) -> None:
        """Keep an opt-in that needs no confirmation, with its ledger rows and an outbox row each."""
        ...

    def confirm(
        self, opt_in_id: str, at: Instant, ip: Mapping[str, Any] | None, agent: str, consents: Sequence[Consent]
    ) -> bool:
        """Note that the link was used and record the consents; False, writing nothing, if it was before."""
        ...

    def by_ids(self, opt_in_ids: Sequence[str]) -> dict[str, OptIn]:
        """Opt-ins by id; unknown ones left out."""
        ...

    def of_address(self, address_hash: str) -> list[OptIn]:
        """All of one address, oldest first."""
        ...


class TagRecords(Protocol):
    """Lists of tags as forms last told them, while the engine may not know: who changes one finds all changes before.

    What is older than a week is forgotten; by then the engine knows it.
    """

    def change(
        self,
        owner: str,
        now: Instant,
        *,
        known: Sequence[str],
        known_at: Instant,
        added: Collection[str],
        removed: Collection[str],
    ) -> tuple[list[str], Instant]:
        """(the list afterwards, its stamp). Of changes at the same time each finds what the other made of the list.

        Args:
            owner: Whose list it is.
            now: The stamp to give; if the list's own is as late, the next one after that.
            known: The list as the engine knows it.
            known_at: Its stamp; what stands here counts only if it is newer.
            added: Tags to add at the end; one that is removed too is added.
            removed: Tags to take off.
        """
        ...
