"""Previews of rules whose leaves nobody keeps live, from History: estimates here, exact figures in a child process.

The child has low priority and ends with us: folding all of History must not stand in the way of what is live.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

import numpy as np

from mailwright.core.errors import MailwrightError, Permanent
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import Clock, EngineReads, History
from mailwright.core.previews import Preview
from mailwright.rules.fold import Rules
from mailwright.rules.fold.rows import Bools
from mailwright.rules.syntax import Expression
from mailwright.runtime.engine.socket import EngineClient
from mailwright.runtime.graphs import Graph
from mailwright.runtime.past import Past
from mailwright.runtime.previews import estimate, exactly
from mailwright.stores.history_delta import DeltaHistory

GRAPH_MICROS = MINUTE
"""How long the people of an estimate are kept: reading them takes longer than the estimate."""

EVERYBODY = 2**31
POLL_S = 0.1
NICE = 10


class PastPreviews:
    """`mailwright.web.rule_previews.Folding` over one installation's History; safe to use from many threads."""

    def __init__(
        self, history: History, folder: Path, engine: EngineClient, wall: Clock, rules: Callable[[], Rules]
    ) -> None:
        """Answer for the rules in force.

        Args:
            history: What happened.
            folder: Where `history` lies, for the child.
            engine: Whose last tick is the instant of every answer.
            wall: The machine's clock.
            rules: The attributes, segments and lists that a rule may name, asked anew each time.
        """
        self._history = history
        self._folder = folder
        self._engine = engine
        self._wall = wall
        self._rules = rules
        self._lock = Lock()
        self._read: tuple[Instant, Past, Graph] | None = None

    def estimate(self, rule: Expression, against: str | None, limit: int) -> Preview:
        """From a sample of the people, as of History's newest chunk at most a minute ago."""
        past, graph = self._people()
        at = self._engine.status().at
        return estimate(past, graph, self._rules(), rule, at, before=members(self._engine, against), limit=limit)

    def _people(self) -> tuple[Past, Graph]:
        with self._lock:
            now = self._wall.now()
            if self._read is None or now - self._read[0] > GRAPH_MICROS:
                past = Past(self._history)
                self._read = (now, past, past.graph_at(past.upto))
            return self._read[1:]

    def exact(self, rule: Expression, against: str | None, limit: int, stopped: Callable[[], bool]) -> Preview:
        """From everybody and everything up to the engine's last tick.

        Raises:
            Transient: If the engine does not answer.
            Permanent: ``preview.stopped``, if it was stopped, or ended by itself.
        """
        self._engine.flush_history()
        at = self._engine.status().at
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        question = (self._folder, self._rules(), rule, at, members(self._engine, against), limit)
        child = context.Process(target=_answer, args=(theirs, question), name="preview", daemon=True)
        child.start()
        theirs.close()
        try:
            while not stopped():
                if ours.poll(POLL_S):
                    return _received(ours)
        finally:
            child.kill()
            child.join()
            ours.close()
        raise Permanent("preview.stopped", "nobody waited for this preview any more")


Question = tuple[Path, Rules, Expression, Instant, Bools | None, int]


def members(engine: EngineReads, segment: str | None) -> Bools | None:
    """By person, who is in a segment now; nobody in one that is not in force; None for None."""
    if segment is None:
        return None
    found = np.array(engine.members(segment, None, EVERYBODY) if segment in engine.status().segments else [], np.int64)
    inside = np.zeros(int(found.max(initial=-1)) + 1, dtype=bool)
    inside[found] = True
    return inside


def fold_everybody(history: History, question: Question) -> Preview:
    """The exact answer, in this process."""
    _, rules, rule, at, before, limit = question
    past = Past(history)
    return exactly(past, past.graph_at(past.upto), rules, rule, at, before=before, limit=limit)


def _answer(pipe: Connection, question: Question) -> None:
    """The child's side."""
    os.nice(NICE)
    try:
        pipe.send(fold_everybody(DeltaHistory(question[0]), question))
    except MailwrightError as error:
        pipe.send(f"{error.message}")
    except Exception as error:  # noqa: BLE001 the asker is told, whatever it is
        pipe.send(f"{type(error).__name__}: {error}")


def _received(pipe: Connection) -> Preview:
    try:
        told = pipe.recv()
    except EOFError:
        told = "the process that counted ended before it was done"
    if isinstance(told, Preview):
        return told
    raise Permanent("preview.failed", str(told))
