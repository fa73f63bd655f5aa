"""Leaves in which the order of events matters: lists, rates, sessions and sequences.

Every function takes one person's events as (offset, event) pairs sorted by (stamp, offset), each once, none with a
stamp after t, none known later than the horizon after its stamp. Events that a leaf does not name may be among them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from datetime import tzinfo
from typing import Any

from mailwright.core.events import Event, Offset
from mailwright.core.instants import DAY, Instant
from mailwright.rules import syntax as s
from mailwright.rules.values import (
    Duration,
    ItemLookup,
    Moment,
    average_micro_units,
    elements,
    from_micro_units,
    holds,
    identity,
    key_of,
    names_of,
    paths,
)

Timeline = Sequence[tuple[Offset, Event]]

HORIZON = 7 * DAY
"""How late an event may be known (`known_at` - `stamp_at`) and still count in an ordered leaf."""

OPERATIONS_MAX = 1_000
OWN_SOURCE = "mailwright"


def list_of(node: s.ListOf, events: Timeline, items: ItemLookup) -> list[Any]:
    """What lies in a kept list after the last 1,000 of its events."""
    names = {node.add, node.remove, node.clear} - {None}
    operations = [event for _, event in events if names.intersection(names_of(event))]
    kept: list[Any] = []
    for event in operations[-OPERATIONS_MAX:]:
        if node.clear in names_of(event):
            kept.clear()
        elif node.remove in names_of(event):
            for value in elements(event, node.path, items):
                _remove_last(kept, value)
        else:
            kept += elements(event, node.path, items)
    return kept


def _remove_last(kept: list[Any], value: Any) -> None:
    for place in reversed(range(len(kept))):
        if identity(kept[place]) == identity(value):
            del kept[place]
            return


def rate(node: s.Rate, events: Timeline, items: ItemLookup, zone: tzinfo) -> Any:
    """The share of the last `n` events `of` whose key a `hit` has; None if there are none."""
    received = [key_of(event, node.key, items) for _, event in events if node.of in names_of(event)][-node.n :]
    hits = {
        key_of(event, node.key, items)
        for _, event in events
        if node.hit in names_of(event) and holds(node.where, event, items, zone)
    }
    if not received:
        return None
    n_hit = sum(key is not None and key in hits for key in received)
    return from_micro_units(average_micro_units(n_hit * 1_000_000, len(received)))


# --- sessions --------------------------------------------------------------------------------------------------------


def session(node: s.Session, events: Timeline, items: ItemLookup) -> Any:
    """A fact of the last session, or how many there were."""
    sessions = split(node.gap, events)
    if node.fact == "count":
        return len(sessions)
    if not sessions:
        return None
    last = sessions[-1]
    match node.fact:
        case "length":
            return Duration(last[-1].stamp_at - last[0].stamp_at)
        case "pages":
            return sum(event.type in ("page", "screen") for event in last)
        case "start":
            return Moment(last[0].stamp_at)
        case "device":
            return _first_context(last, ("device", "type"), items)
        case _:
            return _first_context(last, ("traffic_source",), items)


def split(gap: int, events: Timeline) -> list[list[Event]]:
    """The sessions: a pause of more than `gap` microseconds begins a new one."""
    sessions: list[list[Event]] = []
    for _, event in events:
        if event.type not in ("track", "page", "screen") or event.source == OWN_SOURCE:
            continue
        if sessions and event.stamp_at - sessions[-1][-1].stamp_at <= gap:
            sessions[-1].append(event)
        else:
            sessions.append([event])
    return sessions


def _first_context(events: Iterable[Event], path: tuple[str, ...], items: ItemLookup) -> Any:
    found = (value for event in events for value in paths(event.context, path, event.stamp_at, items))
    return next(found, None)


# --- sequences -------------------------------------------------------------------------------------------------------

Keys = tuple[Hashable, ...]
Stamps = list[Instant]


def completions(node: s.Sequence, events: Timeline, items: ItemLookup, zone: tzinfo) -> list[Instant]:
    """The instants at which the sequence is completed, ascending.

    Those after t are deadlines of a negated last step that will complete it unless an event comes in between; the next
    one is when the answer can change by time alone.
    """
    steps = [_matches(step, node.same, events, items, zone) for step in node.steps]
    found = {at for keys in steps[0] for at in _completions(node.steps, [step.get(keys, []) for step in steps])}
    return sorted(found)


def _matches(
    step: s.Step, same: tuple[tuple[str, ...], ...], events: Timeline, items: ItemLookup, zone: tzinfo
) -> dict[Keys, Stamps]:
    """Stamps, ascending, of the events that meet a step, by their values of `same`."""
    found: dict[Keys, Stamps] = {}
    for _, event in events:
        if step.event in names_of(event) and holds(step.where, event, items, zone):
            keys = tuple(key_of(event, path, items) for path in same)
            if None not in keys:
                found.setdefault(keys, []).append(event.stamp_at)
    return found


def _completions(steps: Sequence[s.Step], matches: Sequence[Stamps]) -> Stamps:
    """When the last step can be done, from all instants at which the step before can be done, step by step."""
    done, forbidden = matches[0], Stamps()  # `forbidden`: stamps that may not lie between the step done and the next
    for place in range(1, len(steps)):
        step, met = steps[place], matches[place]
        if not step.negated:
            done, forbidden = _followed(done, met, forbidden, step.within), Stamps()
        elif step.within is None:
            forbidden = sorted(forbidden + met)
        else:
            restarts = [] if steps[place - 1].negated else matches[place - 1]
            stops = sorted([*met, *restarts, *forbidden])
            done = [Instant(at + step.within) for at in done if not _any_in(stops, at, at + step.within)]
    return [at for at in done if not _any_in(forbidden, at, None)]


def _followed(done: Stamps, met: Stamps, forbidden: Stamps, within: int | None) -> Stamps:
    """The stamps in `met` that come after one of `done`, at most `within` later, with nothing forbidden in between."""
    found = []
    for stamp in met:
        earlier = bisect_left(forbidden, stamp)
        earliest: int | None = forbidden[earlier - 1] if earlier else None
        if within is not None:
            earliest = stamp - within if earliest is None else max(earliest, stamp - within)
        first = 0 if earliest is None else bisect_left(done, earliest)
        if first < bisect_left(done, stamp):
            found.append(stamp)
    return found


def _any_in(stamps: Stamps, after: int, upto: int | None) -> bool:
    """Whether a stamp lies in ``(after, upto]``; no `upto`: anywhere after."""
    last = len(stamps) if upto is None else bisect_right(stamps, upto)
    return bisect_right(stamps, after) < last
