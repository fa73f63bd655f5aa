"""Read-only SQL over the files of History, by DuckDB.

The statement may come from a page or a person, so it is fenced in: one SELECT, no file but those of the tables it
names, no extension, no setting; parameters are bound, never pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mailwright.core.errors import InvalidInput
from mailwright.stores.history_pieces import rewritten_since

_SELECTS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}

_WORD = re.compile(r"[a-z][a-z0-9_]*")

Files = Callable[[str], tuple[pa.Schema, list[str]] | None]
"""Table name -> its schema and files, or None if there is no such table."""


def run_query(sql: str, parameters: Mapping[str, Any] | None, files: Files) -> pa.Table:
    """Run one SELECT over the tables that it names.

    Raises:
        InvalidInput: If it is not one SELECT, is wrong, or touches anything but the tables.
        NotFound: If a file was rewritten meanwhile: ask again.
    """
    connection = duckdb.connect(":memory:")
    allowed: list[str] = []
    try:
        _refuse_all_but_select(connection, sql)
        # Words that are no names of tables do no harm here; the statement's own parser would not list the names of
        # a statement with parameters.
        for table in sorted(set(_WORD.findall(sql.lower()))):
            if found := files(table):
                _add_view(connection, table, *found)
                allowed += found[1]
        _fence(connection, allowed)
        return connection.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()
    except duckdb.IOException as error:
        if gone := next((file for file in allowed if not Path(file).exists()), None):
            raise rewritten_since(gone) from None
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error
    except duckdb.Error as error:
        raise InvalidInput.one("history.query", f"the query cannot be run: {error}", source=sql) from error
    finally:
        connection.close()


def _refuse_all_but_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _SELECTS:
        raise InvalidInput.one("history.query", "a query of History must be one SELECT", source=sql)


def _add_view(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema, files: list[str]) -> None:
    if not files:
        connection.register(table, schema.empty_table())
        return
    # By name, since columns join a table over time; in the table's order, since files differ in theirs.
    relation = connection.read_parquet(files, union_by_name=True)
    relation.select(*(duckdb.ColumnExpression(name) for name in schema.names)).create_view(table)


def _fence(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    # This also ends DuckDB's habit of taking a name that is no table for a variable of the program.
    connection.execute("SET allowed_paths = $files", {"files": files})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
