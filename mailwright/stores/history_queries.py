"""Read-only SQL over the files of History, by DuckDB.

The statement may come from a page or a person, so it is fenced in: one SELECT, no file but those of the tables it
names, no extension, no setting; parameters are bound, never pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mailwright.core.errors import InvalidInput, nearest
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
        _refuse_all_but_select(connection, sql)
        # Words that are no names of tables do no harm here; the statement's own parser would not list the names of
        # a statement with parameters.
        words, views = star.asked(sql)
        for table in sorted(words):
            if found := files(table):
                _add_view(connection, table, *found, upto)
                allowed += found[1]
            elif views and table in star.schemas:
                _add_view(connection, table, star.schemas[table], [], upto)
        for view in views:
            connection.sql(star.views[view]).create_view(view)
        _fence(connection, allowed)
        yield connection
    except duckdb.IOException as error:
        if gone := next((file for file in allowed if not Path(file).exists()), None):
            raise rewritten_since(gone) from None
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error
    except duckdb.CatalogException as error:
        raise _unknown(str(error), sql, star) from error
    except duckdb.Error as error:
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error
    finally:
        connection.close()


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
