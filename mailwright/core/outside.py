"""What is kept about those outside: deliveries of webhooks, and what was asked of services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailwright.core.instants import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTally:
    """How often a webhook was called and what came of it.

    Attributes:
        received: Genuine deliveries, repetitions included.
        accepted: Events, consents, suppressions and items that were taken.
        refused: Ones that were not.
        ignored: Deliveries that no template asked for anything of.
        replayed: Deliveries that had come before.
        last_at: When the newest came.
        last_fault: Why the newest thing was refused or a delivery ignored, without anything personal.
    """

    received: int = 0
    accepted: int = 0
    refused: int = 0
    ignored: int = 0
    replayed: int = 0
    last_at: Instant = field(default=Instant(0))
    last_fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupAnswer:
    """The newest answer of a service to one question.

    Attributes:
        at: When it was asked, by the machine's clock.
        found: False if the service knows nothing.
        values: What is used of the answer; empty where that is personal, for then it lies sealed in the log alone.
        digest: Of what is used of the answer: an equal one says nothing new.
    """

    at: Instant
    found: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
