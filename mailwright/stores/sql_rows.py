"""Rows of any SQL database that SQLAlchemy speaks to: streamed by a server-side cursor, read-only, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from mailwright.core.errors import InvalidInput, MailwrightError, NotFound, Transient, nearest

_BATCH_ROWS = 2_000


class SqlRows:
    """One table or query, opened for one run. `what` names it in errors; the URL is never shown.

    Raises:
        InvalidInput: If the URL is none, its driver is not installed, or the table or a column does not exist.
        Transient: If the database does not answer.
    """

    def __init__(self, url: str, what: str, *, table: str = "", query: str = "", columns: Sequence[str]) -> None:
        self._what = what
        self._engine = _engine(url, what)
        try:
            self._connection = self._connect()
            self._from = self._of_table(table, columns) if table else _of_query(query, columns)
        except BaseException:
            self._engine.dispose()
            raise

    def __enter__(self) -> SqlRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    def rows(self, columns: Sequence[str], cursor: str = "", after: Any = None) -> Iterator[dict[str, Any]]:
        """Rows with these columns, in the order of the `cursor` column if there is one.

        With `after` only those at or beyond it, and those without a value there.
        """
        query = sa.select(*(self._from.c[name] for name in columns))
        if cursor:
            place = self._from.c[cursor]
            query = query.order_by(place)
            if after is not None:
                query = query.where(sa.or_(place >= after, place.is_(None)))
        try:
            with self._connection.execute(query) as result:
                for row in result.mappings():
                    yield dict(row)
        except sa.exc.SQLAlchemyError as error:
            raise _told(self._what, error) from None

    def _connect(self) -> sa.Connection:
        if _is_absent(self._engine.url):
            hint = "look at the path in its URL: three slashes before a relative one, four before one from the root"
            raise Transient("import.sql_away", f"{self._what}: there is no such SQLite file", hint)
        options: dict[str, Any] = {"stream_results": True, "max_row_buffer": _BATCH_ROWS}
        if self._engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        elif self._engine.dialect.name in ("mysql", "mariadb"):
            options |= {"isolation_level": "REPEATABLE READ"}
        try:
            return self._engine.connect().execution_options(**options)
        except sa.exc.SQLAlchemyError as error:
            raise _told(self._what, error) from None

    def _of_table(self, name: str, columns: Sequence[str]) -> sa.FromClause:
        schema, _, table = name.rpartition(".")
        try:
            inspector = sa.inspect(self._connection)
            if not inspector.has_table(table, schema or None):
                known = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
                raise NotFound("import.sql_table", f"{self._what}: there is no table {name!r}", nearest(table, known))
            there = {column["name"]: column["type"] for column in inspector.get_columns(table, schema or None)}
        except sa.exc.SQLAlchemyError as error:
            raise _told(self._what, error) from None
        missing = [column for column in columns if column not in there]
        if missing:
            message = f"{self._what}: the table {name} has no column {missing[0]!r}"
            raise InvalidInput.one("import.columns", message, hint=nearest(missing[0], there))
        # SQLite keeps times as text of any form: they are compared as they are written.
        types = {} if self._engine.dialect.name == "sqlite" else there
        return sa.table(table, *(sa.column(column, types.get(column)) for column in columns), schema=schema or None)


def _of_query(query: str, columns: Sequence[str]) -> sa.FromClause:
    # A colon before a word would be a parameter to SQLAlchemy; the user's text has none.
    text = query.strip().rstrip(";").replace("\\", "\\\\").replace(":", "\\:")
    return sa.text(text).columns(*(sa.column(name) for name in columns)).subquery("rows")


def _engine(url: str, what: str) -> sa.Engine:
    try:
        return sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    except sa.exc.ArgumentError:
        raise InvalidInput.one(
            "import.sql", f"{what}: that is no SQLAlchemy URL", hint="such as postgresql+psycopg://user:word@host/name"
        ) from None
    except (sa.exc.NoSuchModuleError, ImportError) as error:
        message = f"{what}: the database's driver is not installed ({type(error).__name__}: {error})"
        raise InvalidInput.one("import.sql", message, hint="install it beside Mailwright") from None


def _is_absent(url: sa.URL) -> bool:
    """Whether it names a SQLite file that is not there: to connect would make an empty one."""
    name = url.database or ":memory:"
    is_file = url.get_backend_name() == "sqlite" and name != ":memory:" and not name.startswith("file:")
    return is_file and not Path(name).exists()


def _told(what: str, error: sa.exc.SQLAlchemyError) -> MailwrightError:
    """Our error for one of the database's: its first line, which names no values."""
    cause = getattr(error, "orig", None) or error
    said = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return Transient(
            "import.sql_away", f"{what}: the database says: {said}", "is it up, and may this user read it?"
        )
    return InvalidInput.one("import.sql", f"{what}: the database says: {said}")
