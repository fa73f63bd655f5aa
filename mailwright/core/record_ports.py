"""The ports over Records: everything operational, transactional. See `mailwright.core.ports`, which names them all.

Every method is one transaction: all of its writes are durable when it returns, or none is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mailwright.core.commits import JourneyRun, TickCommit
from mailwright.core.consent_ports import ConsentRecords, OptInRecords, TagRecords
from mailwright.core.events import Body, Offset, Person
from mailwright.core.findings import Finding, KnownFinding
from mailwright.core.instants import Instant
from mailwright.core.messages import Message, MessageState, Outcome
from mailwright.core.outside import LookupAnswer, WebhookTally
from mailwright.core.posted import PostedRecords
from mailwright.core.sources import QuarantineRecords, SourceRecords


class EngineRecords(Protocol):
    """What the engine keeps in Records."""

    def take_over(self) -> int:
        """Raise the epoch and return it; any engine with an older one can no longer commit."""
        ...

    def applied(self) -> Offset:
        """Offset of the last committed tick; 0 before the first."""
        ...

    def commit_tick(self, epoch: int, commit: TickCommit) -> None:
        """Write a tick's effects and `applied`; a tick at or below `applied` writes nothing.

        Raises:
            Conflict: If `epoch` is no longer the newest.
        """
        ...

    def due_runs(self, journey: str, at: Instant) -> list[JourneyRun]:
        """Runs that have not ended and whose due_at <= at, by (due_at, run_id)."""
        ...

    def open_runs(self, journey: str, persons: Sequence[Person] | None) -> list[JourneyRun]:
        """Runs of these people, or of everybody for None, that have not ended."""
        ...

    def last_runs(self, journey: str, persons: Sequence[Person]) -> dict[Person, Instant]:
        """started_at of each person's newest run, for re-entry rules."""
        ...

    def last_occurrence(self, campaign: str) -> str | None:
        """The newest occurrence that was started (ISO text), or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """What is fixed in the commit before a hand-over: the exact body and why it is so."""

    send_key: str
    fence: int
    body: bytes
    subject: str
    decision: Mapping[str, Any]
    template_version: str
    experiment: str | None = None
    variant: str | None = None
    p_variant: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A claimed message that will not be handed over: suppressed, expired, cancelled or failed, with the reason."""

    send_key: str
    fence: int
    state: MessageState
    reason: str
    decision: Mapping[str, Any]


class MessageRecords(Protocol):
    """The outbox of messages."""

    def claim(
        self, now: Instant, limit: int, worker: str, *, lease_now: Instant, lease_until: Instant
    ) -> list[Message]:
        """Take up to `limit` queued messages with not_before_at <= now, oldest first; raises each one's fence.

        First lapsed leases (before `lease_now`) go back to queued, or from `dot` to unknown with an outbox row.
        `now` is the project's clock, which may be virtual; leases are of system time.
        """
        ...

    def refuse(self, refusals: Sequence[Refusal], now: Instant) -> None:
        """End claimed messages without a hand-over; a stale fence is skipped. Each end adds an outbox row."""
        ...

    def handing(self, handings: Sequence[Handing]) -> list[str]:
        """Fix bodies: claimed -> handing. Returns the send_keys that were still ours."""
        ...

    def dot(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        """Mark handing -> dot for (send_key, fence). Returns the send_keys that were still ours."""
        ...

    def result(self, results: Sequence[tuple[str, int, Outcome]], now: Instant) -> None:
        """Write outcomes (send_key, fence, outcome) with an outbox row each; Deferred returns to queued at `until_at`.

        A stale fence is skipped, except that a message that became unknown meanwhile takes a definite outcome.
        """
        ...

    def by_id(self, message_id: str) -> Message | None:
        """One message, or None."""
        ...

    def body(self, message_id: str) -> bytes | None:
        """The exact bytes that were fixed for the hand-over, or None if it never came so far."""
        ...

    def page(
        self,
        *,
        before: str | None,
        limit: int,
        state: MessageState | None = None,
        person: Person | None = None,
        origin: str | None = None,
    ) -> list[Message]:
        """Messages newest first, after the cursor `before` (a message id)."""
        ...

    def counts(self) -> list[tuple[str, MessageState, str | None, str | None, int]]:
        """(origin, state, reason, variant, n) for all messages."""
        ...

    def open_count(self) -> int:
        """Messages that have not reached a final state."""
        ...

    def due_count(self, now: Instant) -> int:
        """Of these, all but the ones that wait in the queue for a not_before_at after `now`."""
        ...


class OutboxRecords(Protocol):
    """Facts written to Records first that must also reach the log, at least once; the log's dedupe makes it once."""

    def pending(self, limit: int) -> list[tuple[int, Body]]:
        """Oldest rows not yet appended: (row id, body)."""
        ...

    def done(self, ids: Sequence[int]) -> None:
        """Remove rows whose bodies are durable in the log."""
        ...

    def pending_count(self) -> int:
        """Rows not yet appended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """An immutable version in the registry.

    Attributes:
        metrics: Row name (the model and each baseline) -> metric name -> value.
        gate: Why it may or may not serve, in words.
        passed: Whether the gate let it through.
        blob: Name of the fitted model, or None for a model that holds nothing.
        data_hash: Digest of what it was trained on.
    """

    name: str
    version: int
    created_at: Instant
    kind: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    passed: bool
    gate: str
    blob: str | None
    data_hash: str
    code_version: str


class ModelRecords(Protocol):
    """The model registry."""

    def register(self, version: ModelVersion) -> None:
        """Add a version; numbers per name count from 1.

        Raises:
            Conflict: If that version exists.
        """
        ...

    def newest(self, name: str) -> ModelVersion | None:
        """The newest version, served or not."""
        ...

    def all(self) -> list[ModelVersion]:
        """Every version, by (name, version)."""
        ...


class UserRecords(Protocol):
    """Who may look at the pages. Tokens are stored as SHA-256 only; times are system time."""

    def add_login_link(self, token_hash: str, user: str, expires_at: Instant) -> None:
        """Remember a one-time login link."""
        ...

    def use_login_link(self, token_hash: str, now: Instant) -> str | None:
        """The user of a link that is unused and unexpired, marking it used; else None."""
        ...

    def open_session(self, token_hash: str, user: str, expires_at: Instant) -> None:
        """Remember a session."""
        ...

    def session_user(self, token_hash: str, now: Instant) -> str | None:
        """The user of a live session, or None."""
        ...

    def close_session(self, token_hash: str) -> None:
        """End a session; none is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionVersion:
    """One applied version of the project's files (path -> text)."""

    version: int
    applied_at: Instant
    digest: str
    files: Mapping[str, str]


class DefinitionRecords(Protocol):
    """Applied versions of the definitions."""

    def current(self) -> DefinitionVersion | None:
        """The newest version, or None before the first apply."""
        ...

    def store(self, version: DefinitionVersion) -> None:
        """Add version n+1 and, in the same transaction, its outbox row (a Defined body).

        Raises:
            Conflict: If the version number is taken.
        """
        ...

    def versions(self) -> list[DefinitionVersion]:
        """All, oldest first."""
        ...


class FindingRecords(Protocol):
    """What the monitors of data quality found, by the finding's key, over time."""

    def observe(
        self, monitors: Collection[str], findings: Sequence[Finding], now: Instant, *, unsure: Collection[str] = ()
    ) -> list[Finding]:
        """Take in what these monitors find now; theirs that is found no more is resolved, but for the keys of `unsure`.

        Returns:
            The findings that were not there before, or were resolved.
        """
        ...

    def unalerted(self, monitors: Collection[str]) -> list[Finding]:
        """Lasting findings of these monitors that nobody was told of yet, by key."""
        ...

    def alerted(self, findings: Sequence[Finding], now: Instant) -> None:
        """Note that those who want to know of these findings were told."""
        ...

    def newest(self, limit: int) -> list[KnownFinding]:
        """Lasting ones first, then resolved ones, each by when they were seen last, newest first."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there ever was a finding of that key."""
        ...


class WebhookRecords(Protocol):
    """Deliveries of webhooks, so that a copy of one makes nothing twice."""

    def seen(self, webhook: str, keys: Sequence[str]) -> bool:
        """Whether a delivery with any of these keys is remembered."""
        ...

    def bind(self, webhook: str, key: str, body: str, at: Instant) -> bool:
        """Bind a key to the digest of the one body that may come under it, whoever is first of all processes.

        Returns:
            Whether it is bound to this body: at once, or by an earlier try. It is forgotten like a delivery.
        """
        ...

    def delivered(self, webhook: str, keys: Sequence[str], tally: WebhookTally) -> None:
        """Remember a delivery by all its keys, and add `tally` to the webhook's; its `last_at` is when."""
        ...

    def tallies(self) -> dict[str, WebhookTally]:
        """By webhook; one that was never called is left out."""
        ...

    def forget(self, before: Instant) -> int:
        """Forget deliveries before an instant, and say how many keys they had; tallies stay."""
        ...


class LookupRecords(Protocol):
    """What was asked of services outside, by lookup and key (the keyed hash of an address, a place)."""

    def answers(self, lookup: str, keys: Sequence[str]) -> dict[str, LookupAnswer]:
        """Newest answers; keys that were never asked are left out."""
        ...

    def keep(self, lookup: str, answers: Mapping[str, LookupAnswer]) -> None:
        """Keep answers in place of older ones."""
        ...

    def count(self, lookup: str) -> tuple[int, int, Instant | None]:
        """(keys asked, of these found, when the newest was asked)."""
        ...

    def forget(self, lookup: str, before: Instant) -> int:
        """Forget answers asked before an instant, and say how many."""
        ...


class MetaRecords(Protocol):
    """Small facts about the installation, by key (``demo.stage``, ``write_key.demo``)."""

    def get(self, key: str) -> str | None:
        """The value, or None."""
        ...

    def put(self, key: str, value: str) -> None:
        """Set a value."""
        ...


class Records(Protocol):
    """All Records ports over one database."""

    @property
    def engine(self) -> EngineRecords:
        """What the engine keeps."""
        ...

    @property
    def messages(self) -> MessageRecords:
        """The outbox of messages."""
        ...

    @property
    def consents(self) -> ConsentRecords:
        """Consent ledger and suppressions."""
        ...

    @property
    def opt_ins(self) -> OptInRecords:
        """Opt-ins by forms."""
        ...

    @property
    def tags(self) -> TagRecords:
        """Tags that forms told."""
        ...

    @property
    def outbox(self) -> OutboxRecords:
        """Facts on their way to the log."""
        ...

    @property
    def models(self) -> ModelRecords:
        """The model registry."""
        ...

    @property
    def users(self) -> UserRecords:
        """Logins and sessions."""
        ...

    @property
    def definitions(self) -> DefinitionRecords:
        """Applied definitions."""
        ...

    @property
    def sources(self) -> SourceRecords:
        """Write keys, and what their events were like."""
        ...

    @property
    def quarantine(self) -> QuarantineRecords:
        """Items that wait to be mended."""
        ...

    @property
    def meta(self) -> MetaRecords:
        """Small facts."""
        ...

    @property
    def findings(self) -> FindingRecords:
        """Findings of the monitors."""
        ...

    @property
    def webhooks(self) -> WebhookRecords:
        """Deliveries of webhooks."""
        ...

    @property
    def lookups(self) -> LookupRecords:
        """Answers of services outside."""
        ...

    @property
    def posted(self) -> PostedRecords:
        """Rows of declared imports that programs post."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
