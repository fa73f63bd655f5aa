"""Segments by SQL over History (``sql_segments/NAME.yaml``): what a file says, and when it is due."""

from __future__ import annotations

import re
from datetime import timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import sqlglot
from sqlglot import exp

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import MINUTE, Instant, from_datetime, to_datetime

RESULT_COLUMNS = ("identifier", "person")
LIST_PREFIX = "sql:"
"""What a SQL segment NAME found is the list ``sql:NAME``; nobody else can change such a list."""

_DAY_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


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
        if (self.every is None) == (self.daily_at is None):
            raise ValueError("say `every` or `daily_at`, one of them")
        if self.daily_at is not None and not _DAY_TIME.fullmatch(self.daily_at):
            raise ValueError(f"`daily_at` is a time of day such as 06:30, not {self.daily_at!r}")
        if self.time_zone is not None:
            _zone(self.time_zone)
        if self.every is not None:
            _every(self.every)

    def planned(self, at: Instant, shop: tzinfo) -> Instant:
        """The newest planned time at or before `at`; a time of day that the clocks skip is planned an hour later."""
        if self.daily_at is None:
            step = duration_micros(self.every or "")
            return Instant(at - at % step)
        hour, minute = map(int, self.daily_at.split(":"))
        zone = _zone(self.time_zone) if self.time_zone else shop
        today = to_datetime(at).astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
        planned = from_datetime(today)
        return planned if planned <= at else from_datetime(today - timedelta(days=1))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write it like Europe/Berlin") from None


def _every(text: str) -> None:
    try:
        micros = duration_micros(text)
    except InvalidInput as error:
        raise ValueError(error.issues[0].message) from None
    if micros < MINUTE:
        raise ValueError("`every` is at least 1 minute")


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
