"""One request while its items are read: what holds for all of them, and what is told of them by and by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailwright.core.instants import Instant
from mailwright.ingest.hooks import Contexts, Declined, IngestRules
from mailwright.ingest.identifiers import Source
from mailwright.ingest.limits import Refusal
from mailwright.ingest.parsed import Held, Violated
from mailwright.ingest.schemas import Hints


@dataclass(slots=True, kw_only=True)
class Reading:
    """A request while it is read.

    Attributes:
        new_id: Gives a new unique message id for a call that has none.
        history: Events count from their own stamp, and stamps are taken as sent.
        imported: A server sent it to ``/v1/import``.
        keeps_held: Whoever asked keeps what the plan puts into quarantine; without that it is refused.
        context: What each item's own context is added to.
        sent_at: The batch's, for items that have none of their own.
        contexts: Resolves contexts; None if nothing is known besides what calls say.
        index: Of the item that is read now.
        holding: Why that item is held back; empty: it is not.
    """

    rules: IngestRules
    source: Source
    received_at: Instant
    new_id: Callable[[], str]
    history: bool = False
    imported: bool = False
    keeps_held: bool = False
    context: dict[str, Any] = field(default_factory=dict)
    sent_at: Instant | None = None
    contexts: Contexts | None = field(init=False)
    index: int = 0
    warned: list[Refusal] = field(default_factory=list)
    holding: list[Refusal] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    violations: list[Violated] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)

    def __post_init__(self) -> None:
        """Resolve each distinct context once for the whole request."""
        self.contexts = Contexts(self.rules.resolve) if self.rules.resolve else None

    def warn(self, place: str, reason: str) -> None:
        """Tell of a field of this item that it was left out, or could not be used."""
        self.warned.append(Refusal(self.index, place, reason))

    def text(self, value: str | int | None, place: str) -> str:
        """A short text, trimmed; an id may be sent as a number.

        Raises:
            Declined: If it is too long.
        """
        text = "" if value is None else str(value).strip()
        if len(text) > self.rules.limits.id_chars:
            raise Declined(place, f"it has {len(text)} characters, at most {self.rules.limits.id_chars} are taken")
        return text
