"""What the engine has folded and History does not hold yet, for those who read about one person."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailwright.core.events import Event, Offset
from mailwright.core.happenings import Happening, Place, Unwritten, Whose
from mailwright.runtime.engine.merge_rows import MergeRow
from mailwright.runtime.engine.state import Folded

LOOKED_THROUGH = 500_000
"""Rows that one read looks through at most, for some tenths of a second in the reader's thread. More wait only while
History cannot be written: what waits behind a busy disk is the open chunk, four in the queue, and one at work."""


_TOLD: Mapping[str, Literal["merge", "split"]] = {"merge": "merge", "split": "split"}


@dataclass(frozen=True, slots=True)
class Pending:
    """What waited for History at one moment: chunks nobody adds to any more, oldest first, all above `after`.

    The first may hold rows at or below `after`, which a restarted engine folded again: those are in History.
    """

    chunks: Sequence[Folded]
    after: Offset

    def of(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        """The newest `limit` lines of one person that stand before `before`."""
        looked, complete = _newest(self.chunks)
        lines = (line for chunk in looked for line in _lines(chunk, whose))
        wanted = (line for line in lines if line.offset > self.after and line.place < before)
        rows = heapq.nlargest(limit, wanted, key=lambda line: line.place)
        return Unwritten(rows=rows, after=self.after, complete=complete)


def _newest(chunks: Sequence[Folded]) -> tuple[Sequence[Folded], bool]:
    """The newest chunks that may be looked through, one at least, and whether they are all."""
    left = LOOKED_THROUGH
    for place, chunk in enumerate(reversed(chunks)):
        left -= len(chunk.events) + len(chunk.changes) + len(chunk.merges)
        if left < 0 and place:
            return chunks[len(chunks) - place :], False
    return chunks, True


def _lines(chunk: Folded, whose: Whose) -> Iterator[Happening]:
    """As the SQL of `mailwright.reports.timeline` reads them once they are in History."""
    wanted, numbers = set(whose.identifiers), {int(each) for each in whose.numbers}
    values = {each.value for each in wanted}  # most rows are somebody else's: a text is compared faster than a struct
    for offset, _, _, event in chunk.events:
        first = event.identifiers[0]
        if first.value in values and first in wanted:
            yield _event(offset, event)
    for offset, at, change in chunk.changes:
        if change.person == whose.person:
            kind: Literal["entered", "left"] = "entered" if change.entered else "left"
            yield Happening(at=at, offset=offset, kind=kind, label=change.segment, source=change.cause, detail={})
    for row in chunk.merges:
        if row.person in numbers or row.other in numbers:
            yield from _merge(row)


def _event(offset: Offset, event: Event) -> Happening:
    return Happening(
        at=event.stamp_at,
        offset=offset,
        kind="event",
        label=event.name or event.type,
        source=event.source,
        detail=event.traits if event.type in ("identify", "group") else event.properties,
    )


def _merge(row: MergeRow) -> Iterator[Happening]:
    """One line; none for what was refused."""
    if row.kind in _TOLD:
        other = row.person if row.other is None else row.other
        yield Happening(
            at=row.at,
            offset=row.offset,
            kind=_TOLD[row.kind],
            label=f"#{other}",
            source=row.done_by,
            detail={"into": row.person, "other": row.other, "reason": row.reason},
        )
