"""Postal codes with the places that have them: a table of the user's, kept as a file that is asked by key.

The table has GeoNames' postal code format: twelve columns divided by tabs, no heading; the first three are country,
postal code and place, the fourth, sixth and eighth what the place lies in. Once for each new table it is turned into a
database beside Mailwright's other data, of which a process keeps the few pages that it asks for, however large it is.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from mailwright.core.errors import InvalidInput
from mailwright.core.place_names import folded, spellings
from mailwright.stores.files import sync_folder, sync_path
from mailwright.stores.geonames import geonames_rows

_log = logging.getLogger(__name__)

_COLUMNS = 12
_FORMAT = 1
_MANY = 10_000
_SCHEMA = """
CREATE TABLE codes (country TEXT, code TEXT, names TEXT, around TEXT, PRIMARY KEY (country, code)) WITHOUT ROWID;
CREATE TABLE cities (country TEXT, name TEXT, PRIMARY KEY (country, name)) WITHOUT ROWID;
CREATE TABLE made_of (stamp TEXT);
"""
_PUT_CODE = """
INSERT INTO codes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    names = names || char(9) || excluded.names, around = around || char(9) || excluded.around
"""
_PUT_CITY = "INSERT OR IGNORE INTO cities VALUES (?, ?)"
_CODE = "SELECT names, around FROM codes WHERE country = ? AND code = ?"
_COUNTRY = "SELECT 1 FROM codes WHERE country = ? LIMIT 1"
_CITY = "SELECT 1 FROM cities WHERE country = ? AND name = ?"

_HEADS = {"CA": 3, "GB": -3, "IE": 3, "NL": 4, "US": 5}
"""Letters of a postal code that a table may have alone; less than none: all but so many."""


class PostalTable:
    """The PostalPlaces port. A table that is missing or broken is told in the log, and knows no country."""

    def __init__(self, path: Path, cache: Path) -> None:
        """Know what the table at `path` says; `cache` is the database made of it."""
        self._path = path
        self._cache = cache
        self._lock = threading.Lock()
        self._connection: Any = None
        self._tried = False

    def open(self) -> None:
        """Make the database if there is none of this table yet, and open it; else the first question does."""
        with self._lock:
            self._open()

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def knows(self, country: str) -> bool:
        """See `mailwright.core.ports.PostalPlaces.knows`."""
        return self._one(_COUNTRY, country) is not None

    def at(self, country: str, code: str) -> tuple[list[str], list[str]]:
        """See `mailwright.core.ports.PostalPlaces.at`."""
        whole = folded(code)
        found = self._one(_CODE, country, whole)
        if found is None and country in _HEADS:
            found = self._one(_CODE, country, whole[: _HEADS[country]])
        if found is None:
            return [], []
        names, around = ([each for each in dict.fromkeys(cell.split("\t")) if each] for cell in found)
        return names, around

    def is_city(self, country: str, name: str) -> bool:
        """See `mailwright.core.ports.PostalPlaces.is_city`."""
        return any(self._one(_CITY, country, each) is not None for each in spellings(name))

    def _one(self, statement: str, *values: str) -> Any:
        with self._lock:
            if not self._tried:
                self._open()
            if self._connection is None:
                return None
            try:
                return self._connection.execute(statement, values).fetchone()
            except sqlite.Error as error:
                self._drop(error)
                return None

    def _drop(self, error: sqlite.Error) -> None:
        """Give up a database that is damaged; the next process makes it anew, for which no visitor shall wait."""
        self._connection.close()
        self._connection = None
        told = "[forms] postal_codes: %s is damaged (%s) and made anew at the next start; till then it knows no country"
        _log.warning(told, self._cache.name, error)
        try:
            self._cache.unlink(missing_ok=True)
        except OSError as fault:
            _log.warning("[forms] postal_codes: %s cannot be removed: %s", self._cache.name, fault)

    def _open(self) -> None:
        self._tried = True
        try:
            stamp = self._stamp()
            if not _is_of(self._cache, stamp):
                self._make(stamp)
            self._connection = _opened(self._cache)
        except InvalidInput as error:  # it costs this check, never a submission
            _log.warning("[forms] postal_codes: %s; %s", error.message, error.issues[0].hint)
        except (OSError, sqlite.Error) as error:
            _log.warning("[forms] postal_codes: %s cannot be used: %s", self._path.name, error)

    def _stamp(self) -> str:
        about = self._path.stat()
        return f"{_FORMAT} {about.st_size} {about.st_mtime_ns}"

    def _make(self, stamp: str) -> None:
        """Make the database anew beside the old one, and put it in its place whole."""
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        new = self._cache.with_name(f"{self._cache.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        try:
            connection = sqlite.connect(new)
            try:
                self._fill(connection, stamp)
            finally:
                connection.close()
            sync_path(new)  # it is written without waiting for the disk, but a power cut must not leave half of it
            os.replace(new, self._cache)
            sync_folder(self._cache.parent)
        finally:
            new.unlink(missing_ok=True)

    def _fill(self, connection: Any, stamp: str) -> None:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        codes: list[tuple[str, str, str, str]] = []
        cities: set[tuple[str, str]] = set()
        for row in _rows(self._path):
            codes.append(row)
            cities.update((row[0], each) for each in spellings(row[2]))
            if len(codes) == _MANY:
                connection.executemany(_PUT_CODE, codes)
                connection.executemany(_PUT_CITY, sorted(cities))
                codes.clear()
                cities.clear()
        connection.executemany(_PUT_CODE, codes)
        connection.executemany(_PUT_CITY, sorted(cities))
        connection.execute("INSERT INTO made_of VALUES (?)", (stamp,))
        connection.commit()


def _rows(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """(country, code without spaces, place, what it lies in), as they stand in the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, cells in geonames_rows(stream, _COLUMNS, lambda message: _fault(path, message)):
                country, name = cells[0].strip().upper(), cells[2].strip()
                code = folded(cells[1].partition(" CEDEX")[0])
                if not (len(country) == 2 and country.isalpha() and code and name):
                    raise _fault(path, f"line {line} does not begin with country, postal code and place")
                yield country, code, name, "\t".join(each.strip() for each in (cells[3], cells[5], cells[7]))
    except UnicodeDecodeError as error:
        raise _fault(path, f"cannot be read: {error}") from error


def _opened(path: Path) -> Any:
    return sqlite.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _is_of(path: Path, stamp: str) -> bool:
    """Whether the database at `path` was made of the table with this stamp."""
    if not path.is_file():
        return False
    connection = _opened(path)
    try:
        return bool(connection.execute("SELECT stamp FROM made_of").fetchone() == (stamp,))
    except sqlite.Error:
        return False
    finally:
        connection.close()


def _fault(path: Path, message: str) -> InvalidInput:
    return InvalidInput.one(
        "forms.postal_codes",
        f"{path.name} {message}",
        path="mailwright.toml: forms.postal_codes",
        hint="use a file of GeoNames' postal codes, or make one of their format",
    )
