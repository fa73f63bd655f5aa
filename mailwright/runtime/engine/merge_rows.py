"""What happened to the identity graph, as rows of History's table ``merges``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailwright.core.events import LogRecord, Offset, Person, PersonSplit
from mailwright.core.instants import Instant
from mailwright.profiles.identity import IdentityGraph


class MergeRow(NamedTuple):
    """One row.

    Attributes:
        kind: ``merge``, ``split``, or ``refused`` for what was not done; of the same refusal only the first.
        number: Of the merge that was made, or that a split took back; None: identifiers were taken out.
        person: Who stays; `other`: who is gone, or who has the rest after a split.
        one: The identifiers that were named together; after a split `two` is empty and `one` holds those that left,
            one per line.
        reason: Why.
        done_by: Who did it by hand; empty for an event.
    """

    offset: Offset
    at: Instant
    kind: str
    number: int | None
    person: int
    other: int | None
    one: str
    two: str
    reason: str
    source: str
    message_id: str
    done_by: str


def merge_rows(graph: IdentityGraph, at: Instant) -> list[MergeRow]:
    """Rows of what a record brought; drains what the graph tells once."""
    rows = []
    for merge in graph.new_merges():
        said = graph.book.said(merge)
        one, two = graph.key(merge.one), graph.key(merge.other)
        who = (said.source, said.message_id, said.by)
        rows.append(
            MergeRow(
                merge.offset, at, "merge", merge.number, merge.into, merge.gone, one, two, graph.reason(merge), *who
            )
        )
    for person, each in graph.new_refusals():
        rows.append(
            MergeRow(each.offset, at, "refused", None, person, None, each.one, each.other, each.reason, "", "", "")
        )
    return sorted(rows, key=lambda row: row.offset)


def refused_row(record: LogRecord, person: int, other: int | None, reason: str, by: str) -> MergeRow:
    """Something that was asked for by hand and is not done."""
    return MergeRow(record.offset, record.at, "refused", None, person, other, "", "", reason, "", "", by)


def split_row(
    graph: IdentityGraph, record: LogRecord, body: PersonSplit, people: Sequence[Person], moved: Sequence[int]
) -> MergeRow:
    """Somebody is two."""
    left = "\n".join(graph.key(row) for row in moved)
    person, other = people
    return MergeRow(
        record.offset, record.at, "split", body.merge, person, other, left, "", body.reason, "", "", body.by
    )
