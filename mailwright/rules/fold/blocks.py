"""Events of History as blocks of columns, and filters asked of whole blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from mailwright.core.events import Event
from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import Whole
from mailwright.rules.fold.feeds import ANY
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.rules.fold.typed import DECIMAL, MISSING, TEXT, TRUTH, WHOLE, Path, Typed
from mailwright.rules.values import ANY_PAGE, ANY_SCREEN, compare, constant

_PLAIN = re.compile(r"[A-Za-z0-9_]+")  # such a name is written in JSON in one way alone

Call = tuple[str, str]
"""Type and name of an event."""


@dataclass(slots=True, kw_only=True)
class Block:
    """Some events in order of offset, as parallel columns.

    Attributes:
        offset, person, stamp, known: Of each event; instants in microseconds.
        call: Each event's place in `calls`.
        calls: The distinct (type, name) of the block.
        typed: Typed columns by path; a path that is not here must be asked of the events.
        read: Makes the events of the rows asked for, in the order asked; slow beside columns.
        naming: Which of some rows may have a key of that name, in ASCII, anywhere in their traits; None: any may.
    """

    offset: Ints
    person: Ints
    stamp: Ints
    known: Ints
    call: Ints
    calls: Sequence[Call]
    typed: Mapping[Path, Typed]
    read: Callable[[Ints], list[Event]]
    naming: Callable[[Ints, str], Bools] | None = None
    _events: dict[int, Event] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offset)

    def events(self, rows: Ints) -> list[Event]:
        """The events of some rows; each is made once."""
        lacking = np.array([row for row in rows.tolist() if row not in self._events], dtype=np.int64)
        if len(lacking):
            self._events.update(zip(lacking.tolist(), self.read(lacking), strict=True))
        return [self._events[row] for row in rows.tolist()]

    def telling(self, trait: str, rows: Ints) -> Ints:
        """Those of the rows that may tell of a trait."""
        plain = self.naming is not None and _PLAIN.fullmatch(trait) and len(rows)
        return rows[self.naming(rows, trait)] if plain and self.naming else rows

    def named(self, name: str) -> Ints:
        """Rows of the events that rules call `name`, ascending."""
        chosen = np.array([name in names_of_call(*call) for call in self.calls], dtype=bool)
        return np.flatnonzero(chosen[self.call]) if chosen.any() else np.zeros(0, dtype=np.int64)

    def of_type(self, kind: str) -> Ints:
        """Rows of the calls of one type, ascending."""
        chosen = np.array([call[0] == kind for call in self.calls], dtype=bool)
        return np.flatnonzero(chosen[self.call]) if chosen.any() else np.zeros(0, dtype=np.int64)


def names_of_call(kind: str, name: str) -> tuple[str, ...]:
    """`values.names_of`, with the name by which sessions read every call."""
    own = (name,) if name else ()
    match kind:
        case "track":
            return (*own, ANY)
        case "page":
            return (*own, ANY_PAGE, ANY)
        case "screen":
            return (*own, ANY_SCREEN, ANY)
        case _:
            return ()


def paths_asked(where: s.Expression | None) -> set[Path] | None:
    """The paths that a filter asks about; None if it holds what columns cannot answer."""
    match where:
        case None | s.Always():
            return set()
        case s.And(terms=terms) | s.Or(terms=terms):
            found = [paths_asked(term) for term in terms]
            return None if None in found else set().union(*(each for each in found if each is not None))
        case s.Not(term=term):
            return paths_asked(term)
        case (
            s.Property(path=path)
            | s.IsKnown(value=s.Property(path=path))
            | s.In(value=s.Property(path=path))
            | s.Compare(left=s.Property(path=path), right=s.Constant())
            | s.BetweenValues(value=s.Property(path=path), low=s.Constant(), high=s.Constant())
        ):
            return {path}
        case _:
            return None


def holding(where: s.Expression | None, typed: Mapping[Path, Typed]) -> Bools | np.bool_:
    """What `values.holds` says of each event of a block whose asked cells are covered; anything for the others.

    Args:
        where: A filter for which `paths_asked` is not None.
        typed: Columns of all those paths.
    """
    match where:
        case s.And(terms=terms):
            return np.asarray(np.logical_and.reduce([_spread(holding(term, typed), typed) for term in terms]))
        case s.Or(terms=terms):
            return np.asarray(np.logical_or.reduce([_spread(holding(term, typed), typed) for term in terms]))
        case s.Not(term=term):
            return np.logical_not(holding(term, typed))
        case s.Property(path=path):
            return np.asarray((typed[path].kind == TRUTH) & typed[path].truths)
        case s.IsKnown(value=s.Property(path=path)):
            return np.asarray(typed[path].kind != MISSING)
        case s.In(value=s.Property(path=path), options=options):
            return _any(_compared("=", typed[path], constant(option)) for option in options)
        case s.Compare(op=op, left=s.Property(path=path), right=s.Constant() as right):
            return _compared(op, typed[path], constant(right))
        case s.BetweenValues(value=s.Property(path=path), low=s.Constant() as low, high=s.Constant() as high):
            return _compared(">=", typed[path], constant(low)) & _compared("<=", typed[path], constant(high))
        case _:
            return np.bool_(True)


def _spread(answer: Bools | np.bool_, typed: Mapping[Path, Typed]) -> Bools:
    n = len(next(iter(typed.values())).kind) if typed else 1
    return np.broadcast_to(answer, (n,))


def _any(answers: Any) -> Bools | np.bool_:
    found = list(answers)
    return np.asarray(np.logical_or.reduce(found)) if found else np.bool_(False)


def _compared(op: Any, cells: Typed, limit: Any) -> Bools:
    """`values.compare` of each covered cell with a constant; text is asked once per distinct value."""
    inside: Bools = np.zeros(len(cells.kind), dtype=bool)
    if isinstance(limit, str):
        told = np.array([*(compare(op, word, limit) for word in cells.words), False], dtype=bool)
        inside |= (cells.kind == TEXT) & told[cells.codes]
    elif isinstance(limit, bool):
        told = np.array([compare(op, False, limit), compare(op, True, limit)], dtype=bool)
        inside |= (cells.kind == TRUTH) & told[cells.truths.astype(np.int64)]
    elif isinstance(limit, Decimal) and op in ("=", "!=", "<", "<=", ">", ">="):
        known: Bools = (cells.kind == WHOLE) | (cells.kind == DECIMAL)
        inside |= Whole(cells.units, known, "micro", cells.units).compared(op, limit, list)
    return inside
