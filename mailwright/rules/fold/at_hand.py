"""Stores as they are, for expressions that are asked once: nothing is made or changed, what lacks is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mailwright.rules import syntax as s
from mailwright.rules.fold.asked import Asked
from mailwright.rules.fold.columns import End, Extreme, Totals
from mailwright.rules.fold.feeds import Source
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.lines import Node, maker
from mailwright.rules.fold.ordered import Decayed, Kept
from mailwright.rules.fold.queue import Queue, Windowed
from mailwright.rules.fold.rows import Dictionary
from mailwright.rules.fold.runs import Ledger, Tally
from mailwright.rules.fold.stores import Store, Stores
from mailwright.rules.values import ItemLookup

S = TypeVar("S", bound=Store)


class AtHand:
    """What `Stores` offers a compiler, over stores that are kept live already; see there.

    Attributes:
        asked: What was asked for.
        missing: Keys of those among them that are not kept, or that lack their past; readers made of them say nothing.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.asked = Asked()
        self.missing: set[str] = set()

    def totals(self, source: Source) -> Totals:
        """All-time count and sum."""
        return self._found(source, "totals", Totals)

    def extreme(self, source: Source, largest: bool) -> Extreme:
        """All-time minimum or maximum."""
        return self._found(source, f"extreme:{largest}", lambda: Extreme(largest))

    def end(self, source: Source, last: bool) -> End:
        """First or last row."""
        return self._found(source, f"end:{last}", lambda: End(last))

    def tally(self, source: Source) -> Tally:
        """All-time counts per value."""
        return self._found(source, "tally", Tally)

    def decayed(self, source: Source, half_life: int) -> Decayed:
        """A score."""
        return self._found(source, f"decayed:{half_life}", lambda: Decayed(half_life))

    def kept(self, source: Source, node: Node, items: ItemLookup) -> Kept:
        """What an ordered leaf keeps of its events."""
        return self._found(source, f"kept:{s.key(node)}", lambda: Kept(maker(node, items)))

    def windowed(self, source: Source, micros: int, longest: int) -> Windowed:
        """Count and sum inside a window; made from the rows at hand if no leaf keeps this very window."""
        covering = self._stores.covering(source, "queue:", micros, longest)
        return self._found(source, f"queue:{covering}", lambda: Queue(covering, source.kind == "number", Heirs())).view(
            micros
        )

    def ledger(self, source: Source, retention: int, longest: int) -> Ledger:
        """Every row of a window."""
        covering = self._stores.covering(source, "ledger:", retention, longest)
        return self._found(source, f"ledger:{covering}", lambda: Ledger(covering))

    def words(self, source: Source) -> Dictionary:
        """The dictionary of a source's values; an empty one if nobody reads the source."""
        feed = self._stores.feeds.get(source.key())
        return feed.words if feed else Dictionary()

    def _found(self, source: Source, kind: str, make: Callable[[], S]) -> S:
        key = f"{source.key()}/{kind}"
        self.asked.stores.add(key)
        if key not in self._stores.stores or key in self._stores.missing:
            self.missing.add(key)
            return make()
        found: S = self._stores.stores[key]  # type: ignore[assignment]  # a key is made for one kind only
        return found
