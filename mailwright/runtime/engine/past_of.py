"""What History holds about a few identifiers: the ground of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailwright.core.events import Offset
from mailwright.core.instants import Instant
from mailwright.core.ports import History, Piece
from mailwright.profiles.identifier_key import identifier_keys
from mailwright.rules.fold.rows import Ints
from mailwright.runtime.engine.past_ticks import PastTicks, Stretch, TickThen
from mailwright.runtime.engine.rerun import TheirPast
from mailwright.runtime.past_blocks import events_in, numbers

_EVENTS = """
    SELECT "offset", message_id, source, type, name, identifier_kind, identifier, stamp_at, received_at, known_at,
        properties, traits, context, history
    FROM events WHERE identifier_key IN (SELECT unnest($keys)) AND "offset" < $before ORDER BY "offset"
"""
_LISTS = """
    SELECT "offset", list, identifier, added FROM lists
    WHERE identifier IN (SELECT unnest($identifiers)) AND "offset" < $before ORDER BY "offset", added
"""
_DEFINITIONS = """
    SELECT "offset", version, files, in_force FROM definitions WHERE "offset" < $before ORDER BY "offset"
"""


def past_of(history: History, identifiers: Sequence[str], before: Offset) -> TheirPast:
    """See `mailwright.runtime.engine.rerun.PastOf`; History must reach up to `before`."""
    asked = set(identifiers)
    keys = identifier_keys(list(identifiers)).tolist()
    events = history.query(_EVENTS, {"keys": keys, "before": before}) if history.offset("events") else None
    told = [] if events is None else list(zip(numbers(events, "offset").tolist(), events_in(events), strict=True))
    lists: list[tuple[Offset, str, str, bool]] = []
    if history.offset("lists"):
        rows = history.query(_LISTS, {"identifiers": list(identifiers), "before": before})
        lists = [tuple(row.values()) for row in rows.to_pylist()]
    return TheirPast(
        # A key is a hash: what has the same by chance is somebody else's.
        events=[(Offset(offset), each) for offset, each in told if _name(each.identifiers[0]) in asked],
        ticks=_ticks(history, before),
        definitions=_definitions(history, before),
        lists=lists,
    )


def _name(identifier: Any) -> str:
    return f"{identifier.kind}:{identifier.value}"


def _ticks(history: History, before: Offset) -> PastTicks:
    """Nothing is read but where each piece ends, until somebody asks for a tick in it."""
    return PastTicks([_stretch(piece) for piece in history.pieces("ticks")], before)


def _stretch(piece: Piece) -> Stretch:
    def read() -> tuple[Ints, Ints]:
        rows = piece.read(["offset", "at"])
        return numbers(rows, "offset"), numbers(rows, "at")

    ends = enumerate(piece.greatest(["offset", "at"]))
    offset, at = (known if known is not None else int(read()[place][-1]) for place, known in ends)
    return Stretch(TickThen(Offset(offset), Instant(at)), read)


def _definitions(history: History, before: Offset) -> list[tuple[Offset, Mapping[str, str]]]:
    """Each time a version came in force."""
    if not history.offset("definitions"):
        return []
    found: list[tuple[Offset, Mapping[str, str]]] = []
    files: dict[int, dict[str, str]] = {}
    for row in history.query(_DEFINITIONS, {"before": before}).to_pylist():
        if row["files"] is not None:
            files[row["version"]] = msgspec.json.decode(row["files"], type=dict[str, str])
        if row["in_force"]:
            found.append((Offset(row["offset"]), files.get(row["version"], {})))
    return found
