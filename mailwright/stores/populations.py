"""How many people live where: a table of the user's, from which a place is called urban or rural.

Either GeoNames' own files (``cities500.txt`` and the like: 19 columns divided by tabs, no heading), or CSV or TSV whose
first line names the columns: ``city``, ``country`` (alpha-2), ``population`` and, if there is one, ``region`` (code)
and ``geoname_id``.
"""

from __future__ import annotations

import csv
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from mailwright.core.errors import InvalidInput
from mailwright.core.place_names import folded
from mailwright.stores.geonames import geonames_rows

_log = logging.getLogger(__name__)

_GEONAMES_COLUMNS = 19
_NEEDED = ("city", "country", "population")


class _Row(NamedTuple):
    geoname_id: int | None
    country: str
    region: str
    names: tuple[str, ...]
    population: int


class Populations:
    """City -> urban or rural. Read with the first question; kept are two words per city, about 0.2 KB each."""

    def __init__(self, path: Path, urban_from: int) -> None:
        """A place with at least `urban_from` people is urban, by the table at `path`."""
        self._path = path
        self._urban_from = urban_from
        self._by_id: dict[int, str] = {}
        self._by_name: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()
        self._done = False

    def read(self) -> None:
        """Read the table.

        Raises:
            InvalidInput: If it is not there, lacks a column, or has a population that is no number, with its line.
        """
        path = self._path
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                for row in _rows(stream, path):
                    self._take(row, "urban" if row.population >= self._urban_from else "rural")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _fault(path, f"cannot be read: {error}") from error

    def _read_once(self) -> None:
        with self._lock:
            if self._done:
                return
            try:
                self.read()
            except InvalidInput as error:  # it costs this one word, never an event
                _log.warning("[context] population_file: %s; %s", error.message, error.issues[0].hint)
            self._done = True

    def _take(self, row: _Row, area: str) -> None:
        if row.geoname_id is not None:
            self._by_id[row.geoname_id] = area
        for name in {folded(each) for each in row.names}:
            for key in {(row.country, row.region, name), (row.country, "", name)}:
                # Two places of one name, one of them large: nobody knows which is meant.
                self._by_name[key] = area if self._by_name.get(key, area) == area else ""

    def area(self, geoname_id: object, country: str, region_code: str, city: str) -> str:
        """``urban``, ``rural``, or empty for a city that is not listed or cannot be told from another."""
        if not self._done:
            self._read_once()
        if isinstance(geoname_id, int) and geoname_id in self._by_id:
            return self._by_id[geoname_id]
        name = folded(city)
        return self._by_name.get((country, region_code, name)) or self._by_name.get((country, "", name), "")


def _rows(stream: IO[str], path: Path) -> Iterator[_Row]:
    first = stream.readline()
    stream.seek(0)
    columns = first.rstrip("\r\n").split("\t")
    if len(columns) == _GEONAMES_COLUMNS and columns[0].isdigit():
        for line, cells in geonames_rows(stream, _GEONAMES_COLUMNS, lambda message: _fault(path, message)):
            yield _Row(int(cells[0]), cells[8].upper(), cells[10], (cells[1], cells[2]), _number(path, line, cells[14]))
        return
    reader = csv.DictReader(stream, delimiter="\t" if len(columns) > 1 else ",")
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise _fault(path, f"has no column {missing[0]!r}; it has {', '.join(reader.fieldnames or ())}")
    for row in reader:
        told = row.get("geoname_id") or ""
        yield _Row(
            int(told) if told.isdigit() else None,
            (row["country"] or "").strip().upper(),
            (row.get("region") or "").strip(),
            (row["city"] or "",),
            _number(path, reader.line_num, row["population"] or "0"),
        )


def _number(path: Path, line: int, text: str) -> int:
    try:
        return int(text.strip() or "0")
    except ValueError:
        raise _fault(path, f"line {line}: the population {text!r} is no whole number") from None


def _fault(path: Path, message: str) -> InvalidInput:
    return InvalidInput.one(
        "context.population_file",
        f"{path.name} {message}",
        path="mailwright.toml: context.population_file",
        hint="use a file of GeoNames such as cities500.txt, or CSV with the columns city, country, population",
    )
