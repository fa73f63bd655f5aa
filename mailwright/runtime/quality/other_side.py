"""What another system says it counted: rows of a CSV in the project folder, or of a database."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.reports.quality.definitions import Reconciliation
from mailwright.runtime.settings import secret_from
from mailwright.stores.sql_rows import SqlRows

_ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})([T ].*)?")

_Row = tuple[str, Mapping[str, Any]]
"""Where it stands, in words, and its columns."""


def other_side(folder: Path, name: str, asked: Reconciliation) -> Mapping[str, tuple[float, float | None]]:
    """What the other system says: day (ISO) -> count, and sum or None.

    Raises:
        NotFound: If the file is missing.
        InvalidInput: ``quality.rows``, if a column is missing, a day is not written as ISO 8601 writes it or comes
            twice, or a count or sum is no number; or if the address is missing or wrong.
        Transient: If the database does not answer.
    """
    columns = ("day", "count", "sum") if asked.value else ("day", "count")
    rows = _file_rows(folder, asked.file, columns) if asked.file else _database_rows(name, asked, columns)
    found: dict[str, tuple[float, float | None]] = {}
    for place, row in rows:
        day = _day(place, row["day"])
        if day in found:
            raise _fault(place, f"{day} comes twice", "give one row a day")
        count = _number(place, "count", row["count"])
        if count is None:
            raise _fault(place, "there is no count", "write 0 where nothing happened")
        found[day] = (count, _number(place, "sum", row.get("sum")))
    return found


def _database_rows(name: str, asked: Reconciliation, columns: Sequence[str]) -> Iterator[_Row]:
    what = f"the database of reconciliation {name}"
    with SqlRows(secret_from(asked.url_env), what, query=asked.query, columns=columns) as database:
        for number, row in enumerate(database.rows(columns), 1):
            yield f"{name}, row {number}", row


def _file_rows(folder: Path, file: str, columns: Sequence[str]) -> Iterator[_Row]:
    path = folder / file
    if not path.is_file():
        raise NotFound("quality.file", f"there is no file {file} to compare with", "its path is the project's")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            header = reader.fieldnames or ()
            for column in columns:
                if column not in header:
                    hint = nearest(column, header) or f"its first line is: {','.join(columns)}"
                    raise _fault(f"{file}:1", f"the file has no column {column!r}", hint)
            for row in reader:
                yield f"{file}:{reader.line_num}", row
    except (UnicodeDecodeError, csv.Error) as error:
        raise _fault(file, f"it cannot be read as CSV: {error}", "save it as CSV in UTF-8") from None


def _day(place: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value or "").strip()
    found = _ISO_DAY.fullmatch(text)
    try:
        return date.fromisoformat(found[1] if found else "").isoformat()
    except ValueError:
        raise _fault(place, f"{text[:40]!r} is no day", "write days as 2026-11-21") from None


def _number(place: str, column: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _fault(place, f"the {column} {str(value)[:40]!r} is no number", "write numbers as 1234.5")
    return number


def _fault(place: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput.one("quality.rows", message, path=place, hint=hint)
