"""The engine process: reads the log in order, folds, evaluates at ticks, answers reads between two micro-batches."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mailwright.core.errors import Conflict, Transient
from mailwright.core.events import PLACES, LogRecord, Offset, Tick
from mailwright.core.instants import MINUTE, SECOND, Instant
from mailwright.core.ports import Blobs, Clock, EventLog, Records
from mailwright.rules.fold import Change
from mailwright.runtime.engine import checkpoint
from mailwright.runtime.engine.effects import tick_commit
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded

_log = logging.getLogger(__name__)

READ_LIMIT = 16
"""Log records per micro-batch: at most 40,000 events, between which reads are answered."""

TICK_DELAY = SECOND // 10
"""On the system clock a tick follows the first event since the last one after this many microseconds."""

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
        wall: Clock,
        append_ticks: bool,
        pace: Pace,
    ) -> None:
        self._log = log
        self._records = records
        self._history = history
        self._blobs = blobs
        self._clock = clock
        self._wall = wall
        self._append_ticks = append_ticks
        self._pace = pace
        self._reads: queue.Queue[tuple[Read, Future[Any]]] = queue.Queue()
        self._first_event_at: Instant | None = None
        self._dirty_history = False
        self._closed_at = wall.now()
        self._saved_at = wall.now()
        self._saved_events = 0
        self._stopping = False
        self._caught_up_at = Offset(2**62)
        self.state = EngineState(self._replay)

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
        while not self._stopping:
            try:
                if not self._step():
                    self._idle()
            except Conflict:
                raise
            except Transient as error:
                _log.warning("paused: %s", error.message)
                self._answer(RETRY_S)
        self._history.stop()

    def _recover(self) -> None:
        """Load the newest checkpoint; History was flushed before each, so replaying from there misses no row."""
        if checkpoint.restore(self.state, self._blobs, self._records.meta):
            _log.info("checkpoint at record %d loaded", self.state.number)
        self._saved_events = self.state.n_events

    def _replay(self, before: int) -> Iterator[LogRecord]:
        number = 0
        while chunk := [r for r in self._log.read(number, READ_LIMIT) if r.number < before]:
            yield from chunk
            number = chunk[-1].number

    def _step(self) -> bool:
        records = self._log.read(self.state.number, READ_LIMIT)
        for record in records:
            if self._stopping:  # a tick whose effects could not be written must stay the last one folded
                break
            self._fold(record)
            self._answer(0)
        return bool(records)

    def _fold(self, record: LogRecord) -> None:
        folded = Folded()
        changes = self.state.apply(record, folded)
        self._history.add(folded, self.state.upto)
        self._dirty_history = True
        if isinstance(record.body, Tick):
            self._first_event_at = None
            self._take_effect(record, changes)
            self._maybe_checkpoint()
        elif folded.events and self._first_event_at is None:
            self._first_event_at = self._clock.now()

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
        now = self._wall.now()
        if self._append_ticks and self._tick_is_due():
            self._log.append([Tick()], self._clock.now())
            return
        if self._dirty_history and now - self._closed_at > self._pace.history_s * SECOND:
            self._history.close_chunk()
            self._dirty_history, self._closed_at = False, now
        self._answer(IDLE_S)

    def _tick_is_due(self) -> bool:
        now = self._clock.now()
        if self._first_event_at is not None and now - self._first_event_at >= TICK_DELAY:
            return True
        due = self.state.fold.next_due()
        return (due is not None and due <= now) or now - self.state.at >= MINUTE

    def _maybe_checkpoint(self) -> None:
        now = self._wall.now()
        enough = self.state.n_events - self._saved_events >= self._pace.checkpoint_events
        due = enough or now - self._saved_at >= self._pace.checkpoint_s * SECOND
        if due and self.state.tick_offset <= self._applied:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Flush History, then write a checkpoint of the state as it is now, which must be at a tick."""
        self._history.flush()
        checkpoint.save(self.state, self._blobs, self._records.meta)
        self._saved_at, self._saved_events = self._wall.now(), self.state.n_events
        _log.info("checkpoint at record %d written", self.state.number)

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
