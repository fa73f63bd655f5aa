"""Where events come from, as Records keeps it: write keys, what each source brought, and what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mailwright.core.instants import DAY, Instant, format_iso

SourceKind = Literal["server", "browser"]
Outcome = Literal["accepted", "refused", "held"]
CountKind = Literal["events", "items", "consents", "suppressions", "unsubscribes", "list entries"]
"""What a source brings; an unsubscribe is the use of a link in a mail, a consent any other row of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteKey:
    """One key of a source; the key itself is nowhere kept.

    Attributes:
        digest: SHA-256 of the key in hex; of an OAuth client, of its id and secret.
        name: Of the source, as its events carry it. Several keys may have one name.
        client: Its OAuth client id; empty for a plain key.
        public_key: PEM of the key with which an OAuth client signs its assertions; empty if it has a secret instead.
        revoked_at: From when on it counts no more; None while it does.
    """

    digest: str
    name: str
    kind: SourceKind
    created_at: Instant
    client: str = ""
    public_key: str = ""
    revoked_at: Instant | None = None

    @property
    def id(self) -> str:
        """What it is called on pages and in commands."""
        return self.digest[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many items of a source and kind a minute brought; `minute` counts from 1970.

    Of events that were held and let in later, `held` is negative. `dropped` counts fields that the tracking plan left
    out of items that were taken.
    """

    source: str
    minute: int
    kind: CountKind = "events"
    accepted: int = 0
    refused: int = 0
    held: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """What a source brought of a kind on one day (UTC, since 1970); `held` of it are held still, or were forgotten."""

    day: int
    source: str
    kind: CountKind
    accepted: int
    refused: int
    held: int
    dropped: int

    @property
    def date(self) -> str:
        """The day in ISO 8601."""
        return format_iso(Instant(self.day * DAY))[:10]

    @property
    def received(self) -> int:
        """All that came, whatever became of it."""
        return self.accepted + self.refused + self.held


def summed(counts: Iterable[DayCount]) -> list[DayCount]:
    """Counts added up over their days, by source and kind; `day` is the newest."""
    found: dict[tuple[str, CountKind], DayCount] = {}
    for one in counts:
        old = found.get((one.source, one.kind))
        found[one.source, one.kind] = one if old is None else _added(old, one)
    return sorted(found.values(), key=lambda one: (one.source, one.kind))


def _added(first: DayCount, second: DayCount) -> DayCount:
    return DayCount(
        day=max(first.day, second.day),
        source=first.source,
        kind=first.kind,
        accepted=first.accepted + second.accepted,
        refused=first.refused + second.refused,
        held=first.held + second.held,
        dropped=first.dropped + second.dropped,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationCount:
    """How often a field of an event was not as the tracking plan says, on one day (UTC).

    Attributes:
        day: Days since 1970.
        kind: The violated keyword of JSON Schema, ``undeclared`` or ``event``.
        policy: What became of the newest.
        reason: In words, without the value.
        example: A value as JSON, cut short; empty where values are personal, or the field is missing.
        last_at: When the newest was seen.
    """

    day: int
    source: str
    event: str
    field: str
    kind: str
    n: int
    policy: str
    reason: str
    example: str
    last_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """An item that was refused or held back, for the live list: never what was sent, only why not."""

    at: Instant
    source: str
    event: str
    outcome: Outcome
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """What a source has brought.

    Attributes:
        first_at: When its first counted item came, `last_at` its newest; to the minute.
        in_minute: Items of any kind of this minute or of the one before, whichever brought more; accepted or not.
        in_hour: Of the last 60 minutes.
        accepted: Since counting began; likewise `refused` and `held`.
    """

    source: str
    first_at: Instant
    last_at: Instant
    in_minute: int
    in_hour: int
    accepted: int
    refused: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an item is held: a field that is not as the plan says, without its value."""

    field: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An item that waits to be mended.

    Attributes:
        id: Its number; 0 before it is kept.
        message_id: Unique per source: the same item sent again is kept once.
        event: Name of the track event, else the kind of the call.
        received_at: When the door got it, which it keeps when it is replayed.
        body: The sealed JSON of the call, as `mailwright.privacy` seals text.
        history: It came by an import of the past; `imported`: by any import.
    """

    id: int = 0
    message_id: str
    source: str
    source_kind: SourceKind
    event: str
    received_at: Instant
    reasons: Sequence[Reason]
    body: str
    history: bool = False
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineFilter:
    """Which held items are meant: those that are all that is not empty. `before` an id, for the next page."""

    source: str = ""
    event: str = ""
    field: str = ""
    kind: str = ""
    before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who did what to keys or held items."""

    at: Instant
    who: str
    action: str
    detail: str


class SourceRecords(Protocol):
    """Write keys, and what their events were like."""

    def add_key(self, key: WriteKey) -> None:
        """Keep a new key.

        Raises:
            Conflict: If there is one with its digest or client id.
        """
        ...

    def key(self, digest: str) -> WriteKey | None:
        """The key with that digest, revoked or not."""
        ...

    def client(self, client: str) -> WriteKey | None:
        """The OAuth client with that id, revoked or not."""
        ...

    def all_keys(self) -> list[WriteKey]:
        """All, by name and age."""
        ...

    def revoke_key(self, digest: str, at: Instant) -> None:
        """Let a key count no more; a second time changes nothing."""
        ...

    def use_assertion(self, digest: str, until: Instant, now: Instant) -> bool:
        """Note that an OAuth client's assertion was used; False if it was before. Those of before `now` are forgotten.

        Raises:
            Transient: ``oauth.busy`` while very many are good still.
        """
        ...

    def count(
        self,
        tallies: Sequence[Tally],
        violations: Sequence[ViolationCount],
        refused: Sequence[NotTaken],
        once: tuple[str, str] | None = None,
    ) -> None:
        """Add to what was counted before, in one transaction; of items not taken a few hundred are kept.

        `once`, (key, id): nothing is added if what was last counted under the key has that id.
        """
        ...

    def days(self, since_day: int, source: str = "") -> list[DayCount]:
        """Counts of that day and later, of one source or of all: newest day first, then by source and kind."""
        ...

    def seen(self, now: Instant) -> list[SourceSeen]:
        """Every source that ever brought anything, by name."""
        ...

    def violations(self, since_day: int) -> list[ViolationCount]:
        """Counts of that day and later, newest day first, then the most frequent."""
        ...

    def not_taken(self, limit: int) -> list[NotTaken]:
        """Newest first."""
        ...

    def forget(self, minutes_before: int, days_before: int, counts_before: int) -> None:
        """Drop counts of minutes, violations of days, and counts of days, before those."""
        ...

    def note(self, note: Note) -> None:
        """Keep who did what."""
        ...

    def notes(self, limit: int) -> list[Note]:
        """Newest first."""
        ...


class QuarantineRecords(Protocol):
    """Items that wait to be mended. What is returned holds sealed bodies.

    Numbers rise; that of an item that is gone never comes again.
    """

    def hold(self, items: Sequence[Quarantined], most: int, most_of_source: int | None = None) -> int:
        """Keep items durably, those of a known source and message id once; returns how many are new.

        Raises:
            Transient: ``quarantine.full`` if there would be more than `most`, more than `most_of_source` of the source
                of one of them, or more of it than room is left for all others; then none is kept. So however many
                sources are full of it, one that holds little finds room.
        """
        ...

    def find(self, wanted: QuarantineFilter, limit: int) -> list[Quarantined]:
        """Newest first."""
        ...

    def get(self, number: int) -> Quarantined | None:
        """One item, or None."""
        ...

    def explain(self, number: int, reasons: Sequence[Reason], body: str) -> None:
        """Replace why an item is held, and what it says."""
        ...

    def remove(self, counted: Mapping[int, Tally]) -> int:
        """Drop items and, in the same transaction, count each that was there; returns how many there were.

        `counted`: number -> what is to be added to the counts of its source, once, whoever else drops the same items
        and however often this is repeated.
        """
        ...

    def count(self) -> int:
        """How many are held."""
        ...

    def forget(self, before: Instant) -> int:
        """Drop what was received before; returns how many."""
        ...
