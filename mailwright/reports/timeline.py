"""What happened to one person, newest first, read from History."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.ports import History
from mailwright.reports.overview import OUR_SOURCE

_TIMELINE = """
WITH mine AS (
  SELECT epoch_us(stamp_at) AS happened_at, "offset" AS place, 'event' AS kind,
         CASE WHEN name <> '' THEN name ELSE type END AS label, source,
         CASE WHEN type IN ('identify', 'group') THEN traits ELSE properties END AS detail
  FROM events WHERE list_contains($identifiers, identifier_kind || ':' || identifier)
  {transitions}
  {merges}
)
SELECT * FROM mine WHERE (happened_at, place, label) < ($at, $place, $label)
ORDER BY happened_at DESC, place DESC, label DESC LIMIT $limit
"""
_TRANSITIONS = """
  UNION ALL
  SELECT epoch_us("at"), "offset", CASE WHEN entered THEN 'entered' ELSE 'left' END, segment, cause, NULL
  FROM transitions WHERE person = $person
"""
_MERGES = """
  UNION ALL
  SELECT epoch_us("at"), "offset", kind, '#' || CAST(coalesce(other, person) AS VARCHAR), done_by,
         CAST(json_object('into', person, 'other', other, 'reason', reason) AS VARCHAR)
  FROM merges WHERE kind IN ('merge', 'split') AND (list_contains($numbers, person) OR list_contains($numbers, other))
"""
_END = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of a timeline.

    Attributes:
        kind: An event, a segment that was entered or left, or a merge or split.
        label: The event's name, or the segment's; ``#`` and the number of who is gone, or was parted.
        source: The event's write key source; the transition's cause; who merged or split by hand, or nothing.
        detail: The event's properties as received, of identify and group the traits; personal ones are sealed. Of a
            merge or split ``into``, ``other`` and ``reason``.
    """

    at: Instant
    offset: Offset
    kind: Literal["event", "entered", "left", "merge", "split"]
    label: str
    source: str
    detail: dict[str, Any]

    @property
    def cursor(self) -> str:
        """Where the next page goes on."""
        return f"{self.at}.{self.offset}.{self.label}"

    @property
    def message_id(self) -> str | None:
        """The mail that an event of our own is about."""
        found = self.detail.get("message_id") if self.source == OUR_SOURCE else None
        return found if isinstance(found, str) else None


def timeline(
    history: History,
    person: Person,
    identifiers: Sequence[Identifier],
    *,
    numbers: Sequence[Person] = (),
    before: str | None,
    limit: int,
) -> list[Happening]:
    """Events that name one of the identifiers first, segment changes, merges and splits of a person, newest first.

    Args:
        history: Read as of its newest chunk.
        person: The number under which transitions were written.
        identifiers: All that belong to the person now.
        numbers: All numbers that the person has had, for merges and splits.
        before: Cursor of the last line already shown, or None.
        limit: At most this many lines.

    Raises:
        InvalidInput: If `before` is no cursor.
    """
    if not history.offset("events"):
        return []
    at, place, label = _read_cursor(before)
    parameters: dict[str, Any] = {
        "identifiers": [f"{identifier.kind}:{identifier.value}" for identifier in identifiers],
        "at": at,
        "place": place,
        "label": label,
        "limit": limit,
    }
    with_transitions = bool(history.offset("transitions"))
    if with_transitions:
        parameters["person"] = int(person)
    with_merges = bool(numbers and history.offset("merges"))
    if with_merges:
        parameters["numbers"] = [int(each) for each in numbers]
    sql = _TIMELINE.format(transitions=_TRANSITIONS if with_transitions else "", merges=_MERGES if with_merges else "")
    table = history.query(sql, parameters)
    return [_happening(row) for row in table.to_pylist()]


def _read_cursor(before: str | None) -> tuple[int, int, str]:
    if before is None:
        return _END, _END, ""
    at, _, rest = before.partition(".")
    place, _, label = rest.partition(".")
    if not (at.lstrip("-").isdecimal() and place.isdecimal()) or len(at) > 19 or len(place) > 18:
        raise InvalidInput.one("timeline.cursor", f"{before!r} is no place in a timeline", hint="start at the top")
    return int(at), int(place), label


def _happening(row: dict[str, Any]) -> Happening:
    return Happening(
        at=Instant(row["happened_at"]),
        offset=Offset(row["place"]),
        kind=row["kind"],
        label=row["label"],
        source=row["source"],
        detail=msgspec.json.decode(row["detail"]) if row["detail"] else {},
    )
