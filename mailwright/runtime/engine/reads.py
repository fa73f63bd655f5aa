"""What the engine answers between two micro-batches: plain functions of its state, as of the last tick.

None of them loops over all people in Python: a read stands in the way of the next micro-batch for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from mailwright.core.errors import NotFound, Transient, nearest
from mailwright.core.events import Identifier, Item, Person
from mailwright.core.facts import EngineStatus, Known, PersonFacts
from mailwright.core.previews import MAX_SAMPLE, Count, Preview
from mailwright.core.transitions import Cursor, SegmentChange, TransitionPage
from mailwright.rules.fold.rows import Bools
from mailwright.rules.syntax import from_json
from mailwright.runtime.engine.account_reads import account, accounts
from mailwright.runtime.engine.graph_reads import graph
from mailwright.runtime.engine.recent import Found
from mailwright.runtime.engine.state import EngineState


def status(state: EngineState) -> EngineStatus:
    """Where the engine stands."""
    return EngineStatus(
        offset=state.upto,
        tick_offset=state.tick_offset,
        at=state.at,
        version=state.version,
        n_persons=state.identity.n_living,
        n_events=state.n_events,
        n_duplicates=state.n_duplicates,
        n_items=state.catalog.count(),
        segments=sizes(state),
        lists=state.lists.info(),
        installing=state.installing,
        clock=state.clock,
        ticked_at=state.ticked_at,
    )


def sizes(state: EngineState) -> dict[str, int]:
    """Members by segment."""
    return state.fold.sizes()


def facts(
    state: EngineState, persons: Sequence[Person], conditions: Sequence[str] = (), past: bool = False
) -> dict[Person, PersonFacts]:
    """Facts of people as of the last tick, keyed as asked; unknown numbers are left out.

    `past`: with the earlier writes of their traits.

    Raises:
        Transient: ``condition.unknown``.
    """
    asked = [person for person in persons if 0 <= person < state.identity.n_persons]
    current = [state.identity.current(person) for person in asked]
    _known_conditions(state, conditions)
    truths = state.fold.truths(conditions, current)
    attributes = {name: state.fold.attribute(name, current) for name in state.project.attributes}
    inside = _segments_of(state, current)
    return {
        person: _person(
            state,
            now,
            attributes={name: values[place] for name, values in attributes.items()},
            segments=inside[place],
            truths={name: bool(values[place]) for name, values in truths.items()},
            past=past,
        )
        for place, (person, now) in enumerate(zip(asked, current, strict=True))
    }


def _person(
    state: EngineState,
    now: Person,
    *,
    attributes: Mapping[str, Any],
    segments: list[str],
    truths: dict[str, bool],
    past: bool,
) -> PersonFacts:
    profile = state.profiles.view(now)
    zone = state.fold.zone(now)
    return PersonFacts(
        person=now,
        at=state.at,
        offset=state.tick_offset,
        first_identifier=state.identity.first_identifier(now),
        identifiers=state.identity.identifiers(now),
        traits=dict(profile.traits),
        attributes={
            name: Known(value=value, at=profile.last_seen_at, source="attribute") for name, value in attributes.items()
        },
        segments=segments,
        truths=truths,
        first_seen_at=profile.first_seen_at,
        last_seen_at=profile.last_seen_at,
        n_events=profile.n_events,
        sources=dict(profile.sources),
        accounts=state.accounts.of(now),
        history=state.profiles.history(now) if past else {},
        time_zone=str(zone.zone),
        time_zone_from=zone.told_by,
    )


def _segments_of(state: EngineState, persons: Sequence[Person]) -> list[list[str]]:
    """Names of the segments of each of these people."""
    found: list[list[str]] = [[] for _ in persons]
    inside = state.fold.inside(persons)
    for name in state.project.segments:
        for place in np.flatnonzero(inside[name]).tolist():
            found[place].append(name)
    return found


def find(state: EngineState, name: str, value: str) -> list[Person]:
    """The person of an identifier; none or one."""
    person = state.identity.number_of(Identifier(name, value))
    return [] if person is None else [state.identity.current(person)]


def having(state: EngineState, trait: str, value: Any) -> list[Person]:
    """People whose indexed trait has this value.

    Raises:
        NotFound: ``trait.index``.
    """
    try:
        return state.profiles.having(trait, value)
    except KeyError:
        known = state.project.profile.indexed()
        hint = nearest(trait, known) or "declare it in profile.yaml with index: true"
        raise NotFound("trait.index", f"people cannot be looked up by {trait!r}", hint) from None


def members(state: EngineState, segment: str, after: Person | None, limit: int) -> list[Person]:
    """Members of a segment with number > `after`, ascending, at most `limit`.

    Raises:
        NotFound: ``segment.unknown``.
    """
    _known_segment(state, segment)
    inside = state.fold.members(segment)
    start = 0 if after is None else after + 1
    return [Person(n) for n in (np.flatnonzero(inside[start:])[:limit] + start).tolist()]


def preview(state: EngineState, rule: bytes, against: str | None, limit: int) -> Preview:
    """Who a rule holds for now, read off the leaves at hand; `missing` names those that are not kept live.

    Args:
        state: Is not changed.
        rule: A syntax tree as JSON; attributes and segments that it names are those in force.
        against: A segment to compare with: who would enter it and who would leave it; None: no comparison. One
            that is not in force counts as empty.
        limit: People to name in each sample, at most `MAX_SAMPLE`.

    Raises:
        InvalidInput: If the rule names what does not exist.
        UnsupportedRule: If it cannot be kept live.
    """
    node = from_json(rule)
    n_persons, missing = state.identity.n_living, state.fold.missing_for(node)
    if missing:
        return Preview(at=state.at, n_persons=n_persons, exact=False, missing=missing)
    holding = state.fold.holding(node)
    segments = state.project.segments
    before = state.fold.members(against) if against is not None and against in segments else np.zeros_like(holding)
    entering, leaving = holding & ~before, before & ~holding
    compared = against is not None
    return Preview(
        at=state.at,
        n_persons=n_persons,
        exact=True,
        size=Count.of(int(np.count_nonzero(holding))),
        entering=Count.of(int(np.count_nonzero(entering))) if compared else None,
        leaving=Count.of(int(np.count_nonzero(leaving))) if compared else None,
        sample=_spread(holding, limit),
        entering_sample=_spread(entering, limit) if compared else [],
        leaving_sample=_spread(leaving, limit) if compared else [],
    )


def _spread(chosen: Bools, limit: int) -> list[Person]:
    """At most `limit` of the chosen people, evenly spread over all of them: the first ones alone are the oldest."""
    people = np.flatnonzero(chosen)
    most = min(limit, MAX_SAMPLE, len(people))
    places = np.linspace(0, len(people) - 1, most).astype(np.int64) if most else np.zeros(0, np.int64)
    return [Person(n) for n in people[places].tolist()]


def overlap(state: EngineState, segment: str, others: Sequence[str]) -> dict[str, int]:
    """How many members of `segment` are in each of the `others` too.

    Raises:
        NotFound: ``segment.unknown``.
    """
    for name in (segment, *others):
        _known_segment(state, name)
    inside = state.fold.members(segment)
    return {name: int(np.count_nonzero(inside & state.fold.members(name))) for name in others}


def first_identifiers(state: EngineState, persons: Sequence[Person]) -> dict[Person, str]:
    """``kind:value`` of people's first identifiers, for a merged number the survivor's; unknown ones left out."""
    known = state.identity.n_persons
    return {person: state.identity.first_identifier(person) for person in persons if 0 <= person < known}


def transitions(state: EngineState, after: Cursor | None, segments: Sequence[str] | None, limit: int) -> TransitionPage:
    """Transitions after `after` that are kept in memory, at most `limit`, of these segments alone if given.

    None stands for the place behind all that has happened so far.
    """
    recent = state.recent
    after = recent.upto if after is None else Cursor(*after)
    if after < recent.since:
        return TransitionPage(changes=[], cursor=after, kept_since=recent.since, more=True)
    return _page(state, recent.after(after, None if segments is None else set(segments), limit))


def latest_transitions(state: EngineState, segment: str, limit: int) -> TransitionPage:
    """The newest transitions of a segment that are kept in memory, newest first; History has those before `cursor`."""
    return _page(state, state.recent.latest(segment, limit))


def _page(state: EngineState, found: Found) -> TransitionPage:
    names = first_identifiers(state, [row.person for row in found.rows])
    return TransitionPage(
        changes=[
            SegmentChange(
                offset=row.offset,
                at=row.at,
                person=row.person,
                segment=row.segment,
                entered=row.entered,
                cause=row.cause,
                first_identifier=names.get(row.person, ""),
            )
            for row in found.rows
        ],
        cursor=found.cursor,
        kept_since=state.recent.since,
        more=found.more,
    )


def items(state: EngineState, catalog: str, item_ids: list[str]) -> dict[str, Item]:
    """Catalog items in force now; unknown ones left out."""
    return state.catalog.current(catalog, item_ids)


def state_hash(state: EngineState) -> str:
    """A digest of all that the rules made of the log: for checks of a recovery. Slow."""
    return state.fold.state_hash()


def _known_segment(state: EngineState, segment: str) -> None:
    known = state.project.segments
    if segment not in known:
        raise NotFound("segment.unknown", f"there is no segment {segment!r}", nearest(segment, known))


def _known_conditions(state: EngineState, conditions: Sequence[str]) -> None:
    known = state.project.rules.conditions
    for name in conditions:
        if name not in known:
            # The asker works with another version than the engine, which is about to change on one side or the other.
            raise Transient(
                "condition.unknown",
                f"version {state.version}, which is in force, has no condition {name!r}",
                nearest(name, known) or "ask again: another version is coming in force",
            )


OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "status": status,
        "sizes": sizes,
        "facts": facts,
        "find": find,
        "having": having,
        "accounts": accounts,
        "account": account,
        "graph": graph,
        "first_identifiers": first_identifiers,
        "members": members,
        "overlap": overlap,
        "preview": preview,
        "transitions": transitions,
        "latest_transitions": latest_transitions,
        "items": items,
        "state_hash": state_hash,
    }
)
"""By the name under which the socket takes them."""
