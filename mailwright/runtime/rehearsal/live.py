"""The same answers as of now, from the engine that holds them."""

from __future__ import annotations

import numpy as np

from mailwright.core.errors import NotFound, Transient, nearest
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.core.ports import EngineReads
from mailwright.core.previews import Preview
from mailwright.rules import syntax as s
from mailwright.rules.show import show
from mailwright.runtime.past import Past, PastTick
from mailwright.runtime.project.load import load_project
from mailwright.runtime.rehearsal.asof import Membership, Moment, recorded_since

_PAGE = 10_000


def segment_now(engine: EngineReads, past: Past, name: str) -> Membership:
    """Who is in a segment.

    Raises:
        NotFound: ``segment.unknown``.
        Transient: If no engine answers.
    """
    status = engine.status()
    if name not in status.segments:
        raise NotFound("segment.unknown", f"there is no segment {name!r}", nearest(name, status.segments))
    members: list[Person] = []
    while page := engine.members(name, members[-1] if members else None, _PAGE):
        members += page
    definition = past.definitions[-1]
    inside = set(members)
    return Membership(
        moment=Moment(asked_at=status.at, tick=PastTick(status.tick_offset, status.at), imported=Offset(0)),
        name=name,
        rule=show(load_project(definition.files).memberships[name]),
        version=status.version,
        members=np.array(members, dtype=np.int64),
        n_persons=status.n_persons,
        since={person: at for person, at in recorded_since(past, name, past.upto).items() if person in inside},
    )


def rule_now(engine: EngineReads, node: s.Expression, limit: int) -> Preview | None:
    """Whom a condition holds for, from the leaves that the engine keeps; None if it lacks some, or does not answer."""
    try:
        preview = engine.preview(s.to_json(node), None, limit)
    except Transient:
        return None
    return preview if preview.exact and preview.size is not None else None


def last_change(past: Past, segment: str) -> Instant | None:
    """When somebody last entered or left, by the record; None if nobody ever did."""
    at = None
    for change in past.changes(segment):
        at = change.at
    return at
