"""What the engine tells about a person at a tick: the ground of every decision."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A value with where it comes from.

    Attributes:
        value: JSON-shaped; None is missing. A sealed trait is its sealed object (see `mailwright.privacy`).
        at: Stamp of the newest fact behind it; None if nothing is.
        source: Write key that told a trait; ``attribute`` for a computed one.
    """

    value: Any
    at: Instant | None
    source: str


class PersonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One person as of the engine's last tick.

    Attributes:
        person: The number; after a merge the surviving one.
        first_identifier: What random buckets and experiment arms hash: ``kind:value`` of the person's first identifier.
        segments: Names of the segments the person is in.
        truths: Asked-for named conditions (content rule rows, audiences, exits) -> true or false.
        sources: Source -> newest stamp of an event that it brought.
        accounts: Ids of the accounts that the person is a member of, sorted.
        history: Trait -> its kept writes, newest first, a removal as None; only if it was asked for.
        time_zone: IANA name of the zone in which rules count this person's days and hours; empty: nobody asked.
        time_zone_from: What told it: trait ``timezone``, the newest context that carried one, or nothing: the shop's.
    """

    person: Person
    at: Instant
    offset: Offset
    first_identifier: str
    identifiers: list[Identifier]
    traits: dict[str, Known]
    attributes: dict[str, Known]
    segments: list[str]
    truths: dict[str, bool]
    first_seen_at: Instant
    last_seen_at: Instant
    n_events: int
    sources: dict[str, Instant] = {}
    accounts: list[str] = []
    history: dict[str, list[Known]] = {}
    time_zone: str = ""
    time_zone_from: Literal["trait", "context", "shop"] = "shop"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person of an account: stamps of the first and the last group call that said so."""

    person: Person
    first_at: Instant
    last_at: Instant


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One account as of the engine's last record.

    Attributes:
        id: The ``groupId`` of the calls that told of it.
        traits: Trait name -> last write; removed ones left out.
        history: Trait -> its kept writes, newest first, a removal as None; empty in a list of accounts.
        n_members: How many people are members now; `members` the first of them, empty in a list of accounts.
        first_seen_at: Stamp of the first group call; `last_seen_at` of the last one.
        figures: Declared roll-ups over the members now, by name; None where no member has a value.
    """

    id: str
    traits: dict[str, Known]
    n_members: int
    first_seen_at: Instant
    last_seen_at: Instant
    members: list[Member] = []
    history: dict[str, list[Known]] = {}
    figures: dict[str, Any] = {}


class Installing(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is applied but not yet in force: its new leaves are being filled from the past.

    Attributes:
        version: Of the definitions.
        phase: ``waiting`` for History to hold all that came before, ``folding`` it, ``storing`` what came of it, or
            ``failed``: it is tried again, and until then the version before stays in force.
        done: Events folded so far, of `whole` (0 while that is not known).
        failure: Why the last attempt failed; empty if none did.
        attempts: How many have failed since the engine started, or the version was applied.
    """

    version: int
    phase: Literal["waiting", "folding", "storing", "failed"]
    done: int = 0
    whole: int = 0
    failure: str = ""
    attempts: int = 0


class ClockParted(msgspec.Struct, frozen=True, kw_only=True):
    """Wall and monotonic clock have parted by more than a minute: ticks and hand-overs wait until that is confirmed.

    Attributes:
        wall_at: What the wall clock said when it was seen.
        parted_micros: By how much the wall clock had jumped, forwards being positive.
    """

    wall_at: Instant
    parted_micros: int


class ListInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A list as it stands: how many identifiers are on it, when it was last told of, and by whom."""

    size: int
    at: Instant
    source: str


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where the engine stands.

    Attributes:
        offset: Offset of the last record folded; `tick_offset` of the last tick evaluated and committed.
        n_events: Accepted events without duplicates; `n_duplicates` dropped ones; `n_items` distinct catalog items.
        version: Of the definitions in force; `installing` the one that follows it as soon as its past is folded.
        segments: Name -> size at the last tick.
        lists: Name -> list, as of the last record.
        clock: Set while ticks wait because the machine's clock has jumped.
        ticked_at: Instant of that last tick; None before the first.
    """

    offset: Offset
    tick_offset: Offset
    at: Instant
    version: int
    n_persons: int
    n_events: int
    n_duplicates: int
    n_items: int
    segments: dict[str, int]
    lists: dict[str, ListInfo] = {}
    installing: Installing | None = None
    clock: ClockParted | None = None
    ticked_at: Instant | None = None
