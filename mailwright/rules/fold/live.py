"""The fold: what is true of everybody, kept true event by event and second by second."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import MINUTE, Instant
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold.apart import Stay, Stays, replace
from mailwright.rules.fold.at_hand import AtHand
from mailwright.rules.fold.causes import Change
from mailwright.rules.fold.cells import FOREVER, Cells
from mailwright.rules.fold.columns import Columns
from mailwright.rules.fold.compile import Compiler
from mailwright.rules.fold.feeds import NEWEST, Arrival, Batch, Feed, Inbox
from mailwright.rules.fold.frame import Frame, Reader, World
from mailwright.rules.fold.frozen import Frozen, Parts
from mailwright.rules.fold.plan import Outline, Rules, in_order, longest_windows, meanings, segments_asked
from mailwright.rules.fold.reading import Reading
from mailwright.rules.fold.rows import MISSING, Bools, Ints, Rows, distinct
from mailwright.rules.fold.segments import Happened, Segments
from mailwright.rules.fold.stores import Stores, Touched
from mailwright.rules.fold.zones import SOURCES
from mailwright.rules.syntax import Expression
from mailwright.rules.values import plain
from mailwright.rules.zones import PersonZone

BEFORE_TIME = Instant(-(2**62))


class Fold:
    """Live state over numbered people.

    Nothing that was ingested counts before a `tick` at or after its stamp and its ``known_at``; so any cut of the log
    into micro-batches gives the same state. All answers are as of the last tick.
    """

    _at: Instant

    def __init__(self, rules: Rules, catalog: Catalog, *, replacing: Fold | None = None) -> None:
        """Start empty, or from another fold.

        Args:
            rules: What to keep live.
            catalog: Items; an event's item facts are read when it is ingested.
            replacing: Its leaves that `rules` needs too are taken over with their state; it must not be used any more.

        Raises:
            InvalidInput: If a rule names an attribute or segment that does not exist, or needs itself.
            UnsupportedRule: If a rule holds a node that cannot be kept live.
        """
        before, upto = (replacing._stores, replacing._upto) if replacing else (None, -1)
        self._begin(rules, catalog, Stores(before, upto))
        if replacing:
            self._take_over(replacing)

    @classmethod
    def of_leaves(cls, rules: Rules, catalog: Catalog, leaves: Collection[str]) -> Fold:
        """A fold that keeps these leaves of `rules` and nothing else: a part, to be combined; it evaluates nobody."""
        fold = cls.__new__(cls)
        fold._begin(rules, catalog, Stores(known=leaves, kept=frozenset(leaves).__contains__))
        return fold

    def beside(self, rules: Rules, catalog: Catalog) -> Fold:
        """An empty part with the leaves that `rules` need and this fold does not keep, see `of_leaves`.

        `Fold(rules, catalog, replacing=self)` lacks just these, now or later, as long as this fold's rules stay.
        """
        here = self._stores.stores
        fold = Fold.__new__(Fold)
        fold._begin(rules, catalog, Stores(known=tuple(here), kept=lambda key: key not in here))
        return fold

    def leaves(self) -> list[str]:
        """Keys of the leaves that are kept."""
        return sorted(self._stores.stores)

    def count(self, t: Instant, n: int) -> None:
        """Let time come to `t` for `n` people without evaluating anybody: of a part."""
        self._at = Instant(max(t, self._at))
        self._grow_to(n)
        self._stores.apply(Batch(self._inbox, self._at, self._stores.heirs), self._at)

    def _begin(self, rules: Rules, catalog: Catalog, stores: Stores) -> None:
        outline = Outline(rules.attributes)
        self._outline = outline
        self._rules, self._catalog = rules, catalog
        self._items = catalog.facts
        self._order = in_order(rules.segments, outline)
        self._stores = stores
        self._world = World(rules.zone, rules.lists)
        compiler = Compiler(outline, stores, longest_windows(rules.expressions(), outline), catalog.facts)
        self._readers = _compiled(rules, self._order, compiler, self._world)
        stores.planned()
        self._reading = Reading(list(stores.feeds.values()), catalog.facts)
        self._inbox = Inbox()
        kept = [] if stores.partial else self._order
        self._segments = Segments(
            kept, self._world.segments, {name: compiler.asked_by(rules.segments[name]) for name in kept}
        )
        self._world.members = {name: segment.cells for name, segment in self._segments.by_name.items()}
        self._people = Columns(alive=np.bool_(True))
        self._zones = Columns(**dict.fromkeys(SOURCES, np.int64(MISSING)))  # as of the last tick
        self._at = BEFORE_TIME
        self._upto = -1  # the newest offset ingested
        self._meanings = meanings(self._order, rules.segments, outline)

    def _take_over(self, old: Fold) -> None:
        self._inbox, self._people, self._at, self._upto = old._inbox, old._people, old._at, old._upto
        self._world.first_identifiers = old._world.first_identifiers
        self._world.listed = old._world.listed
        n = self._people.n
        changed = [name for name in self._order if self._meanings[name] != old._meanings.get(name)]
        self._segments.take_over(old._segments, changed, n)
        self._world.members = {name: segment.cells for name, segment in self._segments.by_name.items()}
        self._zones.grow(n)

    # --- events and time ---------------------------------------------------------------------------------------------

    def ingest(self, arrivals: Sequence[Arrival]) -> None:
        """Take in events in order of offset, without duplicates. They count from the next tick that reaches them."""
        if arrivals:
            self._reading.take(arrivals, self._inbox.put)
            self._upto = max(self._upto, arrivals[-1].offset)

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """What the leaves at hand read, by key: for who brings `fold_in` their rows."""
        return self._stores.feeds

    def fold_in(self, feed: str, rows: Rows, kept: Sequence[Event] = ()) -> None:
        """Take in what a feed's events gave, all of them due by now: in place of `ingest`, for rows read in bulk.

        Args:
            feed: Key of the feed.
            rows: What the feed would take of its events.
            kept: The events themselves, one per row, of a feed that keeps them.
        """
        self._stores.take(feed, rows, kept)

    def reached(self, offset: Offset) -> None:
        """Everything up to `offset` was taken in."""
        self._upto = max(self._upto, offset)

    def tick(self, t: Instant, first_identifiers: Sequence[str]) -> list[Change]:
        """Let time come to `t` and evaluate who was touched or fell due.

        Args:
            t: Not before the last tick; an earlier one is taken as the last.
            first_identifiers: ``kind:value`` by person; its length is the number of people.

        Returns:
            Changes of membership since the last tick, by person, then by segment in order of evaluation.
        """
        self._at = t = max(t, self._at)
        self._world.first_identifiers = first_identifiers
        self._grow_to(len(first_identifiers))
        batch = Batch(self._inbox, t, self._stores.heirs)
        touched, left = self._stores.apply(batch, t)
        happened = Happened(
            anything=Touched(batch.person, batch.history),
            touched=touched,
            left=left,
            listed=self._world.listed.settle(),
            elsewhere=self._moved(touched),
        )
        return self._segments.evaluate(t, self._world, self._alive, happened)

    @property
    def _alive(self) -> Bools:
        return self._people["alive"][: self._people.n]

    def _moved(self, touched: Mapping[str, Touched]) -> Ints:
        """The people whose time zone is another than at the last tick."""
        persons = self._segments.pending(self._people.n)
        told = [touched[key].everybody for source in SOURCES.values() if (key := source.key()) in touched]
        if told:
            persons = distinct(np.concatenate([persons, *told]))
        moved = np.zeros(len(persons), dtype=bool)
        for name, codes in self._world.zones.codes(persons).items():
            moved |= codes != self._zones[name][persons]
            self._zones[name][persons] = codes
        return persons[moved]

    def next_due(self) -> Instant | None:
        """The earliest instant after the last tick at which anything can change by time alone; None: never.

        Where a rule asks for a value that changes all the time in a way that has no deadline, one minute.
        """
        dues = self._segments.next_due()
        if (waiting := self._inbox.next_due()) != NEWEST:
            dues.append(max(waiting, self._at + 1))
        if (due := self._stores.next_due()) is not None:
            dues.append(due)
        unseen = self._segments.n_evaluated < self._people.n
        if self._at != BEFORE_TIME and (unseen or self._segments.volatile):
            dues.append(self._at + MINUTE)
        return Instant(min(dues)) if dues else None

    # --- answers -----------------------------------------------------------------------------------------------------

    def attribute(self, name: str, persons: Sequence[Person]) -> list[Any]:
        """JSON-shaped values of a computed attribute, None where missing.

        Raises:
            NotFound: If no such attribute is kept live.
        """
        return self._values(self._reader("attribute", name), persons)

    def truths(self, names: Sequence[str], persons: Sequence[Person]) -> dict[str, Bools]:
        """The named conditions for some people; all false before the first tick.

        Raises:
            NotFound: If a condition is not kept live.
        """
        answers = {}
        for name in names:
            cells, back = self._answered(self._reader("condition", name), persons)
            answers[name] = cells.truth().mask[back] if cells else np.zeros(len(persons), dtype=bool)
        return answers

    def zone(self, person: Person) -> PersonZone:
        """The time zone that holds for somebody as of the last tick, and what told it."""
        self._grow_to(person + 1)
        return self._world.zones.told(person)

    def _values(self, reader: Reader, persons: Sequence[Person]) -> list[Any]:
        cells, back = self._answered(reader, persons)
        if cells is None:
            return [None] * len(persons)
        values = [plain(value) for value in cells.values()]
        return [values[place] for place in back]

    def _answered(
        self, reader: Reader, persons: Sequence[Person], *, tells_due: bool = False
    ) -> tuple[Cells | None, Ints]:
        """Cells of the distinct people asked for (None before the first tick), and each one's place in them."""
        distinct, back = np.unique(np.asarray(persons, dtype=np.int64), return_inverse=True)
        if self._at == BEFORE_TIME:
            return None, back
        self._grow_to(int(distinct.max(initial=-1)) + 1)
        return reader(Frame(distinct, self._at, self._world, tells_due=tells_due)), back

    def members(self, segment: str) -> Bools:
        """Who is in the segment, by person.

        Raises:
            NotFound: If there is no such segment.
        """
        cells = self._world.members.get(segment)
        if cells is None:
            raise NotFound("rule.segment", f"there is no segment {segment!r}", nearest(segment, self._order))
        return np.array(cells["inside"][: self._people.n], dtype=bool)

    def sizes(self) -> dict[str, int]:
        """Number of members by segment."""
        return {name: segment.size for name, segment in self._segments.by_name.items()}

    def inside(self, persons: Sequence[Person]) -> dict[str, Bools]:
        """For each segment, who of these people is in it; nobody who came after the last tick is."""
        asked = np.asarray(persons, dtype=np.int64)
        known = asked < self._people.n
        places = np.where(known, asked, 0)
        if not self._people.n:
            return {name: known for name in self._world.members}
        return {name: cells["inside"][places] & known for name, cells in self._world.members.items()}

    def _reader(self, kind: str, name: str) -> Reader:
        reader = self._readers.get(f"{kind}:{name}")
        if reader is None:
            known = [key.partition(":")[2] for key in self._readers if key.startswith(f"{kind}:")]
            raise NotFound(f"rule.{kind}", f"there is no {kind} {name!r}", nearest(name, known))
        return reader

    # --- expressions that are not kept live ---------------------------------------------------------------------------

    def missing_for(self, expression: Expression) -> list[str]:
        """Keys of the leaves that `expression` needs and that are not kept live, or lack their past; sorted.

        Raises:
            InvalidInput: If it names an attribute or segment that does not exist.
            UnsupportedRule: If it holds a node that cannot be kept live.
        """
        return sorted(self._at_hand(expression)[1])

    def holding(self, expression: Expression) -> Bools:
        """For whom of all people a condition is true as of the last tick; false for who was merged into another.

        Raises:
            NotFound: ``rule.leaf``, if a leaf is missing, see `missing_for`.
            InvalidInput: If it names an attribute or segment that does not exist.
            UnsupportedRule: If it holds a node that cannot be kept live.
        """
        reader, n = self._reader_of(expression), self._people.n
        if self._at == BEFORE_TIME:
            return np.zeros(n, dtype=bool)
        mask = reader(Frame(np.arange(n), self._at, self._world)).truth().mask
        return np.asarray(mask & self._people["alive"][:n], dtype=bool)

    def value(self, expression: Expression, persons: Sequence[Person]) -> list[Any]:
        """JSON-shaped values of an expression as of the last tick, None where missing.

        Raises:
            NotFound: ``rule.leaf``, if a leaf is missing, see `missing_for`.
            InvalidInput: If it names an attribute or segment that does not exist.
            UnsupportedRule: If it holds a node that cannot be kept live.
        """
        return self._values(self._reader_of(expression), persons)

    def due(self, expression: Expression, persons: Sequence[Person]) -> list[Instant | None]:
        """Until when an expression surely keeps its value, if no event comes; None: for ever.

        The instant of the last tick means: it may change at any moment.

        Raises:
            NotFound: ``rule.leaf``, if a leaf is missing, see `missing_for`.
            InvalidInput: If it names an attribute or segment that does not exist.
            UnsupportedRule: If it holds a node that cannot be kept live.
        """
        cells, back = self._answered(self._reader_of(expression), persons, tells_due=True)
        if cells is None:
            return [None] * len(persons)
        until = np.maximum(cells.until, self._at)[back]
        return [None if at == FOREVER else Instant(at) for at in until.tolist()]

    def _at_hand(self, expression: Expression) -> tuple[Reader, set[str]]:
        """A reader over the stores as they are, and the keys of those that lack."""
        for name in segments_asked(expression, self._outline):
            if name not in self._world.members:
                message = f"there is no segment {name!r}"
                raise InvalidInput.one("rule.segment", message, hint=nearest(name, self._order))
        stores = AtHand(self._stores)
        longest = longest_windows({"": expression}, self._outline)
        reader = Compiler(self._outline, stores, longest, self._items).reader(expression)
        return reader, stores.missing

    def _reader_of(self, expression: Expression) -> Reader:
        reader, missing = self._at_hand(expression)
        if missing:
            message = f"{len(missing)} leaves of this rule are not kept live: {', '.join(sorted(missing))}"
            raise NotFound("rule.leaf", message, "ask History, or apply a definition that names the rule")
        return reader

    def enlist(self, name: str, persons: Iterable[int], *, inside: bool) -> None:
        """People came on a list or left it: ``in list`` says so from the next tick on, where the cause is ``list``."""
        self._world.listed.put(name, persons, inside=inside)

    def listed_as(self, lists: Mapping[str, Iterable[int]]) -> None:
        """Who is on which list, as it was at the last tick: after a checkpoint, which does not hold them."""
        for name, persons in lists.items():
            self._world.listed.put(name, persons, inside=True)
        self._world.listed.settle()

    # --- identity, backfill, checkpoints -----------------------------------------------------------------------------

    def merge(self, into: Person, gone: Person) -> None:
        """`gone` turns out to be `into`: as if all their events had been one person's. `gone` is never used again."""
        self._grow_to(max(into, gone) + 1)
        self._stores.merge(into, gone)
        self._people["alive"][gone] = False
        self._world.listed.merge(into, gone)
        self._segments.merge(into, gone)

    def like(self) -> Fold:
        """An empty fold of the same rules and leaves as this one's, for a few people of their own: see `part`."""
        keys = tuple(self._stores.stores)
        fold = Fold.__new__(Fold)
        kept = frozenset(keys).__contains__ if self._stores.partial else None
        fold._begin(self._rules, self._catalog, Stores(known=keys, kept=kept))
        return fold

    def part(self, whose: Mapping[int, int], other: Fold, persons: Sequence[int], stays: Stays) -> None:
        """Two people who were taken for one: all that is known of them is what another fold made of their events.

        Args:
            whose: Every number that stands for one of them -> the living person whom it stands for now.
            other: `like` this one, over people of its own 0, 1, ...; must not be used any more.
            persons: By its number, the person's here.
            stays: Who of them is in which segment, and since when; what was announced otherwise is announced anew.
        """
        numbers = np.array(sorted(whose), dtype=np.int64)
        self._grow_to(int(numbers[-1]) + 1)
        other._grow_to(len(persons))
        if self._at != BEFORE_TIME:
            other.count(self._at, len(persons))
        replace(self._stores, self._inbox, numbers, other._stores, other._inbox, np.array(persons, dtype=np.int64))
        for number, person in whose.items():
            self._stores.heirs.stands_for(number, person)
            self._people["alive"][number] = number == person
        self._segments.part(sorted(whose), stays)

    @property
    def at(self) -> Instant | None:
        """The instant of the last tick; None before the first."""
        return None if self._at == BEFORE_TIME else self._at

    def stays(self, persons: Sequence[int]) -> Stays:
        """Who of this fold's people 0, 1, ..., called as `persons` says, is in which segment, and since when."""
        found = {}
        for name, cells in self._world.members.items():
            inside, since = cells["inside"].tolist(), cells["since"].tolist()
            n = min(cells.n, len(persons))
            found[name] = {persons[each]: Stay(inside[each], since[each]) for each in range(n)}
        return found

    def _grow_to(self, n: int) -> None:
        self._stores.grow(n)
        if n > self._people.n:
            self._people.grow(n)
            self._zones.grow(n)
            self._segments.grow(n)

    def missing_leaves(self) -> list[str]:
        """Keys of leaves that began empty in a fold that replaced another: they need `combine` with the past."""
        return sorted(self._stores.missing)

    def combine(self, other: Fold, leaves: Collection[str] | None = None) -> None:
        """Add what another fold of the same rules made of another part of the log.

        Args:
            other: Must not be used any more.
            leaves: The keys to add; None: those that are missing, or all if this fold replaced no other.
        """
        self._grow_to(other._people.n)
        other._grow_to(self._people.n)
        at = max(self._at, other._at)
        if at != BEFORE_TIME:
            other._stores.apply(Batch(other._inbox, at, other._stores.heirs), at)
        chosen = leaves if leaves is not None else self.missing_leaves() if self._stores.replaced else None
        self._stores.combine(other._stores, chosen, self._inbox, other._inbox, at)
        self._upto = max(self._upto, other._upto)
        stores = set(self._stores.stores if chosen is None else chosen)
        owed = [name for name, segment in self._segments.by_name.items() if stores & segment.reads.stores_behind]
        self._segments.look_at_everybody(owed)

    def state_hash(self, n_persons: int = 0) -> str:
        """A digest of all state but decayed scores; the same for any cut of the same log, and after a reload.

        Args:
            n_persons: How many people there are, if no tick has told since the last of them came.
        """
        self._grow_to(n_persons)
        n = self._people.n
        members = [
            [name, cells["inside"][:n].tolist(), cells["since"][:n].tolist()]
            for name, cells in sorted(self._world.members.items())
        ]
        inbox = self._inbox.all()
        waiting = sorted(zip(inbox.offset.tolist(), self._stores.heirs.of(inbox.person).tolist(), strict=True))
        state = [int(self._at), n, self._people["alive"][:n].tolist(), members, waiting, self._stores.digest()]
        return hashlib.sha256(msgspec.json.encode(state)).hexdigest()

    def freeze(self) -> Frozen:
        """A copy of all state, for a checkpoint; to be turned into bytes while the fold goes on."""
        fold = {
            "at": int(self._at),
            "upto": self._upto,
            "inbox": self._inbox.dump(),
            "people": self._people.dump(),
            "zones": self._zones.dump(),
            "segments": self._segments.dump(),
            "stores": self._stores.dump(),
        }
        members = {f"segment/{name}": segment.dump() for name, segment in self._segments.by_name.items()}
        return Frozen({"fold": fold, **members, **self._stores.dump_each(self._inbox)})

    @classmethod
    def load(
        cls, parts: Mapping[str, bytes], rules: Rules, catalog: Catalog, first_identifiers: Sequence[str] = ()
    ) -> Fold:
        """The fold that was frozen, for the same rules.

        Args:
            parts: What `Frozen.parts` gave.
            rules: Those of the frozen fold.
            catalog: Items, as they stood then.
            first_identifiers: As told to the last tick: who is on a list is asked of them until the next.

        Raises:
            Corrupt: If the bytes are none, or a part is missing.
        """
        states = Parts(parts)
        state = states["fold"]
        fold = cls.__new__(cls)
        keys = frozenset(state["stores"]["keys"])
        fold._begin(rules, catalog, Stores(known=keys, kept=keys.__contains__ if state["stores"]["partial"] else None))
        fold._at, fold._upto = Instant(state["at"]), state["upto"]
        fold._inbox.load(state["inbox"])
        fold._people.load(state["people"])
        for name, segment in fold._segments.by_name.items():
            segment.load(states[f"segment/{name}"])
        fold._segments.load(state["segments"])
        fold._world.first_identifiers = first_identifiers
        fold._stores.load(state["stores"], states)
        fold._zones.load(state["zones"])
        return fold


def _compiled(rules: Rules, order: Sequence[str], compiler: Compiler, world: World) -> dict[str, Reader]:
    """Readers by kind and name; segments come first, in order of evaluation."""
    world.zones = compiler.zones(rules.zone)
    world.segments = {name: compiler.reader(rules.segments[name]) for name in order}
    others = {key: compiler.reader(node) for key, node in rules.expressions().items() if not key.startswith("segment:")}
    return {f"segment:{name}": reader for name, reader in world.segments.items()} | others
