"""What happened to one person, newest first: what History holds, and what the engine has folded since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Offset
from mailwright.core.happenings import Happening, Place, Whose
from mailwright.core.instants import Instant
from mailwright.core.ports import EngineReads, History

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


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stretch of a timeline, newest first; not `complete` while History is so far behind that lines are missing."""

    happened: list[Happening]
    complete: bool


def timeline(engine: EngineReads, history: History, whose: Whose, *, before: str | None, limit: int) -> Timeline:
    """Events that name one of a person's identifiers first, their segment changes, merges and splits, newest first.

    What the engine has folded is there, whether or not History holds it yet: asked first, the engine says up to where
    History does, and History is read up to there, so each line is there once whatever is appended meanwhile.

    Args:
        engine: Knows what is not in History yet.
        history: Has everything before.
        whose: The person.
        before: Cursor of the last line already shown, or None.
        limit: At most this many lines.

    Raises:
        InvalidInput: If `before` is no cursor.
        Transient: If the engine does not answer.
    """
    place = _read_cursor(before)
    newest = engine.unwritten(whose, place, limit)
    held = _held(history, whose, place, limit, newest.after)
    happened = sorted([*newest.rows, *held], key=lambda line: line.place, reverse=True)
    return Timeline(happened[:limit], newest.complete)


def _held(history: History, whose: Whose, before: Place, limit: int, upto: Offset) -> list[Happening]:
    """The lines that History holds up to an offset."""
    if not (upto and history.offset("events")):
        return []
    at, place, label = before
    parameters: dict[str, Any] = {
        "identifiers": [f"{identifier.kind}:{identifier.value}" for identifier in whose.identifiers],
        "at": at,
        "place": place,
        "label": label,
        "limit": limit,
    }
    with_transitions = bool(history.offset("transitions"))
    if with_transitions:
        parameters["person"] = int(whose.person)
    with_merges = bool(whose.numbers and history.offset("merges"))
    if with_merges:
        parameters["numbers"] = [int(each) for each in whose.numbers]
    sql = _TIMELINE.format(transitions=_TRANSITIONS if with_transitions else "", merges=_MERGES if with_merges else "")
    return [_happening(row) for row in history.query(sql, parameters, upto=upto).to_pylist()]


def _read_cursor(before: str | None) -> Place:
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
