"""The relations that a compiled rule reads, and how they are made of the tables of History.

``known_events``: one row per accepted event and owner, each (source, messageId) once.

| column | type | meaning |
|---|---|---|
| offset | BIGINT | place in the log |
| person | BIGINT | whose event it is |
| owned_from, owned_until | BIGINT | for moments with owned_from <= offset < owned_until; NULL: still |
| type, name | VARCHAR | of the call |
| stamp, known | BIGINT | microseconds since 1970: when it happened, from when it may count |
| properties, traits, context | VARCHAR | JSON text, NULL for an empty object |

``moments``: one row per question.

| column | type | meaning |
|---|---|---|
| moment | BIGINT | its number, unique |
| person | BIGINT | of whom |
| at | BIGINT | microseconds since 1970: t |
| offset | BIGINT | the identity graph and the lists are those known up to this place in the log |
| first_identifier | VARCHAR | ``kind:value``, for random buckets |

``listings``: who is on which list; only for rules that ask.

| column | type | meaning |
|---|---|---|
| name | VARCHAR | of the list |
| person | BIGINT | who |
| listed_from, listed_until | BIGINT | for moments with listed_from <= offset < listed_until; NULL: still |
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from mailwright.rules.sql.dialects import DuckDB
from mailwright.rules.sql.trees import E, binary, call, cast, choose, column, either, is_null, joined, number, text

EVENTS = ("offset", "person", "owned_from", "owned_until", "type", "name", "stamp", "known")
DOCUMENTS = ("properties", "traits", "context")

Relations = Sequence[tuple[str, exp.Query]]
"""CTEs in order, to be put before a query that reads them."""


def of_history(dialect: DuckDB) -> Relations:
    """``known_events`` from the tables ``events`` and ``belonging``.

    A row of ``belonging`` that closes another repeats its first three values, so the newest one counts.
    """
    newest = exp.Window(
        this=exp.RowNumber(),
        partition_by=[column("identifier"), column("from_offset")],
        order=exp.Order(
            expressions=[
                exp.Ordered(this=column("offset"), desc=True, nulls_first=False),
                exp.Ordered(this=column("to_offset"), desc=False, nulls_first=False),
            ]
        ),
    )
    ranked = exp.select(exp.Star(), exp.alias_(newest, "age")).from_("belonging").subquery("ranked")
    owners = (
        exp.select(*(column(name) for name in ("identifier", "person", "from_offset", "to_offset")))
        .from_(ranked)
        .where(binary("=", column("age"), number(1)))
    )
    identifier = joined(column("identifier_kind", "h"), text(":"), column("identifier", "h"))
    columns = [
        column("offset", "h"),
        column("person", "o"),
        exp.alias_(column("from_offset", "o"), "owned_from"),
        exp.alias_(column("to_offset", "o"), "owned_until"),
        column("type", "h"),
        column("name", "h"),
        exp.alias_(dialect.micros(column("stamp_at", "h")), "stamp"),
        exp.alias_(dialect.micros(column("known_at", "h")), "known"),
        *(column(name, "h") for name in DOCUMENTS),
    ]
    known = (
        exp.select(*columns)
        .from_(exp.alias_(exp.to_table("events"), "h"))
        .join(exp.alias_(exp.to_table("owners"), "o"), on=binary("=", column("identifier", "o"), identifier))
    )
    return [("owners", owners), ("known_events", known)]


def listings() -> Relations:
    """``listings`` from the table ``lists`` and the relation ``owners`` of `of_history`."""
    until = exp.Window(
        this=exp.Lead(this=column("offset")),
        partition_by=[column("list"), column("identifier")],
        order=exp.Order(expressions=[exp.Ordered(this=column("offset"))]),
    )
    spans = exp.select(exp.Star(), exp.alias_(until, "until")).from_("lists").subquery("g")
    # On the list as long as the identifier is on it and is this person's.
    made = (
        exp.select(
            exp.alias_(column("list", "g"), "name"),
            column("person", "o"),
            exp.alias_(call("greatest", column("offset", "g"), column("from_offset", "o")), "listed_from"),
            exp.alias_(call("least", column("until", "g"), column("to_offset", "o")), "listed_until"),
        )
        .from_(spans)
        .join(
            exp.alias_(exp.to_table("owners"), "o"),
            on=binary("=", column("identifier", "o"), column("identifier", "g")),
        )
        .where(column("added", "g"))
    )
    return [("listings", made)]


def everybody(at: E, offset: E) -> Relations:
    """``moments`` that ask of everybody known at `offset`, at one instant; the person's number is the moment's.

    A person's first identifier is the one that belonged to the person first; of several at once, the one that a call
    names first.
    """
    asked = [binary("<=", column("from_offset"), offset)]
    still = either([is_null(column("to_offset")), binary(">", column("to_offset"), offset)])
    since = call("lpad", cast(column("from_offset"), "VARCHAR"), number(20), text("0"))
    kind = choose(
        [(_is_kind(name), text(str(place))) for place, name in enumerate(_PRIORITY)], text(str(len(_PRIORITY)))
    )
    # By columns of one text, since engines differ in how they take the least of several.
    first = exp.ArgMin(this=column("identifier"), expression=joined(since, kind, column("identifier")))
    moments = (
        exp.select(
            exp.alias_(column("person"), "moment"),
            column("person"),
            exp.alias_(at.copy(), "at"),
            exp.alias_(offset.copy(), "offset"),
            exp.alias_(first, "first_identifier"),
        )
        .from_("owners")
        .where(*asked, still)
        .group_by(column("person"))
    )
    return [("moments", moments)]


def _is_kind(name: str) -> E:
    start = f"{name}:"
    return binary("=", call("left", column("identifier"), number(len(start))), text(start))


_PRIORITY = ("user_id", "email", "phone", "anonymous_id")
"""In which order a call names its identifiers, see `mailwright.ingest.identifiers`."""
