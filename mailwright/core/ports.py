"""What the domain needs from the outside. Adapters live in `mailwright.stores` and are chosen by `runtime` alone.

One suite per port in ``tests/contracts`` holds every adapter to these docstrings. Every method of a Records port is
one transaction: all of its writes are durable when it returns, or none is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from mailwright.core.consent_ports import Consent, ConsentRecords, OptIn, OptInRecords, TagRecords
from mailwright.core.events import Body, Item, LogRecord, Offset, Person
from mailwright.core.facts import AccountFacts, EngineStatus, PersonFacts
from mailwright.core.fetching import FetchAnswer, FetchRequest
from mailwright.core.happenings import Place, Unwritten, Whose
from mailwright.core.instants import Instant
from mailwright.core.messages import Envelope, Outcome
from mailwright.core.person_graph import PersonGraph
from mailwright.core.previews import Preview
from mailwright.core.record_ports import (
    DefinitionRecords,
    DefinitionVersion,
    EngineRecords,
    FindingRecords,
    Handing,
    LookupRecords,
    MessageRecords,
    MetaRecords,
    ModelRecords,
    ModelVersion,
    OutboxRecords,
    Records,
    Refusal,
    UserRecords,
    WebhookRecords,
)
from mailwright.core.transitions import Cursor, TransitionPage

if TYPE_CHECKING:
    import pyarrow as pa


__all__ = [
    "Blobs",
    "Channel",
    "Clock",
    "Consent",
    "ConsentRecords",
    "DefinitionRecords",
    "DefinitionVersion",
    "EngineReads",
    "EngineRecords",
    "EventLog",
    "Fetch",
    "FindingRecords",
    "Handing",
    "History",
    "HistoryQueries",
    "LookupRecords",
    "MailDomains",
    "MessageRecords",
    "MetaRecords",
    "ModelRecords",
    "ModelVersion",
    "OptIn",
    "OptInRecords",
    "OutboxRecords",
    "Piece",
    "Records",
    "Refusal",
    "TagRecords",
    "UserRecords",
    "WebhookRecords",
]


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

    def greatest(self, columns: Sequence[str]) -> list[int | None]:
        """The greatest value of columns of whole numbers or instants, by statistics alone; None: they do not say.

        Raises:
            NotFound: As for `read`.
        """
        ...


class HistoryQueries(Protocol):
    """What `History` and a session of it can be asked."""

    def offset(self, table: str) -> Offset:
        """The offset that `table` holds everything up to; 0 for a table that does not exist."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one read-only DuckDB statement, see `History.query`."""
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

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, upto: Offset | None = None) -> pa.Table:
        """Run one read-only DuckDB statement; every History table is a view under its name; `$name` parameters.

        The star-shaped views of an installation may be named as well. `upto`: as if nothing above it had been appended.
        """
        ...

    def session(self) -> AbstractContextManager[HistoryQueries]:
        """For many questions in a row of one thread: the engine behind them is opened once, and closed at the end.

        A table is seen as it was when a question first named it, whatever is appended meanwhile; only if one of its
        files was deleted since, all tables are seen anew.
        """
        ...

    def stream(self, sql: str, batch_rows: int = 65_536, *, upto: Offset | None = None) -> Iterator[pa.RecordBatch]:
        """As `query` without parameters, batch by batch: for results that are too large to be held.

        A result without rows is one batch without rows, so that its columns are told.
        """
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

    def compact(self, table: str, now: Instant, *, target_bytes: int = 64 << 20, least: int = 8) -> int:
        """Join at least `least` small files that follow one another to one of at most about `target_bytes`.

        One step, while which the writer waits; the rows and their order stay. Returns how many files were joined; 0:
        there is nothing more to do. The old files stay for those who read them, until `vacuum`.
        """
        ...

    def vacuum(self, table: str, keep_micros: int, now: Instant) -> int:
        """Delete files that left the table more than `keep_micros` ago; returns how many.

        Older versions can then no longer be read; whoever reads a piece of one is told NotFound.
        """
        ...

    def forget_before(self, table: str, column: str, before: Instant, now: Instant) -> int:
        """Take files out of the table whose every row has an instant in `column` before `before`; returns how many."""
        ...

    def erase(self, identifiers: Collection[str], persons: Collection[Person], now: Instant) -> int:
        """Erase a person from all tables; returns the rows that were deleted or changed. Done twice, it does nothing.

        Only files that hold such rows are written anew; after it no file holds them, so older versions of those tables
        can no longer be read. The change feed tells the offsets of deleted rows and nothing else of them.

        Args:
            identifiers: All of the person's, as ``kind:value``.
            persons: Their numbers in the engine.
            now: Noted with the change.
        """
        ...

    def versions(self, table: str) -> list[dict[str, Any]]:
        """Versions, newest first: ``version`` (counts from 0), ``at`` (Instant) and ``operation``."""
        ...

    def changes(self, table: str, since: int) -> pa.Table:
        """The change feed from version `since` on; ``_change_type`` and ``_commit_version`` stand beside each row.

        Raises:
            NotFound: If files of those versions were deleted by `vacuum` or `erase`, or the feed began later; it
                says which is the oldest that can be asked.
        """
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

    def facts(
        self, persons: Sequence[Person], conditions: Sequence[str] = (), *, past: bool = False
    ) -> dict[Person, PersonFacts]:
        """Facts of these people, keyed as asked (a merged number answers with the survivor); unknown ones left out.

        `past`: with the earlier writes of their traits.
        """
        ...

    def having(self, trait: str, value: Any) -> list[Person]:
        """People whose trait has this value, ascending; a sealed one is asked as ``{"hash": ...}``.

        Raises:
            NotFound: If ``profile.yaml`` declares no index for that trait.
        """
        ...

    def accounts(self, after: str | None, limit: int) -> list[AccountFacts]:
        """At most `limit` accounts after that id, in order of first appearance.

        Raises:
            NotFound: If there is no account `after`.
        """
        ...

    def account(self, group: str) -> AccountFacts | None:
        """One account with its members and figures; None: nobody told of it."""
        ...

    def find(self, kind: str, value: str) -> Person | None:
        """The person an identifier belongs to; a personal kind is asked by its keyed hash."""
        ...

    def graph(self, person: int) -> PersonGraph:
        """The identifiers and merges of the living person behind a number.

        Raises:
            NotFound: If the number was never given.
        """
        ...

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        """At most `limit` lines of a person's timeline that the engine has folded and History does not hold yet.

        Newest first, of those that stand before `before`. Together with what History holds up to `Unwritten.after` they
        are all there is, each once, whatever is appended to History meanwhile.
        """
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


class MailDomains(Protocol):
    """Asks whether a domain takes mail."""

    def takes_mail(self, domain: str) -> bool | None:
        """Whether DNS names a server for the mail of an ASCII domain; None when it gives no answer in time."""
        ...


class PostalPlaces(Protocol):
    """What is known of postal codes. Countries are ISO 3166 codes, postal codes as people write them."""

    def knows(self, country: str) -> bool:
        """Whether any postal code of that country is known."""
        ...

    def at(self, country: str, code: str) -> tuple[Sequence[str], Sequence[str]]:
        """(names of the places, names of what they lie in) of a postal code; both empty for one that is not there."""
        ...

    def is_city(self, country: str, name: str) -> bool:
        """Whether a place anywhere in that country has this name, however it is spelled."""
        ...


# --- Records ---------------------------------------------------------------------------------------------------------
