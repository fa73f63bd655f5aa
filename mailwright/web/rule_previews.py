"""Rules that somebody tries out: told at once from the live leaves, else estimated first and folded after that.

What is folded is kept under an id for a while, so that a second call gets the exact figures. One at a time is folded,
since it may read all of History.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from mailwright.core.errors import NotFound
from mailwright.core.ports import EngineReads
from mailwright.core.previews import Preview
from mailwright.rules.syntax import Expression, to_json

KEPT = 64
"""Previews that are being folded or whose figures are kept; the oldest goes when another comes."""

ESTIMATE_S = 1.0
"""How long the first answer waits for an estimate."""


class Folding(Protocol):
    """What answers for a rule whose leaves are not kept live: from History, without the engine."""

    def estimate(self, rule: Expression, against: str | None, limit: int) -> Preview:
        """From a sample of the people, with intervals; quick."""
        ...

    def exact(self, rule: Expression, against: str | None, limit: int, stopped: Callable[[], bool]) -> Preview:
        """From everybody; may take long, and ends early if `stopped`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The best that is known now. `id` asks for more; empty if it is final."""

    preview: Preview
    id: str = ""


@dataclass(slots=True, kw_only=True)
class _Job:
    best: Preview
    estimated: Future[Preview]
    folded: Future[Preview]
    stop: threading.Event = field(default_factory=threading.Event)


class RulePreviews:
    """The previews of one door; safe to use from many threads."""

    def __init__(self, engine: EngineReads, folding: Folding | None = None) -> None:
        self._engine = engine
        self._folding = folding
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._lock = threading.Lock()
        self._quick = ThreadPoolExecutor(1, "preview-estimate")
        self._slow = ThreadPoolExecutor(1, "preview-fold")

    def ask(self, rule: Expression, against: str | None, limit: int) -> Told:
        """The exact figures if the leaves are live, else an estimate if one is to be had within `ESTIMATE_S`.

        Raises:
            InvalidInput: If the rule names what does not exist.
            UnsupportedRule: If it cannot be kept live.
        """
        preview = self._engine.preview(to_json(rule), against, limit)
        if preview.exact or self._folding is None:
            return Told(preview=preview)
        folding, stop = self._folding, threading.Event()
        job = _Job(
            best=preview,
            estimated=self._quick.submit(folding.estimate, rule, against, limit),
            folded=self._slow.submit(folding.exact, rule, against, limit, stop.is_set),
            stop=stop,
        )
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._jobs[name] = job
            while len(self._jobs) > KEPT:
                self._end(self._jobs.popitem(last=False)[1])
        _wait(job.estimated, ESTIMATE_S)
        return _told(name, job)

    def again(self, name: str, wait_s: float) -> Told:
        """What is known now of a preview; waits up to `wait_s` seconds for the exact figures.

        Raises:
            NotFound: ``preview.unknown``, also when it was long ago.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise NotFound("preview.unknown", "there is no such preview any more", "ask for the rule's preview again")
        _wait(job.folded, wait_s)
        return _told(name, job)

    def forget(self, name: str) -> None:
        """Stop folding: nobody waits any more. None of that name is no error."""
        with self._lock:
            job = self._jobs.pop(name, None)
        if job is not None:
            self._end(job)

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            self._end(job)
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _end(job: _Job) -> None:
        job.stop.set()
        job.folded.cancel()
        job.estimated.cancel()


def _wait(future: Future[Preview], seconds: float) -> None:
    try:
        future.exception(timeout=seconds)
    except TimeoutError:
        return


def _told(name: str, job: _Job) -> Told:
    """The best of a job; what went wrong while folding is raised here."""
    if job.folded.done() and not job.folded.cancelled():
        return Told(preview=job.folded.result())
    if job.estimated.done() and not job.estimated.cancelled() and job.estimated.exception() is None:
        return Told(preview=job.estimated.result(), id=name)
    return Told(preview=job.best, id=name)
