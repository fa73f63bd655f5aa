"""Charts as data: drawn by ``assets/charts.js``, and shown as a table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of values, one per name of its chart; `low` and `high` are the ends of each value's interval."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        names: Days of ``line`` and ``stacked``, else what each bar or slice is called.
        unit: ``rate`` values are shares in [0, 1], shown as per cent.
        corner: What the names are, as the heading of the table's first column.
        label: What a screen reader says of the picture.
    """

    kind: Literal["line", "stacked", "bars", "ring"]
    names: Sequence[str]
    series: Sequence[Series]
    corner: str
    label: str
    unit: Literal["count", "rate"] = "count"

    @property
    def spec(self) -> str:
        """JSON for the browser."""
        told: dict[str, Any] = asdict(self)
        del told["corner"], told["label"]
        return msgspec.json.encode(told).decode()

    @property
    def rows(self) -> list[tuple[str, list[float | None]]]:
        """The table: a name and its values, one per series."""
        return [(name, [series.values[i] for series in self.series]) for i, name in enumerate(self.names)]
