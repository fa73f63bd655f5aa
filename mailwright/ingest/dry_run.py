"""What an import would do, told before it does anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailwright.core.errors import Issue
from mailwright.ingest.identifiers import is_address, is_phone
from mailwright.ingest.mapping import RowMapping

_KEPT_EXAMPLES = 3
_EXAMPLE_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReport:
    """What becomes of a column: `to` is empty for one that is not read; personal `examples` are masked."""

    column: str
    to: str
    type: str
    n_filled: int
    examples: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What becomes of one file.

    Attributes:
        name: Of the file; empty where the rows are all of one table.
        columns: Those that are read first.
        absent: What could be filled, and the columns of which none is there.
    """

    name: str
    columns: Sequence[ColumnReport]
    absent: Sequence[tuple[str, Sequence[str]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an import would do.

    Attributes:
        n_rows: Rows read; `n_good` of them would be taken whole.
        faults: The first faults, by line; `n_faults` all of them.
        unused: Columns of the file that the mapping does not read.
        made: What the rows become -> how many (``identify``, ``Order Completed``, ``consent granted``, ...).
        passed_over: Rows that are no fault and yet nothing to take -> how many, by what they are; empty words: by none.
    """

    n_rows: int
    n_good: int
    n_faults: int
    faults: Sequence[Issue]
    unused: Sequence[str]
    made: Mapping[str, int] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_passed_over(self) -> int:
        """Rows that were passed over."""
        return sum(self.passed_over.values())


class Report(Protocol):
    """Looks at rows as they pass."""

    def see(self, row: Mapping[str, Any]) -> None:
        """Another row."""
        ...

    def told(self) -> FileReport:
        """What becomes of what was seen."""
        ...


class Tally:
    """How often each column is filled, and with what. `is_personal`: whether a name's values are masked."""

    def __init__(self, columns: Iterable[str], is_personal: Callable[[str], bool]) -> None:
        self._is_personal = is_personal
        self.n_filled: dict[str, int] = dict.fromkeys(columns, 0)
        self._examples: dict[str, list[str]] = {}

    def see(self, column: str, value: Any, to: str) -> None:
        """A column of another row; `to`: where it goes, empty if that is not known."""
        if value is None or value == "":
            return
        self.n_filled[column] = self.n_filled.get(column, 0) + 1
        kept = self._examples.setdefault(column, [])
        if len(kept) < _KEPT_EXAMPLES and (text := self._shown(value, to or column)) not in kept:
            kept.append(text)

    def examples(self, column: str) -> Sequence[str]:
        """The first different values of a column, as they may be seen by anybody."""
        return self._examples.get(column, [])

    def _shown(self, value: Any, place: str) -> str:
        """A value as it may be seen by anybody: of a personal one the first character stays."""
        text = " ".join(str(value).split())
        if is_address(text):
            name, _, domain = text.rpartition("@")
            return f"{name[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
        if self._is_personal(place) or self._is_personal(place.rpartition(".")[2]):
            return f"{text[:1]}***"
        if text.startswith("+") and is_phone(text):
            return f"{text[:3]}***"
        return text if len(text) <= _EXAMPLE_CHARS else f"{text[: _EXAMPLE_CHARS - 3]}..."


class MappingReport:
    """Looks at rows that go by a mapping and tells what becomes of each column."""

    def __init__(self, mapping: RowMapping, columns: Sequence[str] | None, is_personal: Callable[[str], bool]) -> None:
        """`columns` of the file, None if every row has its own; `is_personal`: whether a target's values are masked."""
        self._mapping = mapping
        self._tally = Tally([*(columns or ()), *mapping.columns], is_personal)
        self.n_rows = 0

    def see(self, row: Mapping[str, Any]) -> None:
        """Another row."""
        self.n_rows += 1
        cells = self._mapping.cells
        for column, value in row.items():
            self._tally.see(column, value, cells[column].to if column in cells else "")

    def told(self) -> FileReport:
        """All columns, those that are read first."""
        return FileReport(name="", columns=self.columns())

    def columns(self) -> list[ColumnReport]:
        """All columns, those that are read first."""
        cells, tally = self._mapping.cells, self._tally
        return [
            ColumnReport(
                column=column,
                to=cells[column].to if column in cells else "",
                type=(cells[column].type or "as it comes") if column in cells else "",
                n_filled=tally.n_filled[column],
                examples=tally.examples(column),
            )
            for column in sorted(tally.n_filled, key=lambda column: column not in cells)
        ]
