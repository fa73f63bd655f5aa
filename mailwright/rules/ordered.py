"""Leaves in which the order of events matters: lists, rates, sessions and sequences.

Every function takes one person's events as (offset, event) pairs sorted by (stamp, offset), each once, none with a
stamp after t, none known later than the horizon after its stamp. Events that a leaf does not name may be among them.

What a leaf looks at is bounded in a way that depends on the set of events alone, never on the order in which they came
(the last so many of them, say). So a state cut to that is exact, also when an old event comes late, with an import, or
when two people turn out to be one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

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
"""So many of the last events make a list."""
HITS_MAX = 2_000
"""So many of the keys that were hit last can make an event of a rate a hit."""
SEQUENCE_MAX = 10_000
"""So many of the last events that meet a step of a sequence can take part in it."""
OWN_SOURCE = "mailwright"

# --- lists -----------------------------------------------------------------------------------------------------------

Operation = Literal["add", "remove", "clear"]


def operation(node: s.ListOf, event: Event) -> Operation | None:
    """What an event does to the list."""
    names = names_of(event)
    if node.clear in names:
        return "clear"
    if node.remove in names:
        return "remove"
    return "add" if node.add in names else None


def list_of(node: s.ListOf, events: Timeline, items: ItemLookup) -> list[Any]:
    """What lies in a kept list after the last 1,000 of its events."""
    done = [(what, elements(event, node.path, items)) for _, event in events if (what := operation(node, event))]
    return applied(done[-OPERATIONS_MAX:])


def applied(operations: Iterable[tuple[Operation, Sequence[Any]]]) -> list[Any]:
    """The list that operations leave, each with its values."""
    kept: list[Any] = []
    places: dict[Hashable, list[int]] = {}  # where each value lies, the last one at the end
    for what, values in operations:
        if what == "clear":
            kept, places = [], {}
        for value in values if what == "add" else ():
            places.setdefault(identity(value), []).append(len(kept))
            kept.append(value)
        for value in values if what == "remove" else ():
            if found := places.get(identity(value)):
                kept[found.pop()] = None  # no value is None: those are missing and were left out
    return [value for value in kept if value is not None]


# --- rates -----------------------------------------------------------------------------------------------------------


def rate(node: s.Rate, events: Timeline, items: ItemLookup) -> Any:
    """The share of the last `n` events `of` whose key a `hit` has; None if there are none."""
    received = [key_of(event, node.key, items) for _, event in events if node.of in names_of(event)][-node.n :]
    hits = [key_of(event, node.key, items) for _, event in events if is_hit(node, event, items)]
    return share(received, {key: None for key in reversed(hits) if key is not None})


def is_hit(node: s.Rate, event: Event, items: ItemLookup) -> bool:
    """Whether an event is a hit."""
    return node.hit in names_of(event) and holds(node.where, event, items)


def share(received: Sequence[Hashable | None], hits: Mapping[Any, object]) -> Decimal | None:
    """The share of `received` keys among the first `HITS_MAX` of `hits`, those hit last; None of nothing."""
    if not received:
        return None
    counting = set(list(hits)[:HITS_MAX])
    n_hit = sum(key is not None and key in counting for key in received)
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
            return sum(is_page(event) for event in last)
        case "start":
            return Moment(last[0].stamp_at)
        case fact:
            return next((value for event in last for value in brought(fact, event, items)), None)


def is_activity(event: Event) -> bool:
    """Whether an event is part of a session."""
    return event.type in ("track", "page", "screen") and event.source != OWN_SOURCE


def is_page(event: Event) -> bool:
    """Whether an event counts as a page."""
    return event.type in ("page", "screen")


def split(gap: int, events: Timeline) -> list[list[Event]]:
    """The sessions: a pause of more than `gap` microseconds begins a new one."""
    sessions: list[list[Event]] = []
    for _, event in events:
        if not is_activity(event):
            continue
        if sessions and event.stamp_at - sessions[-1][-1].stamp_at <= gap:
            sessions[-1].append(event)
        else:
            sessions.append([event])
    return sessions


def brought(fact: Literal["device", "source"], event: Event, items: ItemLookup) -> list[Any]:
    """The device or traffic source that an event tells."""
    path = ("device", "type") if fact == "device" else ("traffic_source",)
    return paths(event.context, path, event.stamp_at, items)


# --- sequences -------------------------------------------------------------------------------------------------------

Keys = tuple[Hashable, ...]
Stamps = list[Instant]


def part(node: s.Sequence, event: Event, items: ItemLookup) -> tuple[int, Keys] | None:
    """The steps that an event meets, one bit each from the first on, and its values of `same`; None: it takes no part.

    An event that lacks one of those values, or has several of one, takes no part.
    """
    names = names_of(event)
    met = sum(
        1 << place for place, step in enumerate(node.steps) if step.event in names and holds(step.where, event, items)
    )
    if not met:
        return None
    keys = tuple(key_of(event, path, items) for path in node.same)
    return None if None in keys else (met, keys)


def completions(node: s.Sequence, events: Timeline, items: ItemLookup) -> list[Instant]:
    """The instants at which the sequence is completed, ascending.

    Those after t are deadlines of a negated last step that will complete it unless an event comes in between; the next
    one is when the answer can change by time alone.
    """
    parts = [(event.stamp_at, found) for _, event in events if (found := part(node, event, items))]
    groups: dict[Keys, list[tuple[Instant, int]]] = {}
    for stamp, (met, keys) in parts[-SEQUENCE_MAX:]:
        groups.setdefault(keys, []).append((stamp, met))
    return sorted({at for group in groups.values() for at in completed(node, group)})


def completed(node: s.Sequence, group: Sequence[tuple[Instant, int]]) -> Stamps:
    """When the sequence is completed by events of equal `same`: stamps, ascending, with the steps that each meets."""
    matches = [[stamp for stamp, met in group if met >> place & 1] for place in range(len(node.steps))]
    return _completions(node.steps, matches)


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
