"""What an import would do, told before it does anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
class DryRun:
    """What an import would do.

    Attributes:
        n_rows: Rows read; `n_good` of them would be taken whole.
        faults: The first faults, by line; `n_faults` all of them.
        unused: Columns of the file that the mapping does not read.
        made: What the rows become -> how many (``identify``, ``Order Completed``, ``consent granted``, ...).
    """

    n_rows: int
    n_good: int
    n_faults: int
    faults: Sequence[Issue]
    unused: Sequence[str]
    made: Mapping[str, int] = field(default_factory=dict)


class MappingReport:
    """Looks at rows as they pass and tells what becomes of each column."""

    def __init__(self, mapping: RowMapping, columns: Sequence[str] | None, is_personal: Callable[[str], bool]) -> None:
        """`columns` of the file, None if every row has its own; `is_personal`: whether a target's values are masked."""
        self._mapping = mapping
        self._is_personal = is_personal
        self._filled: dict[str, int] = dict.fromkeys([*(columns or ()), *mapping.columns], 0)
        self._examples: dict[str, list[str]] = {}
        self.n_rows = 0

    def see(self, row: Mapping[str, Any]) -> None:
        """Another row."""
        self.n_rows += 1
        for column, value in row.items():
            if value is None or value == "":
                continue
            self._filled[column] = self._filled.get(column, 0) + 1
            kept = self._examples.setdefault(column, [])
            if len(kept) < _KEPT_EXAMPLES and (text := self._shown(column, value)) not in kept:
                kept.append(text)

    def columns(self) -> list[ColumnReport]:
        """All columns, those that are read first."""
        cells = self._mapping.cells
        ordered = sorted(self._filled, key=lambda column: column not in cells)
        return [
            ColumnReport(
                column=column,
                to=cells[column].to if column in cells else "",
                type=(cells[column].type or "as it comes") if column in cells else "",
                n_filled=self._filled[column],
                examples=self._examples.get(column, []),
            )
            for column in ordered
        ]

    def _shown(self, column: str, value: Any) -> str:
        """A value as it may be seen by anybody: of a personal one the first character stays."""
        cell = self._mapping.cells.get(column)
        text = " ".join(str(value).split())
        last = cell.to.rpartition(".")[2] if cell else column
        if is_address(text):
            name, _, domain = text.rpartition("@")
            return f"{name[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
        if self._is_personal(last) or (not cell and self._is_personal(column)):
            return f"{text[:1]}***"
        if text.startswith("+") and is_phone(text):
            return f"{text[:3]}***"
        return text if len(text) <= _EXAMPLE_CHARS else f"{text[: _EXAMPLE_CHARS - 3]}..."
