"""``python -m bench [NAME ...]``: runs every bench one after another, prints one table and writes bench/results.json.

A bench is a module in this folder with a function ``rows()`` that gives mappings of what, on, figure, unit and beside:
what was measured, on what, the figure with its unit, and the peer or limit that was measured beside it in the same run.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent
COLUMNS = ("what", "on", "figure", "unit", "beside")

Row = Mapping[str, Any]


def benches() -> list[str]:
    """Names of the modules in this folder that measure something; found without importing them."""
    found = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
    return [path.stem for path in found if "def rows(" in path.read_text(encoding="utf-8")]


def run(name: str) -> list[dict[str, Any]]:
    """The rows of one bench, each with the bench's name."""
    rows: Callable[[], Sequence[Row]] = importlib.import_module(f"bench.{name}").rows
    return [{"bench": name, **{column: row[column] for column in COLUMNS}} for row in rows()]


def table(rows: Sequence[Row]) -> Table:
    """All rows for the console."""
    shown = Table("bench", *COLUMNS[:2], show_lines=False)
    shown.add_column("figure", justify="right")
    for name in COLUMNS[3:]:
        shown.add_column(name)
    for row in rows:
        shown.add_row(row["bench"], row["what"], row["on"], f"{row['figure']:,}", row["unit"], row["beside"])
    return shown


def main(wanted: Sequence[str]) -> int:
    """Run the benches named, or all; 1 if one of them failed, 2 if there is none of a name."""
    known = benches()
    unknown = [name for name in wanted if name not in known]
    console = Console()
    if unknown:
        console.print(f"there is no bench {unknown[0]!r}; there are {', '.join(known)}")
        return 2
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for name in wanted or known:
        started = time.monotonic()
        console.print(f"{name} ...", end=" ")
        try:
            rows += run(name)
        except Exception as error:  # noqa: BLE001 one bench that breaks must not lose the figures of the others
            failed[name] = f"{type(error).__name__}: {error}"
        console.print(f"{time.monotonic() - started:.0f} s" + (f", failed: {failed[name]}" if name in failed else ""))
    console.print(table(rows))
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    told = {"machine": machine, "rows": rows, "failed": failed}
    (FOLDER / "results.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    console.print("Written to bench/results.json")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
