"""What the sources bring, counted in memory and told to Records in small batches: no event costs a write of its own."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mailwright.core.errors import MailwrightError
from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import DAY, MINUTE, Instant
from mailwright.core.ports import Clock, EventLog
from mailwright.core.sources import CountKind, NotTaken, SourceRecords, Tally, ViolationCount
from mailwright.ingest.limits import Refusal
from mailwright.ingest.segment import Parsed, Violated

FLUSH_S = 1.0
OWN_SOURCE = "mailwright"
"""Source of the events that tell of violations."""

BY_HAND = "cli"
"""Source of what somebody tells by a command."""

_MOST_LISTED = 50  # items not taken that a flush lists; the others are counted
_MOST_KEYS = 2_000  # distinct violations a day and process: names of events and fields come from outside
_QUOTED = re.compile(r"(['\"]).*\1")
_OTHERS = "(others)"

_log = logging.getLogger(__name__)
_Key = tuple[int, str, str, str, str]


@dataclass(slots=True)
class Counted:
    """What is to be told to Records."""

    tallies: list[Tally]
    violations: list[ViolationCount]
    not_taken: list[NotTaken]


class Counts:
    """Counts in memory. One thread at a time."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, CountKind, int], list[int]] = {}
        self._violations: dict[_Key, ViolationCount] = {}
        self._known: set[_Key] = set()
        self._day = -1
        self._listed: list[NotTaken] = []
        self.untold: dict[str, Counter[str]] = {}
        """Source -> its violations, by event and field, that no event of the log told."""

    def add(self, source: str, parsed: Parsed, now: Instant) -> None:
        """Count one request of a source."""
        refused, held = len(parsed.refused), len(parsed.held)
        tally = self._tally(source, "events", now)
        tally[0] += len(parsed.events)
        tally[1] += refused
        tally[2] += held - parsed.n_held_before  # a repeat does not wait twice
        if parsed.violations or refused or held:
            tally[3] += _n_dropped(parsed)
            self._add_faults(source, parsed, now)

    def add_others(
        self, source: str, kind: CountKind, accepted: int, now: Instant, refused: Sequence[Refusal] = ()
    ) -> None:
        """Count what is no event; of an item with several faults each is told, and it counts as refused once."""
        if not accepted and not refused:
            return
        tally = self._tally(source, kind, now)
        tally[0] += accepted
        tally[1] += len({one.index for one in refused})
        for refusal in refused[: _MOST_LISTED - len(self._listed)]:
            self._listed.append(replace(_not_taken(source, refusal, None, now), event=kind))

    def take(self) -> Counted:
        """All that was counted since the last; nothing is left but what is untold."""
        told = Counted([_tally(*one) for one in self._tallies.items()], list(self._violations.values()), self._listed)
        self._tallies, self._violations, self._listed = {}, {}, []
        return told

    def add_counts(self, other: Counts) -> None:
        """All that another counted, which has nothing left then."""
        told = other.take()
        self.put_back(told)
        self._listed += told.not_taken[: _MOST_LISTED - len(self._listed)]
        for source, counts in other.untold.items():
            self.untold.setdefault(source, Counter()).update(counts)
        other.untold = {}

    def put_back(self, told: Counted) -> None:
        """What was taken could not be told; of items not taken that were listed it is not worth while."""
        for one in told.tallies:
            tally = self._tallies.setdefault((one.source, one.kind, one.minute), [0, 0, 0, 0])
            for place, n in enumerate((one.accepted, one.refused, one.held, one.dropped)):
                tally[place] += n
        for count in told.violations:
            key = (count.day, count.source, count.event, count.field, count.kind)
            newer = self._violations.get(key)
            self._violations[key] = replace(newer, n=newer.n + count.n) if newer else count

    def _tally(self, source: str, kind: CountKind, at: Instant) -> list[int]:
        key = (source, kind, at // MINUTE)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = [0, 0, 0, 0]
        return tally

    def _add_faults(self, source: str, parsed: Parsed, now: Instant) -> None:
        masked = {one.index: one for one in reversed(parsed.violations)}
        for one in parsed.violations:
            self._add_violation(source, one, now)
        for refusal in parsed.refused[: _MOST_LISTED - len(self._listed)]:
            self._listed.append(_not_taken(source, refusal, masked.get(refusal.index), now))
        for held in parsed.held[: _MOST_LISTED - len(self._listed)]:
            refusal = held.warned[0] if held.warned else Refusal(held.index, "", "")
            self._listed.append(replace(_not_taken(source, refusal, masked.get(held.index), now), outcome="held"))

    def _add_violation(self, source: str, one: Violated, now: Instant) -> None:
        day = now // DAY
        if day != self._day:
            self._day = day
            self._known.clear()
        key = (day, source, one.event, one.field, one.kind)
        if key not in self._known and len(self._known) >= _MOST_KEYS:
            key = (day, source, _OTHERS, _OTHERS, one.kind)
        else:
            self._known.add(key)
        _, _, event, field, kind = key
        old = self._violations.get(key)
        self._violations[key] = ViolationCount(
            day=day,
            source=source,
            event=event,
            field=field,
            kind=kind,
            n=(old.n if old else 0) + 1,
            policy=one.policy,
            reason=one.reason,
            example=one.example,
            last_at=now,
        )
        self.untold.setdefault(source, Counter())[f"{event}: {field}"] += 1


class Collected:
    """Counts of one process. Safe to use from many threads; adding never waits for Records."""

    def __init__(
        self,
        records: SourceRecords,
        clock: Clock,
        log: EventLog | None = None,
        tells: Callable[[], bool] = lambda: False,
    ) -> None:
        """Count into `records`; where `tells` says so, ``Violation Generated`` events go to `log`."""
        self._records = records
        self._clock = clock
        self._log = log
        self._tells = tells
        self._lock = threading.Lock()
        self._counts = Counts()
        self._told_minute: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, source: str, parsed: Parsed) -> None:
        """Count one request of a source."""
        now = self._clock.now()
        with self._lock:
            self._counts.add(source, parsed, now)

    def add_others(self, source: str, kind: CountKind, accepted: int, refused: Sequence[Refusal] = ()) -> None:
        """Count what is no event."""
        now = self._clock.now()
        with self._lock:
            self._counts.add_others(source, kind, accepted, now, refused)

    def add_counts(self, counts: Counts) -> None:
        """All that was counted elsewhere."""
        with self._lock:
            self._counts.add_counts(counts)

    # --- to Records ---

    def flush(self) -> None:
        """Tell Records; what cannot be told now is told next time.

        Raises:
            MailwrightError: What Records or the log raised.
        """
        with self._lock:
            told = self._counts.take()
        try:
            if told.tallies or told.violations or told.not_taken:
                self._records.count(told.tallies, told.violations, told.not_taken)
        except MailwrightError:
            with self._lock:
                self._counts.put_back(told)
            raise
        self._tell()

    def _tell(self) -> None:
        """At most one event per source and minute, of all that was counted since the last."""
        untold = self._counts.untold
        if self._log is None or not self._tells():
            untold.clear()
            return
        now = self._clock.now()
        with self._lock:
            due = [source for source in untold if self._told_minute.get(source, -1) < now // MINUTE]
            told = {source: untold.pop(source) for source in due}
            self._told_minute |= dict.fromkeys(due, now // MINUTE)
        if told:
            self._log.append([Events([violation_event(source, n, now) for source, n in told.items()])], now)

    # --- by itself ---

    def start(self) -> None:
        """Flush every second in a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="collected", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Flush a last time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self.flush_or_log()
        self.flush_or_log()

    def flush_or_log(self) -> None:
        """`flush`; a failure goes to the log of the process."""
        try:
            self.flush()
        except MailwrightError as error:
            _log.warning("counts of sources wait: %s", error)


def _tally(key: tuple[str, CountKind, int], counts: list[int]) -> Tally:
    source, kind, minute = key
    accepted, refused, held, dropped = counts
    return Tally(
        source=source, kind=kind, minute=minute, accepted=accepted, refused=refused, held=held, dropped=dropped
    )


def _n_dropped(parsed: Parsed) -> int:
    """Fields that were left out of what was taken."""
    out = {one.index for one in parsed.refused} | {one.index for one in parsed.held}
    return sum(one.policy == "drop" and one.kind != "required" and one.index not in out for one in parsed.violations)


def _not_taken(source: str, refusal: Refusal, violated: Violated | None, now: Instant) -> NotTaken:
    """An item for the list: of what was sent it shows nothing."""
    if violated is not None and violated.field:
        event, field, reason = violated.event, violated.field, violated.reason
    else:
        event, field, reason = "", refusal.field[:200], _QUOTED.sub("...", refusal.reason)[:200]
    return NotTaken(at=now, source=source, event=event, outcome="refused", field=field, reason=reason)


def count_by_hand(records: SourceRecords, clock: Clock, kind: CountKind, n: int) -> None:
    """Count what a command told, as of the source ``cli``."""
    records.count([Tally(source=BY_HAND, minute=clock.now() // MINUTE, kind=kind, accepted=n)], [], [])


def violation_event(source: str, counts: Mapping[str, int], now: Instant, message_id: str = "") -> Event:
    """One event stands for all of a source's violations since the last; it has a message id of its minute."""
    most = max(counts, key=counts.__getitem__)
    return Event(
        message_id=message_id or f"violations-{source}-{now // MINUTE}",
        source=OWN_SOURCE,
        type="track",
        name="Violation Generated",
        stamp_at=now,
        received_at=now,
        known_at=now,
        identifiers=[Identifier("anonymous_id", f"{OWN_SOURCE}:source:{source}")],
        properties={"source": source, "violations": sum(counts.values()), "distinct": len(counts), "most": most},
    )
