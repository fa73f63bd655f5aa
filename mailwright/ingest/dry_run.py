"""What an import would do, told before it does anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mailwright.core.errors import InvalidInput, Issue
from mailwright.ingest.mapping import RowMapping


class Checked(NamedTuple):
    """What the door would say to a call: faults as (field, reason)."""

    refused: Sequence[tuple[str, str]] = ()
    warned: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an import would do.

    Attributes:
        n_rows: Rows read; `n_good` of them would be taken whole.
        faults: The first faults, by line; `n_faults` all of them.
        unused: Columns of the file that the mapping does not read.
        examples: The first calls.
    """

    n_rows: int
    n_good: int
    n_faults: int
    faults: Sequence[Issue]
    unused: Sequence[str]
    examples: Sequence[Mapping[str, Any]]


def dry_run(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    mapping: RowMapping,
    check: Callable[[Mapping[str, Any]], Checked],
    *,
    columns: Sequence[str] | None,
    unreadable: Sequence[Issue] = (),
    keep: int = 20,
    show: int = 3,
) -> DryRun:
    """Map every row and ask the door, sending nothing.

    Args:
        rows: As `mailwright.ingest.files.read_rows` gives them.
        mapping: Already checked against `columns`.
        check: What the door would say.
        columns: Of the file, None if unknown.
        unreadable: The list that the reader's `on_fault` appends to.
        keep: How many faults to list.
        show: How many calls to show.
    """
    faults: list[Issue] = []
    examples: list[Mapping[str, Any]] = []
    n_rows = n_good = n_faults = 0
    for line, row in rows:
        n_rows += 1
        call, found = _tried(line, row, mapping, check)
        n_good += not found
        n_faults += len(found)
        faults += found[: max(0, keep - len(faults))]
        if call and len(examples) < show:
            examples.append(call)
    return DryRun(
        n_rows=n_rows + len(unreadable),
        n_good=n_good,
        n_faults=n_faults + len(unreadable),
        faults=[*unreadable, *faults][:keep],
        unused=[column for column in columns or () if column not in mapping.columns],
        examples=examples,
    )


def _tried(
    line: int, row: Mapping[str, Any], mapping: RowMapping, check: Callable[[Mapping[str, Any]], Checked]
) -> tuple[Mapping[str, Any] | None, list[Issue]]:
    try:
        call = mapping.call(line, row)
    except InvalidInput as error:
        return None, list(error.issues)
    told = check(call)
    return call, [
        Issue(path=f"line {line}, {place}", message=reason) for place, reason in (*told.refused, *told.warned)
    ]
