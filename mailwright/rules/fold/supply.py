"""Where a compiler gets the stores of leaves from: what a leaf keeps of its source is named in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from mailwright.core.events import Person
from mailwright.rules import syntax as s
from mailwright.rules.fold.asked import Asked
from mailwright.rules.fold.columns import End, Extreme, Totals
from mailwright.rules.fold.feeds import Source
from mailwright.rules.fold.lines import Node, maker
from mailwright.rules.fold.ordered import Decayed, Kept
from mailwright.rules.fold.queue import Windowed
from mailwright.rules.fold.rows import Dictionary, Ints
from mailwright.rules.fold.runs import Ledger, Tally
from mailwright.rules.values import ItemLookup


class Store(Protocol):
    """State of one leaf, or of several that differ only in their window."""

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        ...

    def merge(self, into: Person, gone: Person) -> None:
        """Exactly as if all events of `gone` had been those of `into`."""
        ...

    def combine(self, other: Any, codes: Ints | None) -> None:
        """Exactly as if the other part's events had come here; `codes` translates its dictionary."""
        ...

    def forget(self, persons: Ints) -> None:
        """Nothing is known of these people any more."""
        ...

    def adopt(self, other: Any, persons: Ints, codes: Ints | None) -> None:
        """Take in what another store has of its people 0, 1, ... for `persons`; `codes` translates its dictionary."""
        ...

    def dump(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        ...

    def digest(self, words: Dictionary | None) -> list[Any]:
        """What the state hash sees; equal for equal histories, however they were cut."""
        ...


S = TypeVar("S", bound=Store)


class Supply(ABC):
    """Stores by what they are of; equal leaves of different rules get the same one.

    Attributes:
        asked: What was asked for.
    """

    asked: Asked

    @abstractmethod
    def store(self, source: Source, kind: str, make: Callable[[], S]) -> S:
        """The store of that kind of a source, which is of the kind that `make` makes."""

    @abstractmethod
    def covering(self, source: Source, kind: str, wanted: int, longest: int) -> int:
        """The span of a store at hand that is long enough, else the longest span that is wanted of this source."""

    @abstractmethod
    def windowed(self, source: Source, micros: int, longest: int) -> Windowed:
        """Count and sum inside a window; `longest` is the longest window of any leaf of this source."""

    @abstractmethod
    def words(self, source: Source) -> Dictionary:
        """The dictionary of a source's values."""

    def totals(self, source: Source) -> Totals:
        """All-time count and sum."""
        return self.store(source, "totals", Totals)

    def extreme(self, source: Source, largest: bool) -> Extreme:
        """All-time minimum or maximum."""
        return self.store(source, f"extreme:{largest}", lambda: Extreme(largest))

    def end(self, source: Source, last: bool) -> End:
        """First or last row."""
        return self.store(source, f"end:{last}", lambda: End(last))

    def tally(self, source: Source) -> Tally:
        """All-time counts per value."""
        return self.store(source, "tally", Tally)

    def decayed(self, source: Source, half_life: int) -> Decayed:
        """A score."""
        return self.store(source, f"decayed:{half_life}", lambda: Decayed(half_life))

    def kept(self, source: Source, node: Node, items: ItemLookup) -> Kept:
        """What an ordered leaf keeps of its events."""
        return self.store(source, f"kept:{s.key(node)}", lambda: Kept(maker(node, items)))

    def ledger(self, source: Source, retention: int, longest: int) -> Ledger:
        """Every row of a window."""
        covering = self.covering(source, "ledger:", retention, longest)
        return self.store(source, f"ledger:{covering}", lambda: Ledger(covering))
