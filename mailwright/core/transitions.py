"""Who entered and who left a segment, in the one order in which everybody reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant

WHOLE = 2**62
"""Larger than any person: a cursor with it lies behind everything of its tick."""

MAX_CURSOR_LENGTH = 400


class Cursor(NamedTuple):
    """A place in the order of transitions: by tick, then person, then segment.

    It stays true for ever: a tick never changes, and a person enters or leaves a segment at most once at a tick. So a
    reader that comes back with the cursor of the last transition it has dealt with misses none and gets none twice.

    Attributes:
        offset: Of the tick; 0 lies before everything.
    """

    offset: Offset
    person: int = WHOLE
    segment: str = ""

    def __str__(self) -> str:
        return str(self.offset) if self.person == WHOLE else f"{self.offset}.{self.person}.{self.segment}"


START = Cursor(Offset(0))
"""Before the first transition."""


def parse_cursor(text: str) -> Cursor:
    """The cursor that `str` wrote.

    Raises:
        InvalidInput: ``transition.cursor``.
    """
    offset, *rest = text.split(".", 2)
    good = all(part.isascii() and part.isdigit() and len(part) < 19 for part in (offset, *rest[:1]))
    if not good or len(rest) == 1 or rest[1:] == [""] or len(text) > MAX_CURSOR_LENGTH:
        hint = "send back a cursor that an answer gave you; 0 begins with the oldest transition"
        raise InvalidInput.one("transition.cursor", f"{text[:80]!r} is no cursor", hint=hint)
    return Cursor(Offset(int(offset)), int(rest[0]), rest[1]) if rest else Cursor(Offset(int(offset)))


class SegmentChange(msgspec.Struct, frozen=True, kw_only=True):
    """A person entered or left a segment at a tick.

    Attributes:
        offset: Of the tick, as is `at`.
        first_identifier: ``kind:value`` of the person's first identifier, or of the survivor's after a merge; a
            personal kind (email, phone) has its keyed hash. Empty for a person that is no longer known.
        cause: As of `mailwright.rules.fold.causes.CAUSES`.
    """

    offset: Offset
    at: Instant
    person: Person
    segment: str
    entered: bool
    cause: str
    first_identifier: str = ""

    @property
    def cursor(self) -> Cursor:
        """Its place."""
        return Cursor(self.offset, self.person, self.segment)


class TransitionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some transitions in order.

    Attributes:
        cursor: Up to where they were looked through: ask for what comes after it next.
        kept_since: The engine keeps everything after this place. If the asked-for place lies before it, the page is
            empty and its cursor is the asked-for place: History has what is older.
        more: Whether the engine keeps more transitions after `cursor`.
    """

    changes: Sequence[SegmentChange]
    cursor: Cursor
    kept_since: Cursor = START
    more: bool = False
