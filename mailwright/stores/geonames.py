"""GeoNames' own files: columns divided by tabs, no heading, no quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mailwright.core.errors import MailwrightError


def geonames_rows(
    lines: Iterable[str], columns: int, fault: Callable[[str], MailwrightError]
) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row; empty lines are passed over.

    Raises:
        MailwrightError: What `fault` makes of a row with another number of columns.
    """
    for line, text in enumerate(lines, 1):
        cells = text.rstrip("\r\n").split("\t")
        if len(cells) != columns and cells != [""]:
            raise fault(f"line {line} has {len(cells)} columns, not {columns}")
        if len(cells) == columns:
            yield line, cells
