"""A question to a service outside, and its answer. See `mailwright.core.ports.Fetch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mailwright.core.instants import Instant

ServiceState = Literal["well", "failing", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """One question.

    Attributes:
        service: Whose budget, circuit breaker and cache it is: the name of a lookup, a feed, an alert.
        url: ``http`` or ``https``. Neither its path nor its query is ever logged: both may hold an address or a key.
        body: Empty for GET.
        timeout_s: Seconds for all of it: name, connection, redirects, the last byte.
        max_bytes: Most bytes of the body, as sent and as unpacked.
        per_minute: Most questions to the service in any 60 seconds, of all processes of the installation together; None
            takes the number of its settings.
        fresh_s: An answer (2xx) at most so old is given again without asking; 0 never. GET only.
        stale_s: How old an answer is still given when the service cannot be asked; 0 never.
    """

    service: str
    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout_s: float = 10.0
    max_bytes: int = 1_000_000
    per_minute: int | None = None
    fresh_s: float = 0
    stale_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAnswer:
    """What the service said, whatever its status.

    Attributes:
        headers: Names in lower case; of several of a name, joined by commas.
        at: When it was said, by the machine's clock.
        age_s: Seconds since then; 0 for an answer just given.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: Instant
    from_cache: bool = False
    age_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealth:
    """How a service does.

    Attributes:
        failures: In a row.
        until: While ``paused``: when it is asked again, by the machine's clock.
        why: Of the last failure; empty if there was none since it last answered.
    """

    service: str
    state: ServiceState
    failures: int = 0
    until: Instant | None = None
    why: str = ""
