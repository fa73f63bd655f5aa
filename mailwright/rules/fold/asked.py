"""What a rule reads of the live state, as its compiler met it."""

from __future__ import annotations

from dataclasses import dataclass, field

WindowKey = tuple[str, int]
"""A counted window: the key of its store and its length in microseconds."""


@dataclass(slots=True)
class Asked:
    """Leaves and segments that an expression reads itself; what those segments read is theirs.

    Attributes:
        stores: Keys of stores.
        windows: Counted windows of those stores: what leaves one is told at a tick.
        segments: Names of segments whose membership is asked.
        lists: Names of lists.
    """

    stores: set[str] = field(default_factory=set)
    windows: set[WindowKey] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)

    def add(self, other: Asked) -> None:
        """Join what another expression reads."""
        self.stores |= other.stores
        self.windows |= other.windows
        self.segments |= other.segments
        self.lists |= other.lists
