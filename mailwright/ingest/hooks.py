"""What a project says about incoming events, and what may have a word between the limits of the door and the log.

The order is fixed: an item within its limits -> `Normaliser` -> the tracking plan -> `Resolve` -> sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from mailwright.core.instants import Instant
from mailwright.ingest.identifiers import Naming, Seal
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.plan import TrackingPlan

Warn = Callable[[str, str], None]
"""Takes the dotted place of a field, such as ``traits.phone``, and what was done about it, in words."""

Resolve = Callable[[dict[str, Any]], dict[str, Any]]
"""Context with what is known besides (place, device, zone); its argument stays as it was, and may be what it returns.

Called once per distinct context of a request, with clear text, before sealing; equal contexts must give equal ones.
"""


MoneyPart = Literal["traits", "account_traits", "properties"]


class Declined(Exception):
    """A field for which the whole item is refused: its dotted place (empty: the item's own), and why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


class Normaliser(Protocol):
    """Brings names, units and ways of writing to the project's own, by declared rules.

    What a method returns may be the very object that it was given, which is never changed. The same arguments give the
    same result. A field that it leaves out or cannot read is told to `warn`; one that must not come in raises
    `Declined`. `zone` is the call's own ``context.timezone``, whatever was sent; `at` is when it happened, by whose day
    money is exchanged: None exchanges none.
    """

    def traits(
        self, source: str, traits: dict[str, Any], warn: Warn, zone: Any = None, at: Instant | None = None
    ) -> dict[str, Any]:
        """Traits of a person, as sent by the source of that name; their places begin with ``traits.``."""
        ...

    def account_traits(
        self, source: str, traits: dict[str, Any], warn: Warn, zone: Any = None, at: Instant | None = None
    ) -> dict[str, Any]:
        """Traits of an account, as told by a group call."""
        ...

    def properties(
        self,
        source: str,
        event: str,
        properties: dict[str, Any],
        warn: Warn,
        zone: Any = None,
        at: Instant | None = None,
    ) -> dict[str, Any]:
        """Properties of a track event; of a page or screen call, whose `event` is empty."""
        ...

    def without_secrets(self, source: str, call: dict[str, Any]) -> dict[str, Any]:
        """A decoded call without what is declared secret: for whoever keeps it as it was sent."""
        ...

    def sealing(self, seal: Seal) -> Seal:
        """`seal` with what the project declares as personal besides, hashing contacts by their declared form."""
        ...

    def money(self, part: MoneyPart) -> frozenset[str]:
        """Top-level amounts of a part, beside which it keeps what was sent: it lets nobody else write those fields."""
        ...

    def prepare(self) -> None:
        """Make now what the first call would else wait for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRules:
    """What a project says about incoming events, whatever brings them; made by `Project.ingest_rules`.

    Attributes:
        sealer: Seals what is personal everywhere, and hashes personal identifiers.
        plan: Checked before sealing.
        normaliser: Brings names and units of traits and properties to the project's own, before the plan sees them.
        naming: Blocked values of identifiers, external ids, their order.
        resolve: Adds to each context what is known besides, after the plan and before sealing.
        limits: Sizes.
        seal: `sealer`, with what the project declares as personal besides.
    """

    sealer: Seal
    plan: TrackingPlan = field(default_factory=TrackingPlan)
    normaliser: Normaliser | None = None
    naming: Naming | None = None
    resolve: Resolve | None = None
    limits: Limits = LIMITS
    seal: Seal = field(init=False)

    def money(self, part: MoneyPart) -> frozenset[str]:
        """Top-level amounts of a part, beside which the normaliser keeps what was sent; none without one."""
        return self.normaliser.money(part) if self.normaliser else frozenset()

    def __post_init__(self) -> None:
        """Let the project's own personal fields be sealed too."""
        seal = self.normaliser.sealing(self.sealer) if self.normaliser else self.sealer
        object.__setattr__(self, "seal", seal)


_MAX_CONTEXTS = 64


class Contexts:
    """Resolves contexts, each distinct one of a request once."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: dict[bytes, dict[str, Any]] = {}

    def resolved(self, context: dict[str, Any]) -> dict[str, Any]:
        """The context with what is known besides; not to be changed."""
        key = msgspec.json.encode(context)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MAX_CONTEXTS:
                self._known.clear()
            found = self._known[key] = self._resolve(context)
        return found
