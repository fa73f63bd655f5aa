"""Star-shaped views of History: people, and what they did, ordered and were sent, joined by `person`.

Written once, in DuckDB's words but for six functions, and printed for DuckDB or Spark: ``json_text(document, name)``
is the text of a property, ``json_names(document)`` the names in it, ``json_items(document, name)`` the elements of a
list in it, ``json_of(name, value)`` the object of many names and values, ``time_of(micros)`` an instant,
``rank_of(kind)`` the place of a kind of identifier, as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import sqlglot
from sqlglot import exp

StarDialect = Literal["duckdb", "spark"]

TITLES: Mapping[str, str] = {
    "owners": "Whose each identifier is now.",
    "memberships": "Who is in which segment now, and since when.",
    "person_events": "Every event with the person whose it is now.",
    "person_traits": "The newest value of each trait of each person; personal ones are sealed.",
    "consents": "The newest word on each purpose by each e-mail address (its keyed hash), and whose that is now.",
    "people": "One row a person: when first and last seen, traits, segments, purposes granted.",
    "accounts": "One row an account of group calls: its traits, who is in it, when first and last seen.",
    "orders": "One row an `Order Completed`.",
    "order_lines": "One row a product of an order.",
    "messages": "One row a mail: what became of it, and the first order less than 3 days after its first click.",
}

_VIEWS: Mapping[str, str] = {
    "owners": """
        SELECT identifier, person FROM (
            SELECT identifier, person, to_offset, row_number() OVER (
                PARTITION BY identifier, from_offset ORDER BY "offset" DESC, to_offset ASC NULLS LAST
            ) AS place
            FROM belonging
        ) AS told
        WHERE place = 1 AND to_offset IS NULL AND NOT identifier LIKE 'erased:%'
    """,
    "memberships": """
        SELECT person, segment, "at" AS since_at FROM (
            SELECT person, segment, "at", entered, row_number() OVER (
                PARTITION BY person, segment ORDER BY "offset" DESC
            ) AS place
            FROM transitions
        ) AS told
        WHERE place = 1 AND entered
    """,
    "person_events": """
        SELECT e."offset", o.person, e.stamp_at, e.received_at, e.source, e.type, e.name, e.message_id,
            e.properties, e.traits, e.context
        FROM events AS e
        LEFT JOIN owners AS o ON o.identifier = concat(e.identifier_kind, ':', e.identifier)
    """,
    "person_traits": """
        SELECT person, trait, value, told_at FROM (
            SELECT person, trait, json_text(traits, trait) AS value, stamp_at AS told_at, row_number() OVER (
                PARTITION BY person, trait ORDER BY stamp_at DESC, "offset" DESC
            ) AS place
            FROM (
                SELECT person, stamp_at, "offset", traits, unnest(json_names(traits)) AS trait
                FROM person_events WHERE type = 'identify' AND NOT traits IS NULL AND NOT person IS NULL
            ) AS named
            WHERE NOT contains(trait, '"')
        ) AS told
        WHERE place = 1 AND NOT value IS NULL
    """,
    "consents": """
        SELECT c.address_hash, o.person, c.purpose,
            CASE WHEN c.granted = 'true' THEN 'granted' ELSE 'withdrawn' END AS state,
            time_of(c.told_at) AS since_at, c.source, c.wording
        FROM (
            SELECT address_hash, purpose, granted, told_at, source, wording, row_number() OVER (
                PARTITION BY address_hash, purpose ORDER BY told_at DESC, "offset" DESC
            ) AS place
            FROM (
                SELECT "offset", json_text(body, 'address_hash') AS address_hash,
                    json_text(body, 'purpose') AS purpose, json_text(body, 'granted') AS granted,
                    CAST(json_text(body, 'told_at') AS BIGINT) AS told_at, json_text(body, 'source') AS source,
                    json_text(body, 'wording') AS wording
                FROM records WHERE kind = 'consent'
            ) AS said
        ) AS c
        LEFT JOIN owners AS o ON o.identifier = concat('email:', c.address_hash)
        WHERE c.place = 1 AND c.address_hash <> 'erased'
    """,
    "people": """
        SELECT p.person, p.identifier, p.identifiers, s.first_seen_at, s.last_seen_at, s.events, t.traits, m.segments,
            c.consents
        FROM (
            SELECT person, count(*) AS identifiers,
                min_by(identifier, concat(rank_of(split_part(identifier, ':', 1)), identifier)) AS identifier
            FROM owners GROUP BY person
        ) AS p
        LEFT JOIN (
            SELECT person, min(first_at) AS first_seen_at, coalesce(max(alive_at), min(first_at)) AS last_seen_at,
                count(first_at) AS events
            FROM (
                -- who is alive by which events says mailwright.core.presence
                SELECT person, CASE WHEN source <> 'mailwright' THEN stamp_at END AS first_at, CASE
                    WHEN source = 'audit' OR NOT type IN ('track', 'page', 'screen') THEN NULL
                    WHEN type = 'track' AND name IN (
                        'Email Sent', 'Email Delivered', 'Email Bounced', 'Email Failed', 'Email Suppressed',
                        'Email Expired', 'Email Cancelled', 'Email Unknown'
                    ) THEN NULL
                    WHEN type = 'track' AND name IN ('Email Opened', 'Email Link Clicked')
                        AND json_text(properties, 'machine') = 'true' THEN NULL
                    ELSE stamp_at
                END AS alive_at
                FROM person_events
            ) AS signs
            GROUP BY person
        ) AS s ON s.person = p.person
        LEFT JOIN (SELECT person, json_of(trait, value) AS traits FROM person_traits GROUP BY person) AS t
            ON t.person = p.person
        LEFT JOIN (SELECT person, array_agg(segment) AS segments FROM memberships GROUP BY person) AS m
            ON m.person = p.person
        LEFT JOIN (
            SELECT person, array_agg(DISTINCT purpose) AS consents FROM consents
            WHERE state = 'granted' AND NOT person IS NULL GROUP BY person
        ) AS c ON c.person = p.person
    """,
    "accounts": """
        SELECT a.account, a.first_seen_at, a.last_seen_at, a.members, a.people, t.traits
        FROM (
            SELECT account, min(stamp_at) AS first_seen_at, max(stamp_at) AS last_seen_at,
                count(DISTINCT person) AS members, array_agg(DISTINCT person) AS people
            FROM (
                SELECT json_text(context, 'groupId') AS account, person, stamp_at
                FROM person_events WHERE type = 'group'
            ) AS calls
            WHERE account <> '' GROUP BY account
        ) AS a
        LEFT JOIN (
            SELECT account, json_of(trait, value) AS traits FROM (
                SELECT account, trait, json_text(traits, trait) AS value, row_number() OVER (
                    PARTITION BY account, trait ORDER BY stamp_at DESC, "offset" DESC
                ) AS place
                FROM (
                    SELECT json_text(context, 'groupId') AS account, stamp_at, "offset", traits,
                        unnest(json_names(traits)) AS trait
                    FROM person_events WHERE type = 'group' AND NOT traits IS NULL
                ) AS named
                WHERE NOT contains(trait, '"')
            ) AS told
            WHERE place = 1 AND NOT value IS NULL GROUP BY account
        ) AS t ON t.account = a.account
    """,
    "orders": """
        SELECT "offset", person, stamp_at AS ordered_at, json_text(properties, 'order_id') AS order_id,
            TRY_CAST(json_text(properties, 'total') AS DOUBLE) AS total,
            json_text(properties, 'currency') AS currency, json_text(properties, 'coupon') AS coupon, source,
            TRY_CAST(json_text(properties, 'total_original') AS DOUBLE) AS total_original,
            json_text(properties, 'total_original_currency') AS total_original_currency
        FROM person_events WHERE type = 'track' AND name = 'Order Completed'
    """,
    "order_lines": """
        SELECT "offset", person, ordered_at, order_id, json_text(line, 'product_id') AS product_id,
            json_text(line, 'sku') AS sku, json_text(line, 'name') AS name, json_text(line, 'category') AS category,
            TRY_CAST(json_text(line, 'price') AS DOUBLE) AS price,
            coalesce(TRY_CAST(json_text(line, 'quantity') AS DOUBLE), 1) AS quantity
        FROM (
            SELECT "offset", person, stamp_at AS ordered_at, json_text(properties, 'order_id') AS order_id,
                unnest(json_items(properties, 'products')) AS line
            FROM person_events WHERE type = 'track' AND name = 'Order Completed'
        ) AS lines
    """,
    "messages": """
        SELECT m.message_id, m.person, m.origin, m.step, m.experiment, m.variant, m.sent_at, m.opens, m.clicks,
            m.first_opened_at, m.first_clicked_at, m.unsubscribed, min(o.ordered_at) AS converted_at,
            min_by(o.total, o.ordered_at) AS revenue
        FROM (
            SELECT json_text(properties, 'message_id') AS message_id, max(person) AS person,
                max(json_text(properties, 'origin')) AS origin, max(json_text(properties, 'step')) AS step,
                max(json_text(properties, 'experiment')) AS experiment,
                max(json_text(properties, 'variant')) AS variant,
                min(CASE WHEN name = 'Email Sent' THEN stamp_at END) AS sent_at,
                sum(CASE WHEN name = 'Email Opened' AND NOT machine THEN 1 ELSE 0 END) AS opens,
                sum(CASE WHEN name = 'Email Link Clicked' AND NOT machine THEN 1 ELSE 0 END) AS clicks,
                min(CASE WHEN name = 'Email Opened' AND NOT machine THEN stamp_at END) AS first_opened_at,
                min(CASE WHEN name = 'Email Link Clicked' AND NOT machine THEN stamp_at END) AS first_clicked_at,
                max(CASE WHEN name = 'Unsubscribed' THEN 1 ELSE 0 END) = 1 AS unsubscribed
            FROM (
                SELECT person, name, stamp_at, properties,
                    coalesce(json_text(properties, 'machine'), 'false') = 'true' AS machine
                FROM person_events WHERE source = 'mailwright' AND NOT json_text(properties, 'message_id') IS NULL
            ) AS told
            GROUP BY json_text(properties, 'message_id')
        ) AS m
        LEFT JOIN orders AS o ON o.person = m.person AND o.ordered_at >= m.first_clicked_at
            AND o.ordered_at < m.first_clicked_at + INTERVAL '3' DAY
        GROUP BY m.message_id, m.person, m.origin, m.step, m.experiment, m.variant, m.sent_at, m.opens, m.clicks,
            m.first_opened_at, m.first_clicked_at, m.unsubscribed
    """,
}


KINDS = ("user_id", "email", "phone", "anonymous_id")
"""Kinds of identifiers where a project says nothing, the most telling first."""


@lru_cache(maxsize=8)
def views(dialect: StarDialect = "duckdb", kinds: Sequence[str] = KINDS) -> Mapping[str, str]:
    """Name -> the SELECT that a view is, each after those that it reads.

    `kinds`: of identifiers, as `identity.yaml` ranks them; a person is shown by the first. Others come after them, but
    before an ``anonymous_id`` that stands last: it tells least.
    """
    functions = {**_FUNCTIONS[dialect], "rank_of": lambda kind: _rank(kind, kinds)}

    def said(node: exp.Expression) -> exp.Expression:
        make = functions.get(node.name.lower()) if isinstance(node, exp.Anonymous) else None
        return make(*node.expressions) if make else node

    found = {}
    for name, sql in _VIEWS.items():
        tree = sqlglot.parse_one(sql, dialect="duckdb").transform(said)
        found[name] = tree.sql(dialect=dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)
    return found


def _call(name: str, *arguments: exp.Expression | str) -> exp.Expression:
    """A function that SQLGlot leaves as it is."""
    told = [exp.Literal.string(each) if isinstance(each, str) else each for each in arguments]
    return exp.Anonymous(this=name, expressions=told)


def _rank(kind: exp.Expression, kinds: Sequence[str]) -> exp.Expression:
    """Three digits, which sort as text."""
    case, last = exp.Case(this=kind), len(kinds)
    for place, each in enumerate(kinds):
        place = last + 1 if each == "anonymous_id" and place == last - 1 else place
        case = case.when(exp.Literal.string(each), exp.Literal.string(f"{place:03}"))
    return case.else_(exp.Literal.string(f"{last:03}"))


def _path(name: exp.Expression, before: str, after: str) -> exp.Expression:
    if isinstance(name, exp.Literal):
        return exp.Literal.string(f"{before}{name.this}{after}")
    return _call("concat", before, name, after)


_FUNCTIONS: Mapping[str, Mapping[str, Callable[..., exp.Expression]]] = {
    "duckdb": {
        "json_text": lambda document, name: _call("json_extract_string", document, _path(name, '$."', '"')),
        "json_names": lambda document: _call("json_keys", document),
        "json_items": lambda document, name: exp.cast(
            _call("json_extract", document, _path(name, '$."', '"')), exp.DataType.build("JSON[]", dialect="duckdb")
        ),
        "json_of": lambda name, value: _call("json_group_object", name, value),
        "time_of": lambda micros: _call("make_timestamptz", micros),
    },
    "spark": {
        "json_text": lambda document, name: _call("get_json_object", document, _path(name, "$['", "']")),
        "json_names": lambda document: _call("json_object_keys", document),
        "json_items": lambda document, name: _call(
            "from_json", _call("get_json_object", document, _path(name, "$['", "']")), "array<string>"
        ),
        "json_of": lambda name, value: _call(
            "to_json", _call("map_from_entries", _call("collect_list", _call("struct", name, value)))
        ),
        "time_of": lambda micros: _call("timestamp_micros", micros),
    },
}
