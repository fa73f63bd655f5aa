"""Declared imports (``imports/NAME.yaml``): where rows come from, what they become, and when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.schedules import Schedule
from mailwright.ingest.mapping import CALL_KINDS, Cell, RowKind, RowMapping

_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

Preset = Literal["mailchimp", "klaviyo", "mautic", "listmonk", "sendgrid"]
Kept = Literal["all", "newest", "none"]
Posted = Literal["rows", "changes"]
Origin = Literal["file", "sql", "changes", "dlt", "feed", "ga4", "posted"]

_ORIGINS: tuple[Origin, ...] = ("file", "sql", "changes", "dlt", "feed", "ga4", "posted")


class SqlOrigin(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A table or query of a SQL database.

    Attributes:
        url_from: Name of the environment variable that holds the SQLAlchemy URL; the URL itself, with its password,
            stands in no file.
        table: The table, ``name`` or ``schema.name``; or else
        query: one SELECT. It is run read-only, in one snapshot where the database has such.
    """

    url_from: _Name
    table: str = ""
    query: str = ""

    def __post_init__(self) -> None:
        if bool(self.table.strip()) == bool(self.query.strip()):
            raise ValueError("say `table` or `query`, one of them")


class DltOrigin(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A source or resource of dlt (the extra ``dlt``).

    Attributes:
        call: The function that gives it, as ``module:function``; modules of the project folder are found first.
        arguments: What it is called with.
        resource: Which of a source's resources; needed if it has several.
    """

    call: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    arguments: Mapping[str, Any] = {}
    resource: str = ""


class CursorColumn(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A column that grows with every change, such as ``updated_at`` or an id that counts up.

    Attributes:
        column: Its name. Each run reads from the greatest value of the run before, that value included.
        overlap: How far before that a run reads again, for changes that were committed late: a time such as
            ``10 minutes``, or a number for a column of numbers. A row that is as it was is not sent again.
    """

    column: str
    overlap: str | float = 0

    def __post_init__(self) -> None:
        if isinstance(self.overlap, str):
            try:
                duration_micros(self.overlap)
            except InvalidInput as error:
                raise ValueError(f"overlap: {error.issues[0].message}") from None
        elif self.overlap < 0:
            raise ValueError("an overlap is not negative")


class Deletes(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a row is known to be deleted, and what that means. Without `column` or `compare`: as the change topic says.

    Attributes:
        column: A column that is filled (and not false or 0) when the row is deleted.
        compare: A row whose key was there before and is not now is deleted; needs the import's `key`.
        then: ``suppress``: its address gets no mail any more. ``unset``: the traits that the import fills are removed,
            the e-mail and the phone number too; as names of the person they stay known.
            ``event``: a track event `event` happens. ``facts``: the item gets these `facts`, such as
            ``{availability: out of stock}``.
        event: Name of the event.
        facts: What the item gets.
    """

    column: str = ""
    compare: bool = False
    then: Literal["suppress", "unset", "event", "facts"]
    event: str = ""
    facts: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        if self.column and self.compare:
            raise ValueError("say `column` or `compare`, not both")
        if (self.then == "event") != bool(self.event):
            raise ValueError("`event` goes with `then: event`")
        if (self.then == "facts") != bool(self.facts):
            raise ValueError("`facts` go with `then: facts`")


class ImportDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """An import that is run by name, or at planned times.

    Its rows come from one of `file`, `sql`, `changes`, `dlt`, `feed`, `ga4` and `posted`.

    Attributes:
        title: What lists and pages call it.
        description: What it brings and why, in a sentence.
        kind: ``as`` in YAML: identify, track, group, items, consents or suppressions. Not with `ga4` and `preset`.
        file: CSV, JSON lines or Parquet: a path from the project folder on, or a pattern such as ``drop/*.csv``. A file
            that was imported is read again only when it changed.
        sql: A database.
        changes: JSON lines of changes as Debezium writes them: a path or pattern.
        dlt: A source of dlt.
        feed: A Google product feed (XML or TSV): a path, or an address that begins with http.
        ga4: Rows of the GA4 export to BigQuery as JSON lines or Parquet: a path or pattern.
        posted: Programs post its rows to ``/v1/imports/NAME/rows``: ``rows`` as they are now, or ``changes`` as
            Debezium writes them.
        preset: What wrote the `file`, for a former mail service's contacts, suppressions and activity.
        purpose: The consent that the preset's subscribers gave: whom the former service held subscribed.
        columns: Column -> target; with a type, ``{to: properties.total, type: number}``.
        constants: Target -> value for every row.
        event: Name of the track event, unless a column gives it.
        catalog: Catalog of the items.
        key: Columns that identify a row at its origin. With it a row that is as it was is not sent again.
        cursor: Column to read on from.
        deletes: What it means that a row is deleted.
        history: It happened before: starts no journey and no mail.
        skip_bad: Rows with a fault are left out; without, a run with one brings nothing.
        zone: Time zone of instants that are written without one; without, the shop's.
        delimiter: Of a CSV; without, as its first line tells.
        encoding: Of a text file; without, UTF-8, or UTF-16 with a byte order mark.
        source: Name of the event source; without, ``import:NAME``.
        every: How often it is run (``15 minutes``); or else
        daily_at: at what time of day (``06:30``), in `time_zone`. Without both it is run by hand only.
        time_zone: Of `daily_at`; without, the shop's.
    """

    title: _Title
    description: str = ""
    kind: RowKind | None = msgspec.field(name="as", default=None)
    file: str = ""
    sql: SqlOrigin | None = None
    changes: str = ""
    dlt: DltOrigin | None = None
    feed: str = ""
    ga4: str = ""
    posted: Posted | None = None
    preset: Preset | None = None
    purpose: str = ""
    columns: Mapping[str, str | Cell] = {}
    constants: Mapping[str, Any] = {}
    event: str = ""
    catalog: str = ""
    key: str | tuple[str, ...] = ()
    cursor: CursorColumn | None = None
    deletes: Deletes | None = None
    history: bool = False
    skip_bad: bool = False
    zone: str = ""
    delimiter: str = ""
    encoding: str = ""
    source: str = ""
    every: str | None = None
    daily_at: str | None = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in _ORIGINS if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"say one of {', '.join(_ORIGINS)}")
        if self.every is not None or self.daily_at is not None:
            self.schedule  # noqa: B018 - making it is the check

    @property
    def origin(self) -> Origin:
        """Where rows come from."""
        return next(name for name in _ORIGINS if getattr(self, name))

    @property
    def schedule(self) -> Schedule | None:
        """When it runs; None: by hand only."""
        if self.every is None and self.daily_at is None:
            return None
        return Schedule(every=self.every, daily_at=self.daily_at, time_zone=self.time_zone)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the key; a feed's products have an id."""
        if self.feed and not self.key:
            return ("id",)
        return (self.key,) if isinstance(self.key, str) else self.key

    @cached_property
    def keeps(self) -> Kept:
        """The rows that are known from run to run: all; or, behind a cursor, those that the newest run read.

        Of a cursor's rows no other is read again, but where what is gone is looked for.
        """
        if self.cursor and not (self.keys and (self.finds_gone or self.kind not in CALL_KINDS)):
            return "newest"
        return "all" if self.keys else "none"

    @property
    def finds_gone(self) -> bool:
        """Whether a row is deleted when its key is not there any more."""
        return self.deletes is not None and self.deletes.compare

    @property
    def are_changes(self) -> bool:
        """Whether it is told changes of rows, with their places among all, and not the rows themselves."""
        return bool(self.changes) or self.posted == "changes"

    @property
    def is_mapped(self) -> bool:
        """Whether its rows become what `columns` say; the others know by themselves."""
        return self.origin != "ga4" and self.preset is None

    def mapping(self, zone: str, columns: Mapping[str, str | Cell] | None = None) -> RowMapping:
        """The mapping of its rows; `zone` is the shop's, `columns` take the place of the declared ones."""
        return RowMapping(
            kind="items" if self.feed else self.kind or "identify",
            columns=self.columns if columns is None else columns,
            event=self.event,
            catalog=self.catalog,
            constants=self.constants,
            zone=self.zone or zone,
        )

    def needed(self) -> list[str]:
        """Every column that is read, without the file's others."""
        names = [*self.columns, *self.keys]
        if self.cursor:
            names.append(self.cursor.column)
        if self.deletes and self.deletes.column:
            names.append(self.deletes.column)
        return list(dict.fromkeys(names))

    def check(self, zone: str) -> Iterator[tuple[tuple[str | int, ...], Issue]]:
        """Faults that types cannot tell, each with its place in the file."""
        if self.is_mapped:
            yield from self._check_mapped(zone)
        elif self.kind is not None or self.columns:
            what = "ga4" if self.ga4 else "preset"
            yield ("columns",) if self.columns else ("as",), _issue(f"{what} tells by itself what its rows become")
        if self.preset and not self.purpose:
            yield ("preset",), _issue("it does not say what the subscribers agreed to", "add purpose: newsletter")
        if self.preset and not self.file:
            yield ("preset",), _issue("a preset reads a file", "add file: drop/contacts.csv")
        if self.cursor and not self.sql:
            yield ("cursor",), _issue("a cursor goes with sql", "files are read again only when they changed")
        if self.are_changes and not self.keys:
            yield (self.origin,), _issue("changes need the row's key, to keep their order", "add key: id")
        if self.posted:
            yield from self._check_posted()
        if self.deletes:
            yield from self._check_deletes(self.deletes)

    def _check_mapped(self, zone: str) -> Iterator[tuple[tuple[str | int, ...], Issue]]:
        kind = "items" if self.feed else self.kind
        if kind is None:
            yield (), _issue("it does not say what a row is", "add as: identify, track, group, items, ...")
            return
        if self.feed and self.kind not in (None, "items"):
            yield ("as",), _issue("a feed brings items", "leave `as` out")
        if self.feed and not self.columns:
            return  # facts go where their names say
        for issue in self.mapping(zone).check(""):
            where = issue.path.strip(".: ").split(".")[0]
            yield (
                (where,) if where and getattr(self, where, None) else (),
                Issue(path="", message=issue.message, hint=issue.hint),
            )

    def _check_posted(self) -> Iterator[tuple[tuple[str | int, ...], Issue]]:
        if not self.keys and self.kind not in CALL_KINDS:
            yield (
                ("posted",),
                _issue(f"rows of {self.kind} need a key, to be known again", "add key: id"),
            )
        if self.finds_gone:
            yield (
                ("deletes",),
                _issue("a batch is never all the rows", "say `column`, or post changes"),
            )
        if self.schedule is not None:
            yield ("every" if self.every else "daily_at",), _issue("it brings what is posted, when it is posted")
        for name in ("delimiter", "encoding", "skip_bad"):
            if getattr(self, name):
                yield (name,), _issue("this is for files; what is posted is JSON, and each bad row is answered for")

    def _check_deletes(self, deletes: Deletes) -> Iterator[tuple[tuple[str | int, ...], Issue]]:
        if deletes.compare and not self.keys:
            yield ("deletes",), _issue("what is gone is found by the rows' key", "add key: id")
        if not (deletes.compare or deletes.column or self.are_changes):
            yield ("deletes",), _issue("it does not say how a deleted row is known", "add column: ... or compare: true")
        if (deletes.then == "facts") != (self.kind == "items" or bool(self.feed)):
            yield ("deletes",), _issue("`then: facts` is for items, and items have no other")
        if deletes.then == "unset" and self.kind not in ("identify", "group"):
            yield ("deletes",), _issue("`then: unset` is for identify and group: the others set no traits")
        if deletes.then in ("unset", "event") and self.kind not in CALL_KINDS:
            yield ("deletes",), _issue(f"`then: {deletes.then}` needs rows that name a person")
        targets = {cell if isinstance(cell, str) else cell.to for cell in self.columns.values()}
        if deletes.then == "suppress" and not targets & {"email", "traits.email", "context.traits.email", "userId"}:
            yield ("deletes",), _issue("`then: suppress` needs a column that goes to traits.email")


def _issue(message: str, hint: str = "") -> Issue:
    return Issue(path="", message=message, hint=hint)
