"""What the engine folded, written to History in closed chunks by a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mailwright.core.errors import Transient
from mailwright.core.events import Offset
from mailwright.core.ports import History
from mailwright.rules.fold.typed import Path, paths_of
from mailwright.runtime.engine import history_rows
from mailwright.runtime.engine.past_of import past_of
from mailwright.runtime.engine.rerun import TheirPast
from mailwright.runtime.engine.state import Folded
from mailwright.runtime.engine.unwritten import Pending
from mailwright.runtime.project.load import load_project

_PARTS = ("events", "items", "ticks", "changes", "belongings", "definitions", "records", "lists", "merges")


@dataclass(slots=True)
class _Chunk:
    """Rows that nobody adds to any more, up to an offset; `done` is set once their append was tried."""

    rows: Folded
    upto: Offset
    done: threading.Event


class HistoryWriter:
    """Collects folded rows and appends them in chunks; one writer, at its own pace behind the engine."""

    def __init__(self, history: History, *, chunk_rows: int = 50_000) -> None:
        self._history = history
        self._chunk_rows = chunk_rows
        self._open = Folded()
        self._upto = Offset(0)
        self._paths: dict[Path, None] | None = None
        self._queue: queue.Queue[_Chunk | None] = queue.Queue(maxsize=4)
        self._failed: Exception | None = None
        self._lock = threading.Lock()  # for these two, which change together
        self._closed: list[_Chunk] = []
        self._written = self.offset()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def offset(self) -> Offset:
        """What the events table holds; all tables are appended before it."""
        return self._history.offset("events")

    def add(self, folded: Folded, upto: Offset) -> None:
        """Take over the rows of one micro-batch; a full chunk goes to the thread."""
        for name in _PARTS:
            getattr(self._open, name).extend(getattr(folded, name))
        self._upto = upto
        if len(self._open.events) + len(self._open.items) + len(self._open.changes) >= self._chunk_rows:
            self.close_chunk()

    def close_chunk(self) -> threading.Event:
        """Hand the open rows to the thread; the event is set when they, and all before, are in History."""
        chunk = _Chunk(self._open, self._upto, threading.Event())
        with self._lock:
            self._closed.append(chunk)
        self._open = Folded()
        self._queue.put(chunk)
        return chunk.done

    def flush(self) -> None:
        """Wait until everything added so far is in History.

        Raises:
            Transient: If the last append failed; it is tried again with the next chunk.
        """
        self.close_chunk().wait()
        if self._failed is not None:
            raise Transient("history.append", f"History could not be written: {self._failed}") from self._failed

    def pending(self) -> Pending:
        """What was added and is not in History yet; called where rows are added."""
        open_rows = Folded(
            events=list(self._open.events), changes=list(self._open.changes), merges=list(self._open.merges)
        )
        with self._lock:
            closed, written = [chunk.rows for chunk in self._closed], self._written
        return Pending([*closed, open_rows], written)

    def past_of(self, identifiers: Sequence[str], before: Offset) -> TheirPast:
        """What happened to some identifiers, everything added so far being in History first; see `PastOf`.

        Raises:
            Transient: If History could not be written.
        """
        self.flush()
        return past_of(self._history, identifiers, before)

    def stop(self) -> None:
        """Write what is open and end the thread."""
        self.close_chunk()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: list[_Chunk] = []
        while (chunk := self._queue.get()) is not None:
            waiting.append(chunk)
            try:
                self._append(_joined(waiting), chunk.upto)
                written = self.offset()  # after a restart History may be ahead of what is folded again
            except Exception as error:  # noqa: BLE001 whatever the store raises, the rows are kept for the next try
                self._failed = error
            else:
                self._failed = None
                with self._lock:
                    self._written = written
                    del self._closed[: len(waiting)]
                waiting = []
            chunk.done.set()

    def _append(self, rows: Folded, upto: Offset) -> None:
        if rows.definitions:
            self._history.append("definitions", history_rows.definitions_table(rows.definitions), upto)
            self._learn(row[3] for row in rows.definitions)
        if rows.items:
            self._history.append("items", history_rows.items_table(rows.items), upto)
        if rows.ticks:
            self._history.append("ticks", history_rows.ticks_table(rows.ticks), upto)
        if rows.changes:
            self._history.append("transitions", history_rows.transitions_table(rows.changes), upto)
        if rows.belongings:
            self._history.append("belonging", history_rows.belonging_table(rows.belongings), upto)
        if rows.records:
            self._history.append("records", history_rows.records_table(rows.records), upto)
        if rows.merges:
            self._history.append("merges", history_rows.merges_table(rows.merges), upto)
        if rows.lists:
            self._history.append("lists", history_rows.lists_table(rows.lists), upto)
        # Also without rows: this table's offset says how far History goes, and comes last.
        self._history.append("events", history_rows.events_table(rows.events, self._paths_read()), upto)

    def _paths_read(self) -> Sequence[Path]:
        """The paths of events that get typed columns: all that any version read since the last before this start."""
        if self._paths is None:
            self._paths = {}
            if self._history.offset("definitions"):
                told = self._history.query('SELECT files FROM definitions WHERE files IS NOT NULL ORDER BY "offset"')
                newest = told["files"].to_pylist()[-1:]
                self._learn(msgspec.json.decode(files, type=dict[str, str]) for files in newest)
        return list(self._paths)

    def _learn(self, definitions: Iterable[Mapping[str, str] | None]) -> None:
        paths = self._paths if self._paths is not None else dict.fromkeys(self._paths_read())
        for files in definitions:
            if files is not None:
                paths.update(dict.fromkeys(paths_of(load_project(files).rules)))
        self._paths = paths


def _joined(chunks: Sequence[_Chunk]) -> Folded:
    if len(chunks) == 1:
        return chunks[0].rows
    rows = Folded()
    for chunk in chunks:
        for name in _PARTS:
            getattr(rows, name).extend(getattr(chunk.rows, name))
    return rows
