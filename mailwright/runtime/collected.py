"""What the sources bring, counted in memory and told to Records in small batches: no event costs a write of its own."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from mailwright.core.errors import MailwrightError
from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import DAY, MINUTE, Instant
from mailwright.core.ports import Clock, EventLog
from mailwright.core.sources import NotTaken, SourceRecords, Tally, ViolationCount
from mailwright.ingest.limits import Refusal
from mailwright.ingest.segment import Parsed, Violated

FLUSH_S = 1.0
OWN_SOURCE = "mailwright"
"""Source of the events that tell of violations."""

_MOST_LISTED = 50  # items not taken that a flush lists; the others are counted
_MOST_KEYS = 2_000  # distinct violations a day and process: names of events and fields come from outside
_QUOTED = re.compile(r"(['\"]).*\1")
_OTHERS = "(others)"

_log = logging.getLogger(__name__)
_Key = tuple[int, str, str, str, str]


class Collected:
    """Counts of one process. Safe to use from many threads; `add` never waits for Records."""

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
        self._tallies: dict[tuple[str, int], list[int]] = {}
        self._violations: dict[_Key, ViolationCount] = {}
        self._known: set[_Key] = set()
        self._day = -1
        self._listed: list[NotTaken] = []
        self._untold: dict[str, Counter[str]] = {}
        self._told_minute: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, source: str, parsed: Parsed) -> None:
        """Count one request of a source."""
        now = self._clock.now()
        minute = now // MINUTE
        n, refused, held = len(parsed.events), len(parsed.refused), len(parsed.held)
        with self._lock:
            tally = self._tallies.get((source, minute))
            if tally is None:
                tally = self._tallies[source, minute] = [0, 0, 0]
            tally[0] += n
            tally[1] += refused
            tally[2] += held
            if parsed.violations or refused or held:
                self._add_faults(source, parsed, now)

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
        self._untold.setdefault(source, Counter())[f"{event}: {field}"] += 1

    # --- to Records ---

    def flush(self) -> None:
        """Tell Records; what cannot be told now is told next time.

        Raises:
            MailwrightError: What Records or the log raised.
        """
        with self._lock:
            tallies, violations, listed = self._tallies, self._violations, self._listed
            self._tallies, self._violations, self._listed = {}, {}, []
        try:
            if tallies or violations or listed:
                self._records.count([_tally(*one) for one in tallies.items()], list(violations.values()), listed)
        except MailwrightError:
            self._put_back(tallies, violations)
            raise
        self._tell()

    def _put_back(self, tallies: dict[tuple[str, int], list[int]], violations: dict[_Key, ViolationCount]) -> None:
        with self._lock:
            for key, one in tallies.items():
                new = self._tallies.get(key, [0, 0, 0])
                self._tallies[key] = [a + b for a, b in zip(new, one, strict=True)]
            for place, count in violations.items():
                newer = self._violations.get(place)
                self._violations[place] = replace(newer, n=newer.n + count.n) if newer else count

    def _tell(self) -> None:
        """At most one event per source and minute, of all that was counted since the last."""
        if self._log is None or not self._tells():
            self._untold.clear()
            return
        now = self._clock.now()
        with self._lock:
            due = [source for source in self._untold if self._told_minute.get(source, -1) < now // MINUTE]
            told = {source: self._untold.pop(source) for source in due}
            self._told_minute |= dict.fromkeys(due, now // MINUTE)
        if told:
            self._log.append([Events([_violation_event(source, n, now) for source, n in told.items()])], now)

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


def _tally(key: tuple[str, int], counts: list[int]) -> Tally:
    source, minute = key
    accepted, refused, held = counts
    return Tally(source=source, minute=minute, accepted=accepted, refused=refused, held=held)


def _not_taken(source: str, refusal: Refusal, violated: Violated | None, now: Instant) -> NotTaken:
    """An item for the list: of what was sent it shows nothing."""
    if violated is not None and violated.field:
        event, field, reason = violated.event, violated.field, violated.reason
    else:
        event, field, reason = "", refusal.field[:200], _QUOTED.sub("...", refusal.reason)[:200]
    return NotTaken(at=now, source=source, event=event, outcome="refused", field=field, reason=reason)


def _violation_event(source: str, counts: Counter[str], now: Instant) -> Event:
    """One event stands for all of a source's violations since the last."""
    most, _ = counts.most_common(1)[0]
    return Event(
        message_id=f"violations-{source}-{now // MINUTE}",
        source=OWN_SOURCE,
        type="track",
        name="Violation Generated",
        stamp_at=now,
        received_at=now,
        known_at=now,
        identifiers=[Identifier("anonymous_id", f"{OWN_SOURCE}:source:{source}")],
        properties={"source": source, "violations": counts.total(), "distinct": len(counts), "most": most},
    )
