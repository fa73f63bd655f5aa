"""What is known of rows of declared imports that programs post: see `mailwright.runtime.imports.posted`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedRow:
    """A row as it was noted last.

    Attributes:
        key: Its key, hashed with the installation's own key.
        turn: How often it was noted, from 1 on.
        position: Of its newest change among all changes of its database, 63 bits; 0 where rows have no order.
        digest: Of what it said, hashed like the key; empty: it is gone.
        kept: What its end will need, addresses sealed; empty for nothing.
    """

    key: str
    turn: int
    position: int
    digest: str
    kept: bytes


class PostedRecords(Protocol):
    """The rows that are known of each declared import that programs post to."""

    def known(self, name: str, keys: Collection[str]) -> dict[str, PostedRow]:
        """Key -> row, of those keys that import `name` knows."""
        ...

    def note(self, name: str, rows: Sequence[PostedRow]) -> None:
        """Keep rows of import `name` in the place of what was known of them; each key stands in `rows` once.

        Raises:
            Transient: ``posted.raced``: somebody else noted one of them since it was read, for its turn is not the one
                after the known one. Nothing is noted then.
        """
        ...
