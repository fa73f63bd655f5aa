"""Read-only SQL over the files of History, by DuckDB.

The statement may come from a page or a person, so it is fenced in: one SELECT, no file but those of the tables it
names, no extension, no setting; parameters are bound, never pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.events import Offset
from mailwright.stores.history_pieces import rewritten_since

_SELECTS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}

_WORD = re.compile(r"[a-z][a-z0-9_]*")

_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")

Files = Callable[[str], tuple[pa.Schema, list[str]] | None]
"""Table name -> its schema and files, or None if there is no such table."""


@dataclass(frozen=True, slots=True)
class Star:
    """Views that a query may name, and the columns of the tables below them, which may not be there yet.

    Attributes:
        views: Name -> its SELECT, each after those that it reads.
        schemas: Table -> its columns.
    """

    views: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, pa.Schema] = field(default_factory=dict)

    def asked(self, sql: str) -> tuple[set[str], list[str]]:
        """The words of a query and of every view that it names, and those views in order."""
        words = set(_WORD.findall(sql.lower()))
        named: list[str] = []
        for name in reversed(list(self.views)):
            if name in words:
                named.append(name)
                words |= set(_WORD.findall(self.views[name].lower()))
        return words, named[::-1]


_PLAIN = Star()


def run_query(
    sql: str, parameters: Mapping[str, Any] | None, files: Files, star: Star = _PLAIN, upto: Offset | None = None
) -> pa.Table:
    """Run one SELECT over the tables and views that it names; `upto`: over their rows up to this offset.

    Raises:
        InvalidInput: If it is not one SELECT, is wrong, or touches anything but the tables.
        NotFound: If a file was rewritten meanwhile: ask again.
    """
    with _prepared(sql, files, star, upto) as connection:
        return connection.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()


def stream_query(
    sql: str, files: Files, star: Star, batch_rows: int, upto: Offset | None = None
) -> Iterator[pa.RecordBatch]:
    """As `run_query`, but batch by batch, so that a result of any size needs little memory; one batch at least."""
    with _prepared(sql, files, star, upto) as connection:
        reader = connection.sql(sql).to_arrow_reader(batch_rows)
        none = True
        for batch in reader:
            none = False
            yield batch
        if none:  # DuckDB gives no batch then, and nobody would learn the columns
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)


@contextmanager
def _prepared(sql: str, files: Files, star: Star, upto: Offset | None) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    allowed: list[str] = []
    try:
        with _translated(sql, star, allowed):
            _refuse_all_but_select(connection, sql)
            _add_views(connection, *star.asked(sql), files, star, upto, allowed)
            _fence(connection, allowed)
            yield connection
    finally:
        connection.close()


class Session:
    """Many queries of one thread, for which DuckDB is opened once; it is opened anew when one names further tables.

    Each table is seen as it was at the first query that named it, but for files that are gone meanwhile: then all is
    seen anew.
    """

    def __init__(self, files: Files, star: Star, offset: Callable[[str], Offset]) -> None:
        """Nothing is opened yet; whoever makes one closes it."""
        self._newest = files
        self._star = star
        self._offset = offset
        self._forget()

    def offset(self, table: str) -> Offset:
        """See `mailwright.core.ports.HistoryQueries.offset`."""
        return self._offset(table)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `mailwright.core.ports.HistoryQueries.query`.

        Raises:
            InvalidInput: As `run_query`.
        """
        try:
            return self._run(sql, parameters)
        except NotFound:  # a file was rewritten since its table was first named
            self.close()
            return self._run(sql, parameters)

    def close(self) -> None:
        """Close DuckDB; a later query opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._forget()

    def _forget(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._looked: dict[str, tuple[pa.Schema, list[str]] | None] = {}
        self._tables: set[str] = set()
        self._views: list[str] = []
        self._allowed: list[str] = []

    def _run(self, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        with _translated(sql, self._star, self._allowed):
            connection = self._with(*self._star.asked(sql))
            _refuse_all_but_select(connection, sql)
            return connection.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()

    def _with(self, words: set[str], views: list[str]) -> duckdb.DuckDBPyConnection:
        """An open connection that has the tables among these words, and these views."""
        tables = {word for word in words if self._files(word) or (views and word in self._star.schemas)}
        if self._connection is not None and tables <= self._tables and set(views) <= set(self._views):
            return self._connection
        if self._connection is not None:  # what may be read was said to it once and for all
            self._connection.close()
            self._connection = None
        self._tables |= tables
        self._views = [name for name in self._star.views if name in views or name in self._views]
        self._allowed.clear()
        connection = duckdb.connect(":memory:")
        try:
            connection.execute("SET parquet_metadata_cache = true")
            _add_views(connection, self._tables, self._views, self._files, self._star, None, self._allowed)
            _fence(connection, self._allowed)
        except BaseException:  # nobody may ask one that is not fenced in
            connection.close()
            raise
        self._connection = connection
        return connection

    def _files(self, table: str) -> tuple[pa.Schema, list[str]] | None:
        if table not in self._looked:
            self._looked[table] = self._newest(table)
        return self._looked[table]


def _add_views(
    connection: duckdb.DuckDBPyConnection,
    words: Iterable[str],
    views: Sequence[str],
    files: Files,
    star: Star,
    upto: Offset | None,
    allowed: list[str],
) -> None:
    """The tables among some words, and views over them; their files join those that are allowed to be read."""
    # Words that are no names of tables do no harm here; the statement's own parser would not list the names of
    # a statement with parameters.
    for table in sorted(words):
        if found := files(table):
            _add_view(connection, table, *found, upto)
            allowed += found[1]
        elif views and table in star.schemas:
            _add_view(connection, table, star.schemas[table], [], upto)
    for view in views:
        connection.sql(star.views[view]).create_view(view)


@contextmanager
def _translated(sql: str, star: Star, allowed: Sequence[str]) -> Iterator[None]:
    """Tells DuckDB's errors in ours."""
    try:
        yield
    except (duckdb.IOException, duckdb.PermissionException) as error:
        # A file that is gone is taken for a folder, in which nothing may be read.
        if gone := next((file for file in allowed if not Path(file).exists()), None):
            raise rewritten_since(gone) from None
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error
    except duckdb.CatalogException as error:
        raise _unknown(str(error), sql, star) from error
    except duckdb.Error as error:
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error


def _unknown(message: str, sql: str, star: Star) -> InvalidInput:
    """DuckDB's own proposal may be one of its inner tables."""
    name = _NO_TABLE.search(message)
    hint = nearest(name[1], {*star.views, *star.schemas}) if name else ""
    told = f"there is no table or view {name[1]!r}" if name else f"the query cannot be run: {message}"
    return InvalidInput.one("history.query", told, hint=hint, source=sql)


def _refuse_all_but_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _SELECTS:
        raise InvalidInput.one("history.query", "a query of History must be one SELECT", source=sql)


def _add_view(
    connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema, files: list[str], upto: Offset | None
) -> None:
    if not files:
        connection.register(table, schema.empty_table())
        return
    # By name, since columns join a table over time; in the table's order, since files differ in theirs.
    relation = connection.read_parquet(files, union_by_name=True)
    there = set(relation.columns)
    lacking = connection.from_arrow(schema.empty_table())
    columns = [
        duckdb.ColumnExpression(field)
        if field in there
        # The table knows it by an append without rows, and no file has it yet.
        else duckdb.ConstantExpression(None).cast(kind).alias(field)
        for field, kind in zip(lacking.columns, lacking.types, strict=True)
    ]
    if upto is not None:
        relation = relation.filter(duckdb.ColumnExpression("offset") <= duckdb.ConstantExpression(upto))
    relation.select(*columns).create_view(table)


def _fence(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    # This also ends DuckDB's habit of taking a name that is no table for a variable of the program.
    connection.execute("SET allowed_paths = $files", {"files": files})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
