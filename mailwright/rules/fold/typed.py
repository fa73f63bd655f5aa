"""Typed columns: the properties that rules read, one set of columns per path, beside an event's JSON in History.

For a path such as ``total`` there are ``kind_total`` (what the value is) and, where such values occurred,
``number_total`` (exact micro-units), ``text_total`` and ``boolean_total``. A null kind means that nobody looked: the
path was not read when the file was written. A kind of OTHER means that the value is in the JSON alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.filters import quick_paths
from mailwright.rules.fold.plan import Rules
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.rules.values import no_items

MISSING, WHOLE, DECIMAL, TEXT, TRUTH, OTHER = range(6)
UNKNOWN = -1
"""The kind of a cell that was not looked at; null in the file."""

ZONE = ("context", "timezone")
_KINDS: Mapping[type, int] = {type(None): MISSING, int: WHOLE, float: DECIMAL, str: TEXT, bool: TRUTH}
_PLAIN = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MICRO = 10**6
_WHOLE_LIMIT = (2**63 - 1) // _MICRO
_DECIMAL_LIMIT = 1e9  # of the value: its micro-units have 15 digits at most
_OTHER: list[Any] = []

Path = tuple[str, ...]


def column_suffix(path: Path) -> str:
    """What the columns of a path are called after ``kind_``, ``number_``, ``text_`` and ``boolean_``.

    Steps in lower-case letters, digits and single underscores stand as they are, joined by two underscores. Any other
    name is cut to such letters and made unique by eight digits of its SHA-256, as column names know no capitals.
    """
    if all(_PLAIN.fullmatch(step) for step in path):
        return "__".join(path)
    digest = hashlib.sha256("\0".join(path).encode()).hexdigest()[:8]
    cut = "__".join(re.sub(r"[^a-z0-9]+", "_", step.lower()).strip("_") for step in path)
    return f"{cut[:40]}_{digest}"


def paths_of(rules: Rules) -> list[Path]:
    """Every path of an event that rules read and a typed column can hold, sorted; ``timezone``, which all read, too.

    Left out are paths to facts of the catalog, which depend on when they are asked, and paths inside ``any of``.
    """
    found = {ZONE}.union(*map(_read_by, rules.expressions().values()))
    return sorted(path for path in found if path and "product" not in path)


def _read_by(node: Any) -> set[Path]:
    if isinstance(node, tuple):
        return set().union(*(_read_by(part) for part in node))
    if not isinstance(node, s.Node) or isinstance(node, s.Trait | s.AnyOf):
        return set()
    if isinstance(node, s.ContextFact):
        return {("context", *node.path)}
    found: set[Path] = set()
    for name in node.__struct_fields__:
        value = getattr(node, name)
        if name == "same":
            found |= set(value)
        elif name in ("path", "key"):
            found.add(value)
        else:
            found |= _read_by(value)
    return found


# --- writing ---------------------------------------------------------------------------------------------------------


def columns_of(objects: Sequence[Mapping[str, Any]], path: Path) -> dict[str, pa.Array]:
    """The typed columns of one path for one object each; those without a value are left out, but never the kinds.

    Args:
        objects: Properties of events, or for a path that begins with ``context`` their contexts.
        path: As rules say it.
    """
    values = _values(objects, path[1:] if path[0] == "context" else path)
    kinds = np.array([_KINDS.get(type(value), OTHER) for value in values], dtype=np.int8)
    suffix = column_suffix(path)
    columns: dict[str, pa.Array] = {}
    number, kinds = _numbers(values, kinds)
    if number is not None:
        columns[f"number_{suffix}"] = number
    for kind, prefix, arrow in ((TEXT, "text", pa.string()), (TRUTH, "boolean", pa.bool_())):
        chosen = kinds == kind
        if chosen.any():
            plain = [value if fits else None for value, fits in zip(values, chosen.tolist(), strict=True)]
            columns[f"{prefix}_{suffix}"] = pa.array(plain, arrow)
    return {f"kind_{suffix}": pa.array(kinds, pa.int8()), **columns}


def _values(objects: Sequence[Mapping[str, Any]], path: Path) -> list[Any]:
    if len(path) == 1:
        step = path[0]
        return [each.get(step) if each else None for each in objects]
    head = path[0]
    return [_one(quick_paths(each, path, Instant(0), no_items)) if head in each else None for each in objects]


def _one(found: list[Any]) -> Any:
    """The only value there is; None for none, and what no column holds for several."""
    return found[0] if len(found) == 1 else _OTHER if found else None


def _numbers(values: Sequence[Any], kinds: NDArray[np.int8]) -> tuple[pa.Array | None, NDArray[np.int8]]:
    """Micro-units of the values that have an exact number of them; the kinds, with OTHER for those that do not."""
    cells, empty, kinds = np.zeros(len(values), dtype=np.int64), np.ones(len(values), dtype=bool), kinds.copy()
    for kind, units_of in ((WHOLE, _whole_units), (DECIMAL, _decimal_units)):
        place = np.flatnonzero(kinds == kind)
        if len(place):
            chosen = values if len(place) == len(values) else [values[at] for at in place.tolist()]
            units, exact = units_of(chosen)
            kinds[place[~exact]] = OTHER
            cells[place], empty[place] = units, ~exact
    return (None if empty.all() else pa.array(cells, mask=empty)), kinds


def _whole_units(values: Sequence[int]) -> tuple[Ints, Bools]:
    """Micro-units, and which of them are right."""
    fits = [-_WHOLE_LIMIT <= value <= _WHOLE_LIMIT for value in values]
    if not all(fits):
        values = [value if fit else 0 for value, fit in zip(values, fits, strict=True)]
    return np.array(values, dtype=np.int64) * _MICRO, np.array(fits, dtype=bool)


def _decimal_units(values: Sequence[float]) -> tuple[Ints, Bools]:
    """Micro-units, and which of them are right.

    A double of at most 15 digits is the decimal that it shows. -0.0 shows a sign that units have not.
    """
    plain = np.array(values, dtype=np.float64)
    small = np.abs(plain) < _DECIMAL_LIMIT
    units = np.rint(np.where(small, plain, 0.0) * _MICRO)
    exact = small & (units / _MICRO == plain) & ~(np.signbit(plain) & (plain == 0))
    return units.astype(np.int64), exact


# --- reading ---------------------------------------------------------------------------------------------------------


class Typed:
    """The cells of one path for the events of a block, in their order."""

    def __init__(
        self,
        kind: pa.Array,
        number: pa.Array | None = None,
        text: pa.Array | None = None,
        truth: pa.Array | None = None,
    ) -> None:
        """Take columns as they lie in History; one that no value ever needed is None."""
        self._number, self._text, self._truth = number, text, truth
        self._whole: tuple[Typed, Ints] | None = None
        self.kind: NDArray[np.int8] = np.asarray(kind.fill_null(UNKNOWN).to_numpy(zero_copy_only=False), dtype=np.int8)

    def take(self, rows: Ints) -> Typed:
        """The cells of some events; what they hold is looked at when asked."""
        taken = Typed.__new__(Typed)
        taken._whole, taken.kind = (self, rows), self.kind[rows]
        return taken

    @cached_property
    def covered(self) -> Bools:
        """Where the cell says all there is."""
        return np.asarray((self.kind != UNKNOWN) & (self.kind != OTHER))

    @cached_property
    def units(self) -> Ints:
        """Micro-units; 0 where there is no number."""
        if self._whole is not None:
            whole, rows = self._whole
            return whole.units[rows]
        if self._number is None:
            return np.zeros(len(self.kind), dtype=np.int64)
        return np.asarray(self._number.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)

    @cached_property
    def _coded(self) -> tuple[Ints, list[str]]:
        if self._whole is not None:
            whole, rows = self._whole
            return whole.codes[rows], whole.words
        if self._text is None:
            return np.full(len(self.kind), -1, dtype=np.int64), []
        coded = self._text if pa.types.is_dictionary(self._text.type) else self._text.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return codes.astype(np.int64), coded.dictionary.to_pylist()

    @property
    def codes(self) -> Ints:
        """Place of the text in `words`; -1 where there is none."""
        return self._coded[0]

    @property
    def words(self) -> list[str]:
        """The distinct texts, in order of first appearance."""
        return self._coded[1]

    @cached_property
    def truths(self) -> Bools:
        """True where the value is true."""
        if self._whole is not None:
            whole, rows = self._whole
            return whole.truths[rows]
        if self._truth is None:
            return np.zeros(len(self.kind), dtype=bool)
        return np.asarray(self._truth.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    def value(self, at: int) -> Any:
        """The value of one covered cell, as the event had it."""
        match int(self.kind[at]):
            case k if k == WHOLE:
                return int(self.units[at]) // _MICRO
            case k if k == DECIMAL:
                return int(self.units[at]) / _MICRO
            case k if k == TEXT:
                return self.words[self.codes[at]]
            case k if k == TRUTH:
                return bool(self.truths[at])
            case _:
                return None
