"""A definition on its way from `Defined` to `Installed`.

Between the two records the version before stays wholly in force. The leaves that the new one lacks collect in a
*shadow* what comes in; a job folds all that came before into a blob; at `Installed` both are combined: decision 0017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import zstandard

from mailwright.core.errors import Corrupt
from mailwright.core.events import PLACES, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Fold, Frozen
from mailwright.runtime.engine.rerun import Lives, TheirPast, relived
from mailwright.runtime.project.load import Project, load_project

_MAGIC = b"mailwright past 1\n"  # also keeps the blob's name apart from those of a checkpoint's parts


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the job is to fold.

    Attributes:
        version: Of the definitions.
        defined: Number of the record that defined it; everything before it is the past.
        counted_at: Instant of the last tick before that record: events that count later wait in the blob too.
            None: there was no tick.
        files: The definitions.
        leaves: Keys of the leaves to fill.
    """

    version: int
    defined: int
    counted_at: Instant | None
    files: dict[str, str]
    leaves: list[str]

    @property
    def upto(self) -> Offset:
        """The last offset of the past."""
        return Offset(self.defined * PLACES - 1)


class SplitPast(NamedTuple):
    """People whom splits took apart while a version was on its way: who they are, and what happened to them."""

    lives: Lives
    whose: Mapping[int, int]
    past: TheirPast


@dataclass(slots=True)
class Underway:
    """A version that is defined and not yet installed.

    Attributes:
        shadow: The missing leaves, over what came in since.
        merges: (into, gone) since, in order; the blob does not know of them.
        split: Numbers of people who were taken apart since; what the blob holds of them is folded anew.
    """

    version: int
    defined: int
    counted_at: Instant | None
    files: dict[str, str]
    project: Project
    shadow: Fold
    merges: list[tuple[Person, Person]] = field(default_factory=list)
    split: list[int] = field(default_factory=list)

    @property
    def order(self) -> Order:
        """What the job needs to know."""
        return Order(
            version=self.version,
            defined=self.defined,
            counted_at=self.counted_at,
            files=self.files,
            leaves=self.shadow.leaves(),
        )

    def ingest(self, arrivals: Sequence[Arrival]) -> None:
        """Take in what the fold in force takes in."""
        self.shadow.ingest(arrivals)

    def merge(self, into: Person, gone: Person) -> None:
        """Two people are one."""
        self.shadow.merge(into, gone)
        self.merges.append((into, gone))

    def part(self, whose: Mapping[int, int], lives: Lives, past: TheirPast, before: Offset) -> None:
        """People who were taken for one are two."""
        after = Offset(self.defined * PLACES - 1)
        fresh = relived(self.shadow.like(), lives, past, after=after, before=before)
        self.shadow.part(whose, fresh, lives.numbers, {})
        self.split = sorted({*self.split, *whose})

    def tick(self, at: Instant, n_persons: int) -> None:
        """Time has come to `at`."""
        self.shadow.count(at, n_persons)

    def installed(self, past: Fold, before: Fold, catalog: Catalog, split: SplitPast | None = None) -> Fold:
        """The fold of this version as if it had been in force from the start; `past` and `before` are used up."""
        for into, gone in self.merges:
            past.merge(into, gone)
        if split is not None:
            empty, start = past.like(), Offset(self.defined * PLACES)
            fresh = relived(empty, split.lives, split.past, before=start)
            past.part(split.whose, fresh, split.lives.numbers, {})
        past.combine(self.shadow)
        fold = Fold(self.project.rules, catalog, replacing=before)
        fold.combine(past)
        return fold

    def counters(self) -> dict[str, Any]:
        """What a checkpoint holds beside the shadow."""
        names = ("version", "defined", "counted_at", "files", "merges", "split")
        return {name: getattr(self, name) for name in names}


def restored(counters: Mapping[str, Any], shadow: Mapping[str, bytes], catalog: Catalog) -> Underway:
    """What `Underway.counters` and the frozen shadow told."""
    project = load_project(counters["files"])
    merges = [(Person(into), Person(gone)) for into, gone in counters["merges"]]
    return Underway(**{**counters, "merges": merges}, project=project, shadow=Fold.load(shadow, project.rules, catalog))


# --- the blob --------------------------------------------------------------------------------------------------------


def packed_past(frozen: Frozen) -> bytes:
    """A filled fold as one blob."""
    return _MAGIC + zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(frozen.parts()))


def unpacked_past(data: bytes, order: Order, catalog: Catalog) -> Fold:
    """The fold that the job filled.

    Raises:
        Corrupt: If the blob is none, or does not hold the leaves that are wanted.
    """
    if not data.startswith(_MAGIC):
        raise Corrupt("engine.past", "a blob that should hold the past of a definition holds something else")
    try:
        parts = msgspec.msgpack.decode(
            zstandard.ZstdDecompressor().decompress(data[len(_MAGIC) :]), type=dict[str, bytes]
        )
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise Corrupt("engine.past", f"the past of a definition cannot be read: {error}") from error
    fold = Fold.load(parts, load_project(order.files).rules, catalog)
    if fold.leaves() != sorted(order.leaves):
        raise Corrupt("engine.past", f"the past of version {order.version} holds other leaves than it should")
    return fold
