"""All leaf state of a fold, by what it is of: equal leaves of different rules meet in one store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mailwright.core.events import Event, Person
from mailwright.core.instants import Instant
from mailwright.rules.fold.asked import Asked, WindowKey
from mailwright.rules.fold.feeds import NEWEST, Batch, Feed, Inbox, Source, together
from mailwright.rules.fold.heirs import Heirs
from mailwright.rules.fold.ordered import Decayed, Kept
from mailwright.rules.fold.queue import Queue, Windowed
from mailwright.rules.fold.rows import Bools, Dictionary, Ints, Rows, distinct
from mailwright.rules.fold.runs import Ledger
from mailwright.rules.fold.supply import S, Store, Supply

_CODED = ("value", "trait", "context")


class Touched:
    """The people whom a tick's rows of one feed concern; each list ascending, without repeats, made when asked for."""

    def __init__(self, person: Ints, history: Bools) -> None:
        self._person = person
        self._history = history

    @cached_property
    def everybody(self) -> Ints:
        """All of them."""
        return distinct(self._person)

    @cached_property
    def live(self) -> Ints:
        """Those with a row that is not of history."""
        return self.everybody if not self._history.any() else distinct(self._person[~self._history])

    @cached_property
    def history(self) -> Ints:
        """Those with a row of history."""
        return distinct(self._person[self._history])


class Stores(Supply):
    """The stores that the rules at hand need; those that `before` has too are taken over with their state."""

    def __init__(
        self,
        before: Stores | None = None,
        upto: int = -1,
        *,
        known: Collection[str] = (),
        kept: Callable[[str], bool] | None = None,
    ) -> None:
        """Start, perhaps with what another's stores hold.

        Args:
            before: Stores that are taken over where the rules need them too.
            upto: The newest offset that `before` has ingested.
            known: Keys of stores beside or before these: a leaf joins the one among them that covers its window.
            kept: Which keys to keep; of the others nothing is collected (None: all are kept).
        """
        self._kept = kept
        self.asked = Asked()
        self._known = known
        self._fresh_feeds: set[str] = set()
        self._upto = upto
        self._elsewhere: dict[str, tuple[int, int]] = {}
        """Store key -> (offset, due) up to which waiting events come with `combine`, not from the inbox."""
        self.feeds: dict[str, Feed] = {}
        self.stores: dict[str, Store] = {}
        self.missing: set[str] = set()
        self._of: dict[str, str] = {}  # store key -> feed key
        self._behind: dict[str, list[str]] = {}  # feed key -> store keys
        self._before = before
        self._replaced = before is not None
        self._n: int = before._n if before else 0
        self.heirs: Heirs = before.heirs if before else Heirs()

    def windowed(self, source: Source, micros: int, longest: int) -> Windowed:
        """Count and sum inside a window; `longest` is the longest window of any leaf of this source."""
        covering = self.covering(source, "queue:", micros, longest)
        self.asked.windows.add((f"{source.key()}/queue:{covering}", micros))
        return self.store(source, f"queue:{covering}", lambda: self._queue(source, covering)).leaf(micros)

    def _queue(self, source: Source, longest: int) -> Queue:
        return Queue(longest, source.kind == "number", self.heirs)

    def words(self, source: Source) -> Dictionary:
        """The dictionary of a source's values."""
        return self._feed(source).words

    def covering(self, source: Source, kind: str, wanted: int, longest: int) -> int:
        """The span of a store at hand that is long enough, else the longest span that is wanted of this source."""
        prefix = f"{source.key()}/{kind}"
        known = [*self.stores, *self._known, *(self._before.stores if self._before else ())]
        spans = [int(key[len(prefix) :]) for key in known if key.startswith(prefix)]
        return min((span for span in spans if span >= wanted), default=longest)

    def _feed(self, source: Source) -> Feed:
        key = source.key()
        if key not in self.feeds:
            old = self._before.feeds.get(key) if self._before else None
            self.feeds[key] = old or Feed(source)
            if old is None and self._before:
                self._fresh_feeds.add(key)
        return self.feeds[key]

    def store(self, source: Source, kind: str, make: Callable[[], S]) -> S:
        """See `Supply.store`."""
        key = f"{source.key()}/{kind}"
        self.asked.stores.add(key)
        if self._kept is not None and not self._kept(key):
            self._of[key] = source.key()
            return make()
        self._feed(source)
        if key not in self.stores:
            self.stores[key] = self._taken_over(key) or self._fresh(key, make)
            self._of[key] = source.key()
        found: S = self.stores[key]  # type: ignore[assignment]  # a key is made for one kind only
        return found

    def _taken_over(self, key: str) -> Store | None:
        old = self._before.stores.get(key) if self._before else None
        if old is not None and self._before and key in self._before.missing:
            self.missing.add(key)
        if old is not None and self._before and key in self._before._elsewhere:
            self._elsewhere[key] = self._before._elsewhere[key]
        return old

    @property
    def partial(self) -> bool:
        """Whether some leaves are not kept."""
        return self._kept is not None

    @property
    def replaced(self) -> bool:
        """Whether these stores followed others that had seen events."""
        return self._replaced

    def _fresh(self, key: str, make: Callable[[], S]) -> S:
        store = make()
        store.grow(self._n)
        if self._before is not None:
            self.missing.add(key)
            self._elsewhere[key] = (self._upto, NEWEST)
        return store

    def feeds_behind(self, stores: Collection[str]) -> frozenset[str]:
        """Keys of the feeds that stores read."""
        return frozenset(self._of[key] for key in stores)

    def planned(self) -> None:
        """Every leaf is declared: what nobody reads any more is let go."""
        self._before = None
        for key in self.stores:
            self._behind.setdefault(self._of[key], []).append(key)
        if self._kept is not None:
            read = {self._of[key] for key in self.stores}
            self.feeds = {key: feed for key, feed in self.feeds.items() if key in read}

    def grow(self, n: int) -> None:
        """Make room for `n` people."""
        if n <= self._n:
            return
        self._n = n
        for store in self.stores.values():
            store.grow(n)

    def apply(self, batch: Batch, t: Instant) -> tuple[dict[str, Touched], dict[WindowKey, Ints]]:
        """Fold a tick's rows and move time on: the people touched, by feed, and those for whom a row left a window."""
        for store in self._timed():
            store.at_tick(t)
        touched = {key: self._apply(key, feed, batch) for key, feed in self.feeds.items() if batch.concerns(feed)}
        if self._elsewhere:
            oldest = batch.oldest_waiting
            self._elsewhere = {
                key: limits for key, limits in self._elsewhere.items() if key in self.missing or limits[0] >= oldest
            }
        left = {key: store.passed(t) for key, store in self.stores.items() if isinstance(store, Queue)}
        return touched, {(key, micros): who for key, leaves in left.items() for micros, who in leaves.items()}

    def _timed(self) -> list[Decayed | Ledger]:
        return [store for store in self.stores.values() if isinstance(store, Decayed | Ledger)]

    def take(self, feed: str, rows: Rows, kept: Sequence[Event]) -> None:
        """Count rows that a feed's events gave, which nothing waits for any more; `kept`: those events, if they are."""
        for name in self._behind.get(feed, ()):
            _add(self.stores[name], rows, kept)

    def _apply(self, key: str, feed: Feed, batch: Batch) -> Touched:
        rows, index, history, events = batch.rows(feed)
        kept = events or []
        for name in self._behind.get(key, ()):
            here = self._counted_here(name, rows, index, batch)
            if here is None:
                _add(self.stores[name], rows, kept)
            else:
                mine = [event for event, yes in zip(kept, here.tolist(), strict=False) if yes]
                _add(self.stores[name], rows.take(here), mine)
        return Touched(rows.person, history)

    def _counted_here(self, name: str, rows: Rows, index: Ints, batch: Batch) -> Bools | None:
        """Rows that a store takes (None: all): not those ingested before it began, which come with the past."""
        if name not in self._elsewhere:
            return None
        upto, due = self._elsewhere[name]
        return np.asarray((rows.offset > upto) | (batch.due[index] > due), dtype=bool)

    def next_due(self) -> Instant | None:
        """When the first row leaves a counted window."""
        queues = [store for store in self.stores.values() if isinstance(store, Queue)]
        return min((due for queue in queues if (due := queue.next_due()) is not None), default=None)

    def merge(self, into: Person, gone: Person) -> None:
        """One person's state becomes part of another's."""
        self.heirs.merge(into, gone)
        for store in self.stores.values():
            store.merge(into, gone)

    def combine(
        self, other: Stores, keys: Collection[str] | None, inbox: Inbox, others_inbox: Inbox, at: Instant
    ) -> None:
        """Add another part's state to the stores named (None: all), with rows and events that still wait.

        Args:
            other: The other part; must not be used any more.
            keys: Store keys.
            inbox: This part's.
            others_inbox: The other's, whose events are appended to it if any of their rows are.
            at: The instant up to which the other part has counted its events.
        """
        self.grow(other._n)
        for key in list(other.stores) if keys is None else keys:
            feed = self._of[key]
            self.stores[key].combine(other.stores[key], self.translation(feed, other))
            self.missing.discard(key)
            if key in self._elsewhere:
                self._elsewhere[key] = (self._elsewhere[key][0], at)
        # A feed of which this part read events before has these waiting rows already, unless all is joined.
        feeds = [key for key in self.feeds if keys is None or key in self._fresh_feeds]
        self._fresh_feeds -= set(feeds)
        if feeds:
            self._join_waiting(other, feeds, inbox, others_inbox)

    def _join_waiting(self, other: Stores, feeds: Sequence[str], inbox: Inbox, others_inbox: Inbox) -> None:
        n_held, theirs_held = len(inbox.held.person), len(others_inbox.held.person)
        theirs = others_inbox.all()
        for key, feed in self.feeds.items():
            feed.hold(feed.all(n_held))
            if key in feeds:
                feed.append(other.feeds[key].all(theirs_held), self.translation(key, other), len(inbox))
        inbox.hold(together([inbox.all(), theirs._replace(person=other.heirs.of(theirs.person))]))

    def feed_of(self, store: str) -> str:
        """Key of the feed that a store reads."""
        return self._of[store]

    def translation(self, feed: str, other: Stores) -> Ints | None:
        """For each code of another part's feed the one here; None for a feed without a dictionary."""
        coded = self.feeds[feed].source.kind in _CODED
        return self.feeds[feed].words.translation(other.feeds[feed].words) if coded else None

    def digest(self) -> list[Any]:
        """What the state hash sees."""
        parts = []
        for key in sorted(self.stores):
            feed = self.feeds[self._of[key]]
            words = feed.words if feed.source.kind in _CODED else None
            parts.append([key, self.stores[key].digest(words)])
        return parts

    def dump(self) -> dict[str, Any]:
        """Plain data of what is not a leaf's or a feed's own."""
        return {
            "n": self._n,
            "missing": sorted(self.missing),
            "replaced": self._replaced,
            "fresh_feeds": sorted(self._fresh_feeds),
            "elsewhere": self._elsewhere,
            "keys": list(self.stores),
            "heirs": self.heirs.dump(),
            "partial": self.partial,
        }

    def dump_each(self, inbox: Inbox) -> dict[str, dict[str, Any]]:
        """Plain data of each leaf and feed, by the name of its part in a checkpoint."""
        n_held = len(inbox.held.person)
        feeds = {f"feed/{key}": feed.dump(n_held) for key, feed in self.feeds.items()}
        return feeds | {name: part for key, store in self.stores.items() for name, part in _in_parts(key, store.dump())}

    def load(self, state: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
        """Take over what `dump` and `dump_each` gave, for the same rules."""
        self._n = state["n"]
        self.heirs.load(state["heirs"])
        self.missing = set(state["missing"])
        self._replaced = state["replaced"]
        self._fresh_feeds = set(state["fresh_feeds"])
        self._elsewhere = {key: (offset, due) for key, (offset, due) in state["elsewhere"].items()}
        for key, feed in self.feeds.items():
            feed.load(parts[f"feed/{key}"])
        for key, store in self.stores.items():
            store.load(_whole(key, parts))


def _add(store: Store, rows: Rows, kept: Sequence[Event]) -> None:
    if isinstance(store, Kept):
        store.keep(rows, kept)
    else:
        store.add(rows)  # type: ignore[attr-defined]  # every store but Kept takes rows


_DAYS = 8  # of a calendar, in one part of a checkpoint: few enough that most parts stay what they were


def _in_parts(key: str, state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A store's state by part; the days of its calendar apart, so that those that did not change are the same bytes."""
    blocks: dict[str, dict[str, Any]] = {}
    for day, rows in state.get("days", {}).items():
        blocks.setdefault(str(int(day) // _DAYS), {})[day] = rows
    yield f"leaf/{key}", state | {"days": sorted(blocks)} if "days" in state else state
    for block, days in blocks.items():
        yield f"leaf/{key}/{block}", days


def _whole(key: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """What `_in_parts` took apart."""
    state: dict[str, Any] = parts[f"leaf/{key}"]
    if "days" not in state:
        return state
    blocks = [parts[f"leaf/{key}/{block}"] for block in state["days"]]
    return state | {"days": {day: rows for block in blocks for day, rows in block.items()}}
