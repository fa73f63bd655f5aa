"""Stores as they are, for expressions that are asked once: nothing is made or changed, what lacks is told."""

from __future__ import annotations

from collections.abc import Callable

from mailwright.rules.fold.asked import Asked
from mailwright.rules.fold.feeds import Source
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.queue import Queue, Windowed
from mailwright.rules.fold.rows import Dictionary
from mailwright.rules.fold.stores import Stores
from mailwright.rules.fold.supply import S, Supply


class AtHand(Supply):
    """What `Stores` offers a compiler, over stores that are kept live already; see there.

    Attributes:
        asked: What was asked for.
        missing: Keys of those among them that are not kept, or that lack their past; readers made of them say nothing.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.asked = Asked()
        self.missing: set[str] = set()

    def windowed(self, source: Source, micros: int, longest: int) -> Windowed:
        """Count and sum inside a window; made from the rows at hand if no leaf keeps this very window."""
        covering = self.covering(source, "queue:", micros, longest)
        queue = self.store(source, f"queue:{covering}", lambda: Queue(covering, source.kind == "number", Heirs()))
        return queue.view(micros)

    def covering(self, source: Source, kind: str, wanted: int, longest: int) -> int:
        """The span of a store at hand that is long enough, else the longest span that is wanted of this source."""
        return self._stores.covering(source, kind, wanted, longest)

    def words(self, source: Source) -> Dictionary:
        """The dictionary of a source's values; an empty one if nobody reads the source."""
        feed = self._stores.feeds.get(source.key())
        return feed.words if feed else Dictionary()

    def store(self, source: Source, kind: str, make: Callable[[], S]) -> S:
        """See `Supply.store`; a new one if it is missing."""
        key = f"{source.key()}/{kind}"
        self.asked.stores.add(key)
        if key not in self._stores.stores or key in self._stores.missing:
            self.missing.add(key)
            return make()
        found: S = self._stores.stores[key]  # type: ignore[assignment]  # a key is made for one kind only
        return found
