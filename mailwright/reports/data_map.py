"""The data map: every source, event, property and trait, who answers for it, who uses it, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from mailwright.core.instants import DAY, Instant, from_datetime, to_datetime
from mailwright.core.ports import HistoryQueries
from mailwright.experiments.intervals import newcombe

Kind = Literal["source", "event", "property", "trait", "account"]
"""``account``: a trait of accounts, as group calls tell it."""

Key = tuple[Kind, str]

RECENT_DAYS = 28
LEAST_PEOPLE = 5
"""With fewer people on either side nothing is said about influence; with few, the interval is wide."""


class Answer(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Who answers for a piece of data.

    Attributes:
        owner: A person or team.
        basis: Legal basis, as the shop names it (``contract``, ``consent``, ``legitimate interest``).
        description: What it is, in a sentence.
        keep: Why it stays although nothing uses it; a piece with a reason is not proposed for removal.
    """

    owner: str = ""
    basis: str = ""
    description: str = ""
    keep: str = ""


class DataMapDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """``data-map.yaml``: who answers for what. Properties are named ``Event.property``.

    Attributes:
        conversion: The event that the shop wants; influence is measured on it.
        default: Where nothing else is said.
        accounts: Traits of accounts.
    """

    conversion: str = "Order Completed"
    default: Answer = Answer()
    sources: Mapping[str, Answer] = {}
    events: Mapping[str, Answer] = {}
    properties: Mapping[str, Answer] = {}
    traits: Mapping[str, Answer] = {}
    accounts: Mapping[str, Answer] = {}

    def answer(self, kind: Kind, name: str) -> Answer:
        """What is said of a piece, or of everything."""
        told: Mapping[Kind, Mapping[str, Answer]] = {
            "source": self.sources,
            "event": self.events,
            "property": self.properties,
            "trait": self.traits,
            "account": self.accounts,
        }
        found = told[kind].get(name, Answer())
        filled = {each: getattr(found, each) or getattr(self.default, each) for each in ("owner", "basis")}
        return msgspec.structs.replace(found, **filled)


class Influence(msgspec.Struct, frozen=True, kw_only=True):
    """How conversion of people with a piece differs from that of people without: an association, no proof of a cause.

    Attributes:
        rate: Share of those with it who converted in the `RECENT_DAYS` days after.
        without: Share of the others.
        low: Lower end of the 95 % interval of the difference; `high` the upper end.
        n: People with it.
        others: People without it.
    """

    rate: float
    without: float
    low: float
    high: float
    n: int
    others: int = 0


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the data map.

    Attributes:
        types: What its values are, as seen (``text``, ``number``); empty for sources and events.
        n: How often it came in the last `RECENT_DAYS` days.
        first_at: When it came first; None if it is declared and never came.
        used_by: Definitions that use it: ``segment vip``, ``mail weekly_offers``.
        influence: On conversion; None where too few people tell. It is not asked of traits of accounts.
        unused: Nothing uses it and nobody says why it stays: a candidate for removal.
    """

    kind: Kind
    name: str
    answer: Answer
    types: tuple[str, ...] = ()
    n: int = 0
    first_at: Instant | None = None
    last_at: Instant | None = None
    used_by: tuple[str, ...] = ()
    influence: Influence | None = None
    unused: bool = False


_TYPES: Mapping[str, str] = {
    "VARCHAR": "text",
    "UBIGINT": "number",
    "BIGINT": "number",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "OBJECT": "object",
    "ARRAY": "list",
}
"""The database's names of JSON types -> those of the tracking plan."""

# One row per source, event, property and trait: how often lately, first, last, and the types of its values. What is
# sealed was text.
_PIECES = """
WITH named AS (
  SELECT source, type,
         CASE WHEN type IN ('identify', 'group', 'alias') THEN '' WHEN name <> '' THEN name ELSE type END AS event,
         stamp_at, properties, traits
  FROM events
), told AS (
  SELECT 'source' AS kind, source AS name, stamp_at, NULL AS value_type FROM named
  UNION ALL SELECT 'event', event, stamp_at, NULL FROM named WHERE event <> ''
  UNION ALL SELECT 'property', event || '.' || key, stamp_at,
            CASE WHEN one.value ->> '$.sealed' IS NULL OR one.value ->> '$.hash' IS NULL
                 THEN one.type ELSE 'VARCHAR' END
            FROM named, json_each(properties) AS one WHERE event <> '' AND one.type <> 'NULL'
  UNION ALL SELECT 'trait', key, stamp_at,
            CASE WHEN one.value ->> '$.sealed' IS NULL OR one.value ->> '$.hash' IS NULL
                 THEN one.type ELSE 'VARCHAR' END
            FROM named, json_each(traits) AS one WHERE named.type = 'identify' AND one.type <> 'NULL'
  UNION ALL SELECT 'account', key, stamp_at, one.type
            FROM named, json_each(traits) AS one WHERE named.type = 'group' AND one.type <> 'NULL'
)
SELECT kind, name, count(*) FILTER (stamp_at >= $recent) AS n, min(stamp_at) AS first, max(stamp_at) AS last,
       list_sort(list(DISTINCT value_type)) AS types
FROM told GROUP BY kind, name
"""

# Who was there in the first period, what they had, and whether they converted in the second.
_INFLUENCE = """
WITH current AS (
  SELECT identifier, arg_max(person, "offset") AS person FROM belonging WHERE to_offset IS NULL GROUP BY identifier
), named AS (
  SELECT coalesce(CAST(current.person AS VARCHAR), identifier_kind || ':' || events.identifier) AS who, type, source,
         CASE WHEN type IN ('identify', 'group', 'alias') THEN '' WHEN name <> '' THEN name ELSE type END AS event,
         stamp_at, properties, traits
  FROM events LEFT JOIN current ON current.identifier = identifier_kind || ':' || events.identifier
), early AS (SELECT * FROM named WHERE stamp_at >= $since AND stamp_at < $middle),
everybody AS (SELECT DISTINCT who FROM early),
converted AS (SELECT DISTINCT who FROM named WHERE event = $conversion AND stamp_at >= $middle AND stamp_at < $until),
had AS (
  SELECT DISTINCT 'source' AS kind, source AS piece, who FROM early
  UNION SELECT DISTINCT 'event', event, who FROM early WHERE event <> ''
  UNION SELECT DISTINCT 'property', event || '.' || key, who
        FROM early, json_each(properties) AS one WHERE event <> '' AND one.type <> 'NULL'
  UNION SELECT DISTINCT 'trait', key, named.who
        FROM named, json_each(traits) AS one
        WHERE named.type = 'identify' AND stamp_at < $middle AND one.type <> 'NULL' AND named.who IN (FROM everybody)
)
SELECT kind, piece, count(*) AS n, count(*) FILTER (who IN (FROM converted)) AS hits,
       (SELECT count(*) FROM everybody) AS n_all,
       (SELECT count(*) FROM everybody WHERE who IN (FROM converted)) AS hits_all
FROM had GROUP BY kind, piece
"""


def data_map(
    history: HistoryQueries,
    definition: DataMapDefinition,
    used: Callable[[Key], Collection[str]],
    declared: Iterable[Key],
    now: Instant,
) -> list[Piece]:
    """Every piece, by kind and name.

    Args:
        history: What came.
        definition: Who answers.
        used: The definitions that use a piece.
        declared: Pieces that the definitions name, seen or not.
        now: The end of the period looked at.
    """
    seen = {(row["kind"], row["name"]): row for row in _seen(history, now)}
    influence = _influences(history, definition.conversion, now)
    order = {kind: place for place, kind in enumerate(get_args(Kind))}
    keys = sorted({*seen, *declared}, key=lambda key: (order[key[0]], key[1]))
    return [_piece(key, seen.get(key), definition, used(key), influence.get(key)) for key in keys]


def _piece(
    key: Key,
    row: Mapping[str, Any] | None,
    definition: DataMapDefinition,
    users: Collection[str],
    influence: Influence | None,
) -> Piece:
    kind, name = key
    answer = definition.answer(kind, name)
    return Piece(
        kind=kind,
        name=name,
        answer=answer,
        types=tuple(dict.fromkeys(_TYPES.get(each, each.lower()) for each in (row["types"] if row else ()) if each)),
        n=row["n"] if row else 0,
        first_at=from_datetime(row["first"]) if row else None,
        last_at=from_datetime(row["last"]) if row else None,
        used_by=tuple(sorted(users)),
        influence=influence,
        unused=not (users or answer.keep or kind == "source"),
    )


def _seen(history: HistoryQueries, now: Instant) -> list[dict[str, Any]]:
    if not history.offset("events"):
        return []
    rows: list[dict[str, Any]] = history.query(
        _PIECES, {"recent": to_datetime(Instant(now - RECENT_DAYS * DAY))}
    ).to_pylist()
    return rows


def _influences(history: HistoryQueries, conversion: str, now: Instant) -> dict[tuple[str, str], Influence]:
    if not history.offset("events") or not history.offset("belonging"):
        return {}
    periods = {
        "since": to_datetime(Instant(now - 2 * RECENT_DAYS * DAY)),
        "middle": to_datetime(Instant(now - RECENT_DAYS * DAY)),
        "until": to_datetime(now),
        "conversion": conversion,
    }
    rows = history.query(_INFLUENCE, periods).to_pylist()
    return {(row["kind"], row["piece"]): found for row in rows if (found := _influence(row)) is not None}


def _influence(row: Mapping[str, int]) -> Influence | None:
    others, other_hits = row["n_all"] - row["n"], row["hits_all"] - row["hits"]
    if min(row["n"], others) < LEAST_PEOPLE:
        return None
    low, high = newcombe(row["hits"], row["n"], other_hits, others)
    return Influence(
        rate=row["hits"] / row["n"], without=other_hits / others, low=low, high=high, n=row["n"], others=others
    )
