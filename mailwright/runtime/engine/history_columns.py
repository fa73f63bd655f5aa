"""What the columns of History's tables mean, for whoever reads them with a program of their own.

A column is never null but where its sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from mailwright.rules.fold.causes import CAUSES
from mailwright.runtime.engine import history_rows as rows

_OFFSET = "Place in the log: record number × 4096 + place in the record. Ascends through the table."
_AT = "When the record was appended."
_CAUSES = ", ".join(f"`{cause}`" for cause in sorted(CAUSES))

TABLES: Mapping[str, tuple[pa.Schema, str, Mapping[str, str]]] = {
    "events": (
        rows.EVENTS,
        "One row an event that counted, in the order in which they came in.",
        {
            "offset": _OFFSET,
            "recorded_at": _AT,
            "message_id": "Given by the sender; unique with `source`.",
            "source": "Name of the write key, or of the webhook, form or import, that brought it.",
            "type": "`track`, `page`, `screen`, `identify`, `group` or `alias`.",
            "name": "Of a track, page or screen call; empty for others.",
            "stamp_at": "When it happened, by the door's clock.",
            "received_at": "When the door took it.",
            "known_at": "From when it counts: `received_at`, or `stamp_at` for imported history.",
            "identifier_kind": "Kind of the first identifier: `user_id`, `anonymous_id`, `email`, ...",
            "identifier": "Its value; of a personal kind the keyed hash. Whose it is says table `belonging`.",
            "identifier_key": "First 8 bytes of BLAKE2b of `kind:value`, signed: joins `belonging`. Null in old files.",
            "properties": "JSON object as sent; personal fields are sealed objects. Null if there are none.",
            "traits": "JSON object, of identify and group. Null if there are none.",
            "context": "JSON object as sent, and what the door made of it. Null if there is none.",
            "history": "Whether it came by an import declared as history, which starts nothing.",
        },
    ),
    "belonging": (
        rows.BELONGING,
        "Whose each identifier is, from which place in the log to which. A row that closes one repeats its first three "
        "values, so of rows with the same `identifier` and `from_offset` the newest counts.",
        {
            "offset": _OFFSET,
            "identifier": "`kind:value`; `erased:...` where the person was erased.",
            "person": "The engine's number, never given again.",
            "from_offset": "From this place on, it included.",
            "to_offset": "Up to this place, it not included. Null: still.",
            "identifier_key": "As in `events`. Null in old files, and where the person was erased.",
        },
    ),
    "transitions": (
        rows.TRANSITIONS,
        "Who entered and left which segment.",
        {
            "offset": "Place of the tick at which it was found.",
            "at": "The tick's instant.",
            "person": "The engine's number at that time.",
            "segment": "Name of the segment.",
            "entered": "True: entered; false: left.",
            "cause": f"{_CAUSES}: [what each means](../how-to/segments-live.md#follow-who-enters-and-leaves).",
        },
    ),
    "items": (
        rows.ITEMS,
        "Versions of catalog items.",
        {
            "offset": _OFFSET,
            "catalog": "Name of the catalog, such as `products`.",
            "item_id": "Of the item.",
            "stamp_at": "From when the version is in force, until the item's next.",
            "facts": "JSON object. Null if there are none.",
        },
    ),
    "ticks": (rows.TICKS, "When rules were evaluated.", {"offset": _OFFSET, "at": "The instant of evaluation."}),
    "lists": (
        rows.LISTS,
        "Who came on a list or left it; only what really changed. SQL segment NAME is list `sql:NAME`.",
        {
            "offset": _OFFSET,
            "at": _AT,
            "list": "Name of the list.",
            "identifier": "`kind:value`; of a personal kind the value is its keyed hash.",
            "added": "True: came; false: left.",
        },
    ),
    "definitions": (
        rows.DEFINITIONS,
        "Versions of the project's files: one row when applied, one when in force, often both in one.",
        {
            "offset": _OFFSET,
            "at": _AT,
            "version": "Number of the version.",
            "files": "JSON object, path to text. Null in a row that only says that it is in force.",
            "in_force": "Whether it is in force from here on.",
        },
    ),
    "merges": (
        rows.MERGES,
        "What happened to the identity graph: merges, splits, and merges that were refused.",
        {
            "offset": _OFFSET,
            "at": _AT,
            "kind": "`merge`, `split`, or `refused` for what was not done.",
            "number": "Of the merge; null where something was refused, or identifiers were taken out.",
            "person": "Who stays.",
            "other": "Who is gone, or has the rest after a split; null if nobody.",
            "one": "Identifier (`kind:value`) that led to it; after a split those that left, one per line.",
            "two": "The identifier that was named with it; empty after a split.",
            "reason": "Why.",
            "source": "What brought the event behind it; empty if it was done by hand.",
            "message_id": "Of that event; empty if it was done by hand.",
            "done_by": "Who did it by hand; empty for an event.",
        },
    ),
    "records": (
        rows.RECORDS,
        "Every other record of the log: consents, suppressions, predictions and the like.",
        {
            "offset": _OFFSET,
            "at": _AT,
            "kind": "Tag of the record, such as `consent`.",
            "body": "JSON object with the record's fields.",
        },
    ),
}
"""Table -> its columns, what a row is, and what each column means."""
