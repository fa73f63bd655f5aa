"""The fold over blocks of History: the same state as from event after event, without making the events.

Where a filter and a path are covered by typed columns, a block becomes rows by array operations. Other events are
made, but only those whose name a leaf reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold.blocks import Block, holding, paths_asked
from mailwright.rules.fold.feeds import Arrival, Feed, Source
from mailwright.rules.fold.filters import Test, compiled, quick_elements
from mailwright.rules.fold.live import Fold
from mailwright.rules.fold.plan import Rules
from mailwright.rules.fold.rows import MISSING as NO_CODE
from mailwright.rules.fold.rows import Bools, Dictionary, Ints, Rows
from mailwright.rules.fold.typed import DECIMAL, MISSING, TEXT, TRUTH, WHOLE, Path, Typed
from mailwright.rules.values import ItemLookup, paths, to_micro_units, trait_write

_PLAIN = ("event", "stamp", "kept", "points")


def fill(
    rules: Rules,
    catalog: Catalog,
    blocks: Iterable[Block],
    at: Instant,
    people: int | Sequence[str],
    leaves: Collection[str] | None = None,
) -> Fold:
    """A fold as of `at` from blocks of events: exactly what ingesting them all, and then ticking at `at`, makes.

    Args:
        rules: What to keep.
        catalog: Items; the facts in force at each event's stamp are those that it knows now.
        blocks: Events in order of offset, without duplicates. They are consumed one after another.
        at: The instant. Events that are due later wait in the fold, as they would live.
        people: ``kind:value`` of each person's first identifier, or only how many people there are: then nobody is
            evaluated, and the fold is a part to be combined.
        leaves: Keys of the leaves to fill; the fold has no others and evaluates nobody. None: all.

    Returns:
        The fold; of a part, memberships and answers mean nothing.
    """
    fold = Fold(rules, catalog) if leaves is None else Fold.of_leaves(rules, catalog, leaves)
    n_people = people if isinstance(people, int) else len(people)
    fold.count(at, n_people)  # the edges of windows first: what lies before them is never kept
    filling = Filling(fold, catalog.facts)
    for block in blocks:
        filling.take(block, at)
    if leaves is None and not isinstance(people, int):
        fold.tick(at, people)
    return fold


class Filling:
    """Hands blocks to the feeds of a fold."""

    def __init__(self, fold: Fold, items: ItemLookup) -> None:
        self._fold = fold
        self._items = items
        self._feeds = list(fold.feeds.values())
        self._tests: dict[s.Expression | None, Test] = {}

    def take(self, block: Block, at: Instant) -> None:
        """Count the events of a block that are due at `at`; the others wait in the fold."""
        due = np.maximum(block.stamp, block.known) <= at
        met: dict[tuple[str, s.Expression | None], Ints] = {}
        for feed in self._feeds:
            rows, place, value = self._read(feed, block, due, met)
            if len(rows):
                told = Rows(block.person[rows], block.stamp[rows], block.offset[rows], place, value)
                kept = self._slim(feed, block, rows) if feed.source.kind == "kept" else ()
                self._fold.fold_in(feed.source.key(), told, kept)
        waiting = np.flatnonzero(~due)
        columns = (block.offset[waiting].tolist(), block.person[waiting].tolist(), block.events(waiting))
        self._fold.ingest([Arrival(Offset(o), Person(p), event) for o, p, event in zip(*columns, strict=True)])
        if len(block):
            self._fold.reached(Offset(int(block.offset[-1])))

    def _slim(self, feed: Feed, block: Block, rows: Ints) -> list[Event]:
        return [feed.slim(event) for event in block.events(rows)]

    def _read(
        self, feed: Feed, block: Block, due: Bools, met: dict[tuple[str, s.Expression | None], Ints]
    ) -> tuple[Ints, Ints, Ints]:
        """(row, place in a list, value) of everything that a feed takes from due events of a block, by row."""
        source = feed.source
        if source.kind == "trait":
            return self._writes(feed, block, _due(block.of_type("identify"), due))
        if source.kind == "context":
            return self._context(feed, block, np.flatnonzero(due))
        parts = [self._named(feed, name, block, due, met) for name in source.names]
        rows, place, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        if len(parts) == 1:
            return rows, place, value
        # What goes by two of the names is kept once, but it scores for both.
        once = source.kind == "kept"
        order = np.unique(rows, return_index=True)[1] if once else np.argsort(rows, kind="stable")
        return rows[order], place[order], value[order]

    def _named(
        self, feed: Feed, name: str, block: Block, due: Bools, met: dict[tuple[str, s.Expression | None], Ints]
    ) -> tuple[Ints, Ints, Ints]:
        source = feed.source
        key = (name, source.where)
        if key not in met:
            met[key] = self._meeting(source.where, block, _due(block.named(name), due))
        rows = met[key]
        if source.lateness is not None and source.kind not in ("number", "points"):
            rows = rows[block.known[rows] - block.stamp[rows] <= source.lateness]
        if source.kind in _PLAIN:
            return rows, np.zeros(len(rows), np.int64), _plain(source, name, block, rows)
        return self._elements(feed, block, rows)

    def _meeting(self, where: s.Expression | None, block: Block, rows: Ints) -> Ints:
        """Those of the rows whose event meets the filter."""
        if where is None or not len(rows):
            return rows
        asked = paths_asked(where)
        if asked is None or not asked <= block.typed.keys():
            return rows[self._asked(where, block, rows)]
        typed = {path: block.typed[path].take(rows) for path in asked}
        met = np.array(np.broadcast_to(holding(where, typed), (len(rows),)))
        covered = np.logical_and.reduce([np.ones(len(rows), dtype=bool), *(each.covered for each in typed.values())])
        if not covered.all():
            met[~covered] = self._asked(where, block, rows[~covered])
        return rows[met]

    def _asked(self, where: s.Expression, block: Block, rows: Ints) -> Bools:
        test = self._tests.get(where)
        if test is None:
            test = self._tests[where] = compiled(where, self._items)
        return np.array([test(event, None) for event in block.events(rows)], dtype=bool)

    def _elements(self, feed: Feed, block: Block, rows: Ints) -> tuple[Ints, Ints, Ints]:
        cells, plain, open_rows = _split(block, feed.source.path, rows)
        made = [quick_elements(event, feed.source.path, self._items) for event in block.events(open_rows)]
        return _joined(feed, cells, plain, open_rows, made)

    def _context(self, feed: Feed, block: Block, rows: Ints) -> tuple[Ints, Ints, Ints]:
        path = feed.source.path
        cells, plain, open_rows = _split(block, ("context", *path), rows)
        found = [
            paths(event.context, path, event.stamp_at, self._items) if event.context else []
            for event in block.events(open_rows)
        ]
        return _joined(feed, cells, plain, open_rows, [values[:1] for values in found])

    def _writes(self, feed: Feed, block: Block, rows: Ints) -> tuple[Ints, Ints, Ints]:
        rows = block.telling(feed.source.path[0], rows)
        taken, codes = [], []
        for row, event in zip(rows.tolist(), block.events(rows), strict=True):
            written, value = trait_write(event.traits, feed.source.path) if event.traits else (False, None)
            if written:
                taken.append(row)
                codes.append(feed.words.code(value))
        return np.array(taken, np.int64), np.zeros(len(taken), np.int64), np.array(codes, np.int64)


def _due(rows: Ints, due: Bools) -> Ints:
    return rows if due.all() else rows[due[rows]]


def _plain(source: Source, name: str, block: Block, rows: Ints) -> Ints:
    match source.kind:
        case "stamp":
            return block.stamp[rows]
        case "points":
            return np.full(len(rows), dict(source.points)[name], dtype=np.int64)
        case _:
            return np.zeros(len(rows), dtype=np.int64)


def _split(block: Block, path: Path, rows: Ints) -> tuple[Typed | None, Ints, Ints]:
    """The cells of the rows that columns cover, those rows, and the rows whose events must be asked."""
    cells = block.typed.get(path)
    if cells is None:
        return None, rows[:0], rows
    covered = cells.covered[rows]
    plain = rows[covered & (cells.kind[rows] != MISSING)]
    return cells.take(plain), plain, rows[~covered]


def _joined(
    feed: Feed, cells: Typed | None, plain: Ints, open_rows: Ints, made: Sequence[Sequence[Any]]
) -> tuple[Ints, Ints, Ints]:
    """Rows of single cells and of events with any number of values, by row; codes in order of appearance."""
    if cells is not None and not len(open_rows):
        chosen, values = _cell_values(feed, cells)
        rows = plain[chosen]
        return rows, np.zeros(len(rows), np.int64), values
    found: dict[int, Sequence[Any]] = dict(zip(open_rows.tolist(), made, strict=True))
    if cells is not None:
        found |= {row: [cells.value(place)] for place, row in enumerate(plain.tolist())}
    told: list[tuple[int, int, int]] = []
    for row in sorted(found):
        told += [(row, place, value) for place, value in enumerate(_taken(feed, found[row]))]
    rows, places, values = np.array(told, dtype=np.int64).reshape(-1, 3).T
    return rows, places, values


def _taken(feed: Feed, values: Sequence[Any]) -> list[int]:
    """What `Feed` takes of an event's values."""
    match feed.source.kind:
        case "number":
            units = [to_micro_units(value) for value in values if type(value) in (int, float)]
            return [each for each in units if each is not None]
        case "each":
            return [0] * len(values)
        case _:
            return [feed.words.code(value) for value in values]


def _cell_values(feed: Feed, cells: Typed) -> tuple[Bools, Ints]:
    """Which of the cells a feed takes, and its value for those."""
    numbers: Bools = (cells.kind == WHOLE) | (cells.kind == DECIMAL)
    match feed.source.kind:
        case "number":
            return numbers, cells.units[numbers]
        case "each":
            return np.ones(len(numbers), dtype=bool), np.zeros(len(numbers), dtype=np.int64)
        case _:
            return np.ones(len(numbers), dtype=bool), _codes(feed.words, cells)


def _codes(words: Dictionary, cells: Typed) -> Ints:
    """The codes of cells of any kind. Distinct values are met in order of first appearance, as live."""
    plain = _as_numbers(cells)
    _, first, back = np.unique(plain, return_index=True, return_inverse=True, axis=0 if plain.ndim > 1 else None)
    codes = np.full(len(first), NO_CODE, dtype=np.int64)
    for place in np.argsort(first).tolist():
        codes[place] = words.code(cells.value(int(first[place])))
    return codes[back.reshape(-1)]


def _as_numbers(cells: Typed) -> Ints:
    """A number per cell, the same for the same value, and for equal ones that look different (1 and 1.0)."""
    texts: Bools = cells.kind == TEXT
    truths: Bools = cells.kind == TRUTH
    if texts.all():
        return cells.codes
    if not (texts.any() or truths.any()):
        return cells.units
    kind = np.where(texts, 0, np.where(truths, 1, 2))
    value = np.where(texts, cells.codes, np.where(truths, cells.truths, cells.units))
    return np.stack([kind, value], axis=1)


def columns_for(rules: Rules, leaves: Collection[str] | None = None) -> list[Path]:
    """The paths whose typed columns `fill` uses for these leaves (None: all), sorted."""
    feeds = (Fold(rules, Catalog()) if leaves is None else Fold.of_leaves(rules, Catalog(), leaves)).feeds
    found: set[Path] = set()
    for feed in feeds.values():
        source = feed.source
        found |= paths_asked(source.where) or set()
        if source.kind == "context":
            found.add(("context", *source.path))
        elif source.path and source.kind != "trait":
            found.add(source.path)
    return sorted(path for path in found if path and "product" not in path)
