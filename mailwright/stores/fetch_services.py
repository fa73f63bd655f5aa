"""What is kept per service that is asked: its budget, its circuit breaker, its last answers."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mailwright.core.errors import Transient
from mailwright.core.fetching import FetchAnswer, ServiceHealth, ServiceState
from mailwright.core.instants import MINUTE, SECOND, Instant

FAILURES = 5
"""Failures in a row after which a service is left alone."""

_FIRST_PAUSE, _LONGEST_PAUSE = 30 * SECOND, 10 * MINUTE
_LONGEST_ASKED = 60 * MINUTE  # a Retry-After that asks for more is not believed
_CACHE_BYTES = 16_000_000


@dataclass(slots=True)
class _Service:
    asked: deque[int] = field(default_factory=deque)
    failures: int = 0
    pause: int = _FIRST_PAUSE
    until: int = 0
    probing: bool = False
    why: str = ""


class Services:
    """Budgets and breakers by service name. Safe to use from many threads. Times are of the machine's clock."""

    def __init__(self, now: Callable[[], Instant], on_change: Callable[[ServiceHealth], None] = lambda _: None) -> None:
        """`on_change` is told whenever a service's state changes, outside of any lock."""
        self._now = now
        self._on_change = on_change
        self._lock = threading.Lock()
        self._services: dict[str, _Service] = {}

    def begin(self, name: str, per_minute: int) -> None:
        """Take one question from the budget.

        Raises:
            Transient: ``fetch.paused``, ``fetch.budget``.
        """
        with self._lock:
            now, service = self._now(), self._services.setdefault(name, _Service())
            if service.until > now or (service.until and service.probing):
                seconds = max(1, (service.until - now) // SECOND)
                message = f"{name} is left alone for {seconds} s after {service.failures} failures: {service.why}"
                raise Transient("fetch.paused", message, "it is asked again by itself")
            while service.asked and service.asked[0] <= now - MINUTE:
                service.asked.popleft()
            if len(service.asked) >= per_minute:
                message = f"{name} was asked {per_minute} times in the last minute, which is its budget"
                raise Transient("fetch.budget", message, "it is asked again by itself; raise per_minute for more")
            service.asked.append(now)
            service.probing = bool(service.until)  # after a pause one question goes first, alone

    def answered(self, name: str) -> None:
        """It did well."""
        with self._lock:
            service = self._services[name]
            changed = service.failures > 0
            service.failures, service.until, service.pause = 0, 0, _FIRST_PAUSE
            service.probing, service.why = False, ""
        if changed:
            self._on_change(self.health(name))

    def failed(self, name: str, why: str, retry_after_s: float | None = None) -> None:
        """It failed; `retry_after_s` is what it asked for itself."""
        with self._lock:
            service, now = self._services[name], self._now()
            service.failures += 1
            service.why = why
            if retry_after_s is not None:
                service.until = now + min(max(int(retry_after_s * SECOND), SECOND), _LONGEST_ASKED)
            elif service.probing or service.failures >= FAILURES:
                service.until = now + service.pause
                service.pause = min(2 * service.pause, _LONGEST_PAUSE)
            service.probing = False
        self._on_change(self.health(name))

    def no_answer_to_judge(self, name: str) -> None:
        """The question was at fault, or the answer too large: that says nothing of how the service does."""
        with self._lock:
            self._services[name].probing = False

    def health(self, name: str) -> ServiceHealth:
        """How it does; one that was never asked does well."""
        with self._lock:
            service = self._services.get(name, _Service())
            state: ServiceState = "paused" if service.until else "failing" if service.failures else "well"
            until = Instant(service.until) if service.until else None
            return ServiceHealth(service=name, state=state, failures=service.failures, until=until, why=service.why)


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
