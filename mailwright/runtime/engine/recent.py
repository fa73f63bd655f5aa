"""The newest transitions, kept in memory for readers that follow them; History has all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import islice
from typing import NamedTuple

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.transitions import START, Cursor
from mailwright.rules.fold import Change

KEPT = 100_000
"""Transitions in memory: some 20 MB, and at 1,000 a second the time that History may lag behind."""

LOOKED_THROUGH = 10_000
"""Rows that one read looks through at most, for a few milliseconds: a rare segment takes several reads."""


class Row(NamedTuple):
    """One transition; rows compare by their place."""

    offset: Offset
    person: Person
    segment: str
    at: Instant
    entered: bool
    cause: str

    @property
    def cursor(self) -> Cursor:
        """Its place."""
        return Cursor(self.offset, self.person, self.segment)


class Found(NamedTuple):
    """Rows, up to where they were looked for, and whether there are more behind that place."""

    rows: Sequence[Row]
    cursor: Cursor
    more: bool


class Recent:
    """The newest transitions in order of their cursors. Part of no checkpoint: after one, History has what is older."""

    def __init__(self, since: Cursor = START, *, kept: int = KEPT) -> None:
        """Begin after `since`; keep at least the newest `kept`."""
        self.since = since
        self.upto = since
        self._kept = kept
        self._rows: list[Row] = []

    def add(self, offset: Offset, at: Instant, changes: Sequence[Change]) -> None:
        """Take in what a tick brought; its changes have the fold's order, here they get the cursors'."""
        ordered = sorted(changes, key=lambda change: (change.person, change.segment))
        self._rows += [Row(offset, each.person, each.segment, at, each.entered, each.cause) for each in ordered]
        self.upto = Cursor(offset)
        if len(self._rows) > self._kept + self._kept // 4:  # cutting off one by one would move all rows at every tick
            cut = len(self._rows) - self._kept
            self.since = self._rows[cut - 1].cursor
            del self._rows[:cut]

    def after(self, cursor: Cursor, segments: Collection[str] | None, limit: int) -> Found:
        """The first `limit` rows after `cursor`, which is not before `since`; of these segments alone, if given."""
        first = bisect_right(self._rows, cursor, key=lambda row: row.cursor)
        looked = self._rows[first : first + LOOKED_THROUGH]
        wanted = looked if segments is None else (row for row in looked if row.segment in segments)
        rows = list(islice(wanted, limit))
        if len(rows) == limit:
            end = rows[-1].cursor
            return Found(rows, end, bool(self._rows) and end < self._rows[-1].cursor)
        if first + len(looked) < len(self._rows):
            return Found(rows, looked[-1].cursor, True)
        return Found(rows, max(cursor, self.upto), False)

    def latest(self, segment: str, limit: int) -> Found:
        """The last `limit` rows of a segment, newest first; what lies before their cursor was not looked at."""
        looked = self._rows[-LOOKED_THROUGH:]
        rows = list(islice((row for row in reversed(looked) if row.segment == segment), limit))
        if len(rows) == limit:
            return Found(rows, rows[-1].cursor, True)
        if len(looked) < len(self._rows):
            return Found(rows, looked[0].cursor, True)
        return Found(rows, self.since, self.since > START)
