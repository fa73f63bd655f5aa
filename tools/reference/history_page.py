"""docs/reference/history.md: tables, columns and views of History."""

from __future__ import annotations

import pyarrow as pa

from mailwright.rules.sql.star import TITLES, views
from mailwright.runtime.engine.history_columns import TABLES
from tools.reference.markdown import code, table

HEAD = """# History: tables and views

Every table is a Delta Lake table in the folder of its name below `data/history`, with a change feed ([how to
read them](../how-to/history-for-others.md)). Times are UTC with microseconds. A column is never null but where
it says so. Columns and tables may be added; none is renamed or changes its type. Within a table, files follow
one another by `offset`."""

TYPED = """Besides, `events` has typed columns of every property that a rule reads: for `total` there are `kind_total`
(0 missing, 1 whole number, 2 decimal, 3 text, 4 boolean, 5 only in the JSON; null: not looked at in that file),
`number_total` (exact, in millionths), `text_total` and `boolean_total`. They are there to make rules fast;
other programs read `properties`."""

VIEWS = """## Views

Star-shaped: `people` is the dimension, the others are facts, joined by `person`. They are there in `mailwright
history sql` and in SQL segments; `mailwright export-views --to FOLDER` writes them as files; `mailwright
history views --dialect spark` prints them. Whose an event is, is as known now; with `--as-of TIME` all is as
known then. Personal values stay sealed. `people.identifier` is the most telling one, by the `priority` of
`identity.yaml`, kinds that it does not name before an `anonymous_id` at its end; without it a `user_id`, else the hash
of an e-mail or a phone, another kind, an `anonymous_id`; `people.consents` are purposes that at least one of their
addresses granted. `accounts.traits` is a JSON object, `accounts.people` lists who is in it; `consents.since_at` is
when the newest word was told."""


def page() -> str:
    """The page."""
    parts = [HEAD]
    for name, (schema, title, meanings) in TABLES.items():
        rows = [(code(each.name), _type(each.type), meanings[each.name]) for each in schema]
        parts += [f"## {name}", title, table(("column", "type", "meaning"), rows)]
        if name == "events":
            parts.append(TYPED)
    parts.append(VIEWS)
    parts.append(table(("view", "what it holds"), [(code(name), TITLES[name]) for name in views()]))
    parts += [f"### {name}\n\n```sql\n{sql}\n```" for name, sql in views().items()]
    return "\n\n".join(parts)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return {pa.int64(): "long", pa.string(): "string", pa.bool_(): "boolean"}[kind]
