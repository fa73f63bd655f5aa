"""What is kept per service that is asked: its budget, its circuit breaker, its last answers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from mailwright.core.errors import Transient
from mailwright.core.fetching import FetchAnswer, ServiceHealth
from mailwright.core.fetching import ServiceState as Health
from mailwright.core.instants import MINUTE, SECOND, Instant
from mailwright.stores.fetch_states import ServiceState, ServiceStates, StatesInFolder, StatesInMemory

FAILURES = 5
"""Failures in a row after which a service is left alone."""

_FIRST_PAUSE, _LONGEST_PAUSE = 30 * SECOND, 10 * MINUTE
_LONGEST_ASKED = 60 * MINUTE  # a Retry-After that asks for more is not believed
_PROBE = MINUTE  # its process may die
_CACHE_BYTES = 16_000_000


class Services:
    """Budgets and breakers by service name. Safe to use from many threads. Times are of the machine's clock.

    Processes that share a folder share both: a declared budget is that of the installation, a service that asked one
    process for a pause is left alone by all, and neither is forgotten when a process dies.
    """

    def __init__(
        self,
        now: Callable[[], Instant],
        on_change: Callable[[ServiceHealth], None] = lambda _: None,
        folder: Path | None = None,
    ) -> None:
        """Keep states in `folder`, or else in memory; `on_change` is told of changes, outside of any lock."""
        self._now = now
        self._on_change = on_change
        self._states: ServiceStates = StatesInFolder(folder) if folder else StatesInMemory()

    def begin(self, name: str, per_minute: int) -> None:
        """Take one question from the budget.

        Raises:
            Transient: ``fetch.paused``, ``fetch.budget``; ``fetch.failed`` if that cannot be kept.
        """
        try:
            with self._states.change(name) as state:
                self._begin(name, state, per_minute)
        except OSError as error:
            message = f"{name} is not asked, for its budget cannot be kept: {error.strerror}"
            raise Transient("fetch.failed", message, "make room in the data folder") from error

    def _begin(self, name: str, state: ServiceState, per_minute: int) -> None:
        now = self._now()
        if state.until > now + _LONGEST_ASKED:  # the machine's clock was set back since
            state.until = now
        if state.until > now or (state.until and now < state.probe_until <= now + _PROBE):
            seconds = max(1, (state.until - now) // SECOND)
            message = f"{name} is left alone for {seconds} s after {state.failures} failures: {state.why}"
            raise Transient("fetch.paused", message, "it is asked again by itself")
        asked = state.asked_since(now - MINUTE, now + MINUTE)
        if len(asked) >= per_minute:
            message = f"{name} was asked {per_minute} times in the last minute, which is its budget"
            raise Transient("fetch.budget", message, "it is asked again by itself; raise per_minute for more")
        asked.append(now)
        state.asked = asked.tobytes()
        state.probe_until = now + _PROBE if state.until else 0  # after a pause one question goes first, alone

    def answered(self, name: str) -> None:
        """It did well."""
        changed = False  # also if its state cannot be opened
        with suppress(OSError), self._states.change(name) as state:
            changed = state.failures > 0
            state.failures = state.until = state.pause = state.probe_until = 0
            state.why = ""
        if changed:
            self._on_change(self.health(name))

    def failed(self, name: str, why: str, retry_after_s: float | None = None) -> None:
        """It failed; `retry_after_s` is what it asked for itself."""
        with suppress(OSError), self._states.change(name) as state:
            now, probing = self._now(), state.probe_until > 0
            state.failures += 1
            state.why = why
            state.probe_until = 0
            if retry_after_s is not None:
                state.until = now + min(max(int(retry_after_s * SECOND), SECOND), _LONGEST_ASKED)
            elif probing or state.failures >= FAILURES:
                state.until = now + (state.pause or _FIRST_PAUSE)
                state.pause = min(2 * (state.pause or _FIRST_PAUSE), _LONGEST_PAUSE)
        self._on_change(self.health(name))

    def no_answer_to_judge(self, name: str) -> None:
        """The question was at fault, or the answer too large: that says nothing of how the service does."""
        with suppress(OSError), self._states.change(name) as state:
            state.probe_until = 0

    def health(self, name: str) -> ServiceHealth:
        """How it does; one that was never asked does well."""
        known = ServiceState()
        with suppress(OSError), self._states.change(name) as state:
            known = msgspec.structs.replace(state)
        kind: Health = "paused" if known.until else "failing" if known.failures else "well"
        until = Instant(known.until) if known.until else None
        return ServiceHealth(service=name, state=kind, failures=known.failures, until=until, why=known.why)


class AnswerCache:
    """Answers by request, the least used thrown out first. In memory alone: it dies with its process."""

    def __init__(self, max_bytes: int = _CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, FetchAnswer] = OrderedDict()

    def find(self, key: str, now: Instant, max_age_s: float) -> FetchAnswer | None:
        """An answer at most so old."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None or now - answer.at > max_age_s * SECOND:
                return None
            self._answers.move_to_end(key)
        return replace(answer, from_cache=True, age_s=max(0, now - answer.at) / SECOND)

    def keep(self, key: str, answer: FetchAnswer) -> None:
        """Remember an answer; one larger than the cache is not."""
        with self._lock:
            old = self._answers.pop(key, None)
            self._bytes -= len(old.body) if old else 0
            if len(answer.body) > self._max_bytes:
                return
            self._answers[key] = answer
            self._bytes += len(answer.body)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._answers.popitem(last=False)[1].body)
