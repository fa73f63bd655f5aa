"""Segments by SQL over History (``sql_segments/NAME.yaml``): what a file says, and when it is due."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import msgspec
import sqlglot
from sqlglot import exp

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.schedules import Schedule

RESULT_COLUMNS = ("identifier", "person")
LIST_PREFIX = "sql:"
"""What a SQL segment NAME found is the list ``sql:NAME``; nobody else can change such a list."""


class SqlSegmentDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A segment whose members a query of History finds, at planned times; its name is that of its file.

    Attributes:
        title: What pages and reports call it.
        description: For whom it is and why, in a sentence.
        sql: One SELECT in DuckDB's words over the tables of History, with one column: ``identifier``, as
            ``kind:value``, or ``person``, the number.
        every: How often, at least a minute (``1 hour``); or else
        daily_at: at what time of day (``06:30``), in `time_zone`.
        time_zone: Of `daily_at`; without, the shop's.
    """

    title: Annotated[str, msgspec.Meta(min_length=1)]
    description: str = ""
    sql: Annotated[str, msgspec.Meta(min_length=1)]
    every: str | None = None
    daily_at: str | None = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.schedule.every_micros < MINUTE:
            raise ValueError("`every` is at least 1 minute")
        self.schedule  # noqa: B018 - making it is the check

    @property
    def schedule(self) -> Schedule:
        """When the query runs."""
        return Schedule(every=self.every, daily_at=self.daily_at, time_zone=self.time_zone)

    def planned(self, at: Instant, shop: tzinfo) -> Instant:
        """The newest planned time at or before `at`, see `Schedule`."""
        return self.schedule.planned(at, shop)


def check_sql(sql: str) -> exp.Query:
    """The tree of a SQL segment's query.

    Raises:
        InvalidInput: ``segment.sql``, if it is not one SELECT that gives one column of `RESULT_COLUMNS`.
    """
    try:
        trees = sqlglot.parse(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        found = str(error).splitlines()[0]
        raise InvalidInput.one("segment.sql", f"the query cannot be read: {found}", hint=_HINT) from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query):
        raise InvalidInput.one("segment.sql", "it is not one SELECT", hint=_HINT)
    columns = tree.named_selects
    if len(columns) != 1 or columns[0] not in RESULT_COLUMNS:
        told = ", ".join(columns) or "nothing"
        raise InvalidInput.one("segment.sql", f"it gives {told}, not one column of people", hint=_HINT)
    return tree


def in_dialect(sql: str, dialect: str) -> str:
    """The query in another engine's words, such as ``spark``, as far as SQLGlot knows how to say it.

    Raises:
        InvalidInput: ``segment.sql``, if the query is none, or the dialect lacks something that it uses.
    """
    try:
        return check_sql(sql).sql(dialect=dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise InvalidInput.one("segment.sql", f"it cannot be said for {dialect}: {error}") from None


_HINT = "select one column called identifier (kind:value) or person from the tables of History"
