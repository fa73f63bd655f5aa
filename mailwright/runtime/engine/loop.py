"""The engine process: reads the log in order, folds, evaluates at ticks, answers reads between two micro-batches."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mailwright.core.errors import Conflict, Transient
from mailwright.core.events import (
    PLACES,
    Defined,
    Events,
    Installed,
    ListChanged,
    LogRecord,
    Offset,
    PeopleKeptApart,
    PeopleMerged,
    PersonSplit,
    Tick,
)
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import Blobs, Clock, EventLog, Records
from mailwright.rules.fold import Change
from mailwright.runtime.clock_watch import ClockWatch
from mailwright.runtime.engine import checkpoint
from mailwright.runtime.engine.backfill import Start
from mailwright.runtime.engine.effects import tick_commit
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.installer import Installer
from mailwright.runtime.engine.sql_segments import SqlSegments
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.engine.unwritten import Pending
from mailwright.runtime.project.in_force import IN_FORCE

_log = logging.getLogger(__name__)

FEW_EVENTS, MANY_EVENTS = 5_000, 20_000
"""Events per micro-batch, between which reads are answered: so many are aimed at."""

READ_LIMITS = (16, 1024)
"""Log records per micro-batch: at least and at most. A request may bring one event or 2,500."""

TICK_DELAY_S = 0.1
"""On the system clock a tick follows the first event since the last one after this many seconds."""

_TOUCHING = (Events, Defined, Installed, ListChanged, PeopleMerged, PeopleKeptApart, PersonSplit)
"""Records after which a tick has something to evaluate."""

IDLE_S = 0.01
RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the engine closes things, in seconds and events."""

    checkpoint_s: float
    checkpoint_events: int
    history_s: float


Read = Callable[[EngineState], Any]


class Engine:
    """One engine over one log. `append_ticks` is False on a virtual clock, whose driver appends them."""

    def __init__(
        self,
        *,
        log: EventLog,
        records: Records,
        history: HistoryWriter,
        blobs: Blobs,
        clock: Clock,
        append_ticks: bool,
        pace: Pace,
        backfill: Start,
        watch: ClockWatch | None = None,
        sql_segments: SqlSegments | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts.

        Args:
            log: The truth.
            records: What ticks set in motion goes there.
            history: Everything goes there.
            blobs: Checkpoints and the past of definitions.
            clock: The project's.
            append_ticks: Whether time is told to the log here.
            pace: How often what is closed.
            backfill: Starts the job that folds the past of a new definition.
            watch: Of the machine's clock: while it has jumped, no ticks are appended. None: nobody watches.
            steady: Seconds on a clock that never jumps; everything is paced by it.
            sql_segments: Runs the queries that are due at a tick. None: nobody does.
        """
        self._log = log
        self._records = records
        self._history = history
        self._blobs = blobs
        self._clock = clock
        self._append_ticks = append_ticks
        self._pace = pace
        self._watch = watch
        self._steady = steady
        self._installer = Installer(backfill, self._append_installed, steady)
        self._sql_segments = sql_segments
        self._checkpoints = checkpoint.CheckpointWriter(blobs, records.meta, held=history.offset)
        self._reads: queue.Queue[tuple[Read, Future[Any]]] = queue.Queue()
        self._limit = READ_LIMITS[0]
        self._touched_s: float | None = None
        self._tick_number = 0  # of the newest tick that was appended here
        self._due: Instant | None = None
        self._due_of = Offset(-1)  # the tick as of which `_due` is known
        self._dirty_history = False
        self._closed_s = self._saved_s = steady()
        self._saved_events = 0
        self._stopping = False
        self._was_at_end = False
        self._caught_up_at = Offset(2**62)
        self.state = EngineState(blobs.get, history.past_of)

    def ask(self, read: Read) -> Future[Any]:
        """Run `read` on the state between two micro-batches; from any thread.

        Until the state has caught up with the last committed tick there is no answer but Transient: what is decided
        on an older state than before would be wrong.
        """
        future: Future[Any] = Future()
        self._reads.put((read, future))
        return future

    def flush_history(self) -> None:
        """Wait until History holds everything folded so far; to be asked for by `ask`."""
        self._history.flush()
        self._dirty_history = False

    def pending_history(self) -> Pending:
        """What is folded and not in History yet; to be asked for by `ask`."""
        return self._history.pending()

    def stop(self) -> None:
        """End `run` after the present micro-batch."""
        self._stopping = True

    def run(self) -> None:
        """Recover, then follow the log until `stop`.

        Raises:
            Conflict: If another engine took over.
            Corrupt: If the log cannot be trusted.
        """
        self._recover()
        self._epoch = self._records.engine.take_over()
        self._applied = self._caught_up_at = self._records.engine.applied()
        try:
            while not self._stopping:
                try:
                    if not self._step():
                        self._idle()
                except Conflict:
                    raise
                except Transient as error:
                    _log.warning("paused: %s", error.message)
                    self._answer(RETRY_S)
        finally:
            self._installer.stop()
        self._history.stop()
        self._checkpoints.join()

    def _recover(self) -> None:
        """Load the newest checkpoint that History reaches: replaying from there misses no row."""
        if checkpoint.restore(self.state, self._blobs, self._records.meta, self._history.offset()):
            _log.info("checkpoint at record %d loaded", self.state.number)
        self._saved_events = self.state.n_events
        if self._watch:
            self._watch.compare(self._log.last()[1])

    def _step(self) -> bool:
        records = self._log.read(self.state.number, self._limit)
        n_before = self.state.n_events
        for record in records:
            if self._stopping:  # a tick whose effects could not be written must stay the last one folded
                break
            self._fold(record)
            self._answer(0)
        self._fit_limit(len(records), self.state.n_events - n_before)
        self._maybe_tick()
        self._see_to_definitions()
        return bool(records)

    def _fit_limit(self, n_records: int, n_events: int) -> None:
        """Read more records at a time where they are small."""
        low, high = READ_LIMITS
        if n_records == self._limit and n_events < FEW_EVENTS:
            self._limit = min(2 * self._limit, high)
        elif n_events > MANY_EVENTS:
            self._limit = max(self._limit // 2, low)

    def _fold(self, record: LogRecord) -> None:
        folded = Folded()
        changes = self.state.apply(record, folded)
        self._history.add(folded, self.state.upto)
        self._dirty_history = True
        if isinstance(record.body, Tick):
            self._touched_s = None
            self._see_to_sql_segments(record)  # before whoever drives a virtual clock sees the tick done
            self._take_effect(record, changes)
            self._maybe_checkpoint()
        elif self._touched_s is None and isinstance(record.body, _TOUCHING):
            self._touched_s = self._steady()
        if folded.definitions:
            self._close_history()  # a job waits for it
            self._tell_version()

    def _take_effect(self, tick: LogRecord, changes: Sequence[Change]) -> None:
        """Write a tick's effects, once; a full disk pauses the engine here, reads go on, and nothing is skipped."""
        while tick.offset > self._applied and not self._stopping:
            try:
                commit = tick_commit(self.state, self._records.engine, tick.offset, tick.at, changes)
                self._records.engine.commit_tick(self._epoch, commit)
                self._applied = tick.offset
            except Transient as error:
                _log.warning("paused at record %d: %s", tick.number, error.message)
                self._answer(RETRY_S)

    def _idle(self) -> None:
        self._was_at_end = True
        if self._dirty_history and self._steady() - self._closed_s > self._pace.history_s:
            self._close_history()
        self._answer(IDLE_S)

    def _close_history(self) -> threading.Event:
        self._dirty_history, self._closed_s = False, self._steady()
        return self._history.close_chunk()

    # --- time ---

    def _maybe_tick(self) -> None:
        """Append a tick that is due, unless the one before is still to be folded: the log may be ahead of us."""
        if not self._append_ticks or self._tick_number > self.state.number:
            return
        self.state.clock = self._watch.look() if self._watch else None
        if self.state.clock is None and self._tick_is_due():
            (self._tick_number,) = self._log.append([Tick()], self._clock.now())

    def _tick_is_due(self) -> bool:
        # By a clock that never jumps: one that was set back stands still, and nobody would be evaluated meanwhile.
        if self._touched_s is not None and self._steady() - self._touched_s >= TICK_DELAY_S:
            return True
        if self._due_of != self.state.tick_offset:
            self._due, self._due_of = self.state.fold.next_due(), self.state.tick_offset
        now = self._clock.now()
        return (self._due is not None and self._due <= now) or now - self.state.at >= MINUTE

    # --- definitions ---

    def _see_to_definitions(self) -> None:
        # Before the end of the log an `Installed` may lie ahead, written before a restart.
        self._installer.look(self.state.underway if self._was_at_end else None, self.state.number)
        self.state.installing = self._installer.status()

    def _see_to_sql_segments(self, tick: LogRecord) -> None:
        """What is due at a tick that is new: one read again after a restart was seen to before."""
        if self._sql_segments and tick.offset > self._caught_up_at:
            project = self.state.project
            self._sql_segments.tick(project.sql_segments, tick.number, tick.at, project.zone, self._close_history)

    def _tell_version(self) -> None:
        """Senders take the version that is in force here."""
        if self.state.upto > self._caught_up_at:
            self._records.meta.put(IN_FORCE, str(self.state.version))

    def _append_installed(self, body: Installed) -> int:
        (number,) = self._log.append([body], self._clock.now())
        return number

    # --- checkpoints ---

    def _maybe_checkpoint(self) -> None:
        enough = self.state.n_events - self._saved_events >= self._pace.checkpoint_events
        due = enough or self._steady() - self._saved_s >= self._pace.checkpoint_s
        if due and self.state.tick_offset <= self._applied and not self._checkpoints.busy:
            self._saved_s, self._saved_events = self._steady(), self.state.n_events
            self._checkpoints.start(self.state.freeze(), self._close_history())

    def _refuse_while_behind(self) -> None:
        if self.state.tick_offset < self._caught_up_at:
            done, whole = self.state.number, self._caught_up_at // PLACES
            raise Transient(
                "engine.recovering",
                f"the engine is reading its log again: record {done:,} of {whole:,}",
                "it answers when it has caught up; nothing is lost",
            )

    def _answer(self, wait_s: float) -> None:
        """Answer the waiting reads; with none, wait up to `wait_s` seconds for the first."""
        try:
            while True:
                read, future = self._reads.get(timeout=wait_s) if wait_s else self._reads.get_nowait()
                wait_s = 0
                if future.set_running_or_notify_cancel():
                    try:
                        self._refuse_while_behind()
                        future.set_result(read(self.state))
                    except Exception as error:  # noqa: BLE001 the asker gets it, the engine goes on
                        future.set_exception(error)
        except queue.Empty:
            return
