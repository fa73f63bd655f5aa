"""What the domain needs from the outside. Adapters live in `mailwright.stores` and are chosen by `runtime` alone.

One suite per port in ``tests/contracts`` holds every adapter to these docstrings. Every method of a Records port is
one transaction: all of its writes are durable when it returns, or none is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mailwright.core.commits import JourneyRun, TickCommit
from mailwright.core.events import Body, Item, LogRecord, Offset, Person
from mailwright.core.facts import EngineStatus, PersonFacts
from mailwright.core.fetching import FetchAnswer, FetchRequest
from mailwright.core.findings import Finding, KnownFinding
from mailwright.core.instants import Instant
from mailwright.core.messages import Envelope, Message, MessageState, Outcome
from mailwright.core.previews import Preview
from mailwright.core.transitions import Cursor, TransitionPage

if TYPE_CHECKING:
    import pyarrow as pa


class Clock(Protocol):
    """The project's clock; nothing else in the domain may ask for the time."""

    def now(self) -> Instant:
        """The current instant, never earlier than an answer before."""
        ...


class EventLog(Protocol):
    """The one ordered, durable log."""

    def append(self, bodies: Sequence[Body], now: Instant) -> list[int]:
        """Append records and return their numbers, once they would survive a power cut.

        Each gets ``at = max(last at, now)`` inside the write transaction. Safe to call from many threads and
        processes; concurrent calls share one fsync. An empty sequence appends nothing.

        Raises:
            Transient: If the disk is full or the log stays locked: nothing was appended.
        """
        ...

    def put(self, bodies: Sequence[Body], now: Instant) -> Future[list[int]]:
        """`append` without waiting: the future is done, with its answer or error, when `append` would return.

        Raises:
            Transient: If too much waits already.
        """
        ...

    def read(self, after: int, limit: int) -> list[LogRecord]:
        """Records with number > `after` in order, at most `limit`; empty at the end.

        Raises:
            Corrupt: If a record's checksum or encoding is wrong.
        """
        ...

    def last(self) -> tuple[int, Instant]:
        """Number and `at` of the newest record; (0, 0) for an empty log."""
        ...


class Piece(Protocol):
    """A stretch of a History table: rows that lie together, read column by column as they are needed."""

    n_rows: int

    def read(self, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, in offset order; one that the piece is older than is null.

        Raises:
            NotFound: If the file was rewritten since: begin anew.
        """
        ...


class History(Protocol):
    """Every record as typed tables, readable by other engines. One writer."""

    def append(self, table: str, rows: pa.Table, upto: Offset) -> None:
        """Append rows (with an int64 column ``offset``) that bring `table` up to and including `upto`.

        Rows at or below the table's present offset are cut away first, so a repeated call adds nothing.
        """
        ...

    def offset(self, table: str) -> Offset:
        """The offset that `table` holds everything up to; 0 for a table that does not exist."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one read-only DuckDB statement; every History table is a view under its name; `$name` parameters."""
        ...

    def columns(self, table: str) -> list[str]:
        """Names of the columns that `table` has by now; none for a table that does not exist."""
        ...

    def pieces(self, table: str, coded: Sequence[str] = ()) -> Iterator[Piece]:
        """The table piece by piece, in offset order; nothing is read yet. None for a table that does not exist.

        Args:
            table: Its name.
            coded: Text columns that `Piece.read` gives as dictionaries: few distinct values, read faster.
        """
        ...

    def scan(self, table: str, columns: Sequence[str], upto: Offset) -> Iterator[pa.RecordBatch]:
        """Rows with offset <= `upto` in offset order; a column that joined the table later is null before."""
        ...


class Blobs(Protocol):
    """Immutable bytes by name: models, checkpoints, snapshots."""

    def put(self, data: bytes) -> str:
        """Store and return the name, the SHA-256 in hex; the same bytes twice are one blob."""
        ...

    def get(self, name: str) -> bytes:
        """The bytes of a blob.

        Raises:
            NotFound: If there is none of that name.
            Corrupt: If the bytes do not have that hash.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove a blob; none of that name is no error."""
        ...


class Channel(Protocol):
    """A way to hand a message over. The one asynchronous port."""

    async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
        """Hand one message over.

        `before_final` is awaited exactly once, directly before the byte with which the receiver takes
        responsibility (SMTP: the final dot); it returns when the mark is durable. If it returns False the claim was
        lost and the hand-over is broken off before that byte, with Deferred. Any failure before it is Deferred or
        Failed; a reply code after it is definite; anything else after it is Unknown. Never raises for a peer's fault.
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class Fetch(Protocol):
    """The one way out: questions by HTTP, guarded, bounded, budgeted and remembered."""

    def fetch(self, request: FetchRequest) -> FetchAnswer:
        """Ask, following at most three redirects of a GET; any status is an answer. Safe from many threads.

        Raises:
            Permanent: ``fetch.refused``: the address is none that may be asked (not public, another port or scheme);
                ``fetch.too_large``: more bytes than allowed.
            Transient: ``fetch.failed``: no answer in time or at all; ``fetch.budget``: asked too often this minute;
                ``fetch.paused``: the service has failed so often that it is left alone for a while.
        """
        ...


class EngineReads(Protocol):
    """Reads that the engine answers between two micro-batches, as of its last tick.

    Every call raises Transient when the engine does not answer.
    """

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        ...

    def facts(self, persons: Sequence[Person], conditions: Sequence[str] = ()) -> dict[Person, PersonFacts]:
        """Facts of these people, keyed as asked (a merged number answers with the survivor); unknown ones left out."""
        ...

    def find(self, kind: str, value: str) -> Person | None:
        """The person an identifier belongs to; a personal kind is asked by its keyed hash."""
        ...

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        """Members of a segment with number > `after`, ascending.

        Raises:
            NotFound: If there is no segment of that name.
        """
        ...

    def preview(self, rule: bytes, against: str | None, limit: int) -> Preview:
        """Who a rule holds for as of the last tick, if the leaves that it needs are kept live; else which are not.

        Args:
            rule: A syntax tree as JSON; names in it mean what is in force.
            against: A segment to compare with; None for no comparison, and one that is not in force counts as empty.
            limit: People to name in each sample, at most `mailwright.core.previews.MAX_SAMPLE`.

        Raises:
            InvalidInput: If the rule names what does not exist.
            UnsupportedRule: If it cannot be kept live.
        """
        ...

    def overlap(self, segment: str, others: Sequence[str]) -> dict[str, int]:
        """How many members of `segment` are in each of the `others` too.

        Raises:
            NotFound: If there is no segment of one of the names.
        """
        ...

    def first_identifiers(self, persons: Sequence[Person]) -> dict[Person, str]:
        """``kind:value`` of people's first identifiers (a merged number's survivor's); unknown ones left out."""
        ...

    def transitions(self, after: Cursor | None, segments: Sequence[str] | None, limit: int) -> TransitionPage:
        """At most `limit` transitions after `after` in order, of these segments alone if given (None: all).

        None stands for the place behind all that has happened so far. The engine keeps the newest;
        `TransitionPage.kept_since` tells from where on.
        """
        ...

    def latest_transitions(self, segment: str, limit: int) -> TransitionPage:
        """At most `limit` transitions of a segment that the engine keeps in memory, newest first.

        The page's cursor is the place down to which it looked: History has what lies before.
        """
        ...

    def items(self, catalog: str, item_ids: Sequence[str]) -> dict[str, Item]:
        """The versions of catalog items in force now; unknown ones left out."""
        ...


# --- Records ---------------------------------------------------------------------------------------------------------


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

    def observe(self, monitors: Collection[str], findings: Sequence[Finding], now: Instant) -> list[Finding]:
        """Take in what these monitors find now; theirs that is found no more is resolved.

        Returns:
            The findings that were not there before, or were resolved: those worth an alert.
        """
        ...

    def newest(self, limit: int) -> list[KnownFinding]:
        """Lasting ones first, then resolved ones, each by when they were seen last, newest first."""
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
    def meta(self) -> MetaRecords:
        """Small facts."""
        ...

    @property
    def findings(self) -> FindingRecords:
        """Findings of the monitors."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
