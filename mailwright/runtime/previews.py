"""Who a rule would hold for that nobody keeps live: estimated from a sample of people, or exact from all of History.

History stands a little behind a running engine: ask `EngineReads.flush_history` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.core.previews import MAX_SAMPLE, Count, Preview
from mailwright.experiments.intervals import wilson
from mailwright.rules import syntax as s
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Fold, Rules
from mailwright.rules.fold.bulk import fill
from mailwright.rules.fold.plan import Outline, in_order, segments_asked
from mailwright.rules.fold.rows import Bools, Ints
from mailwright.runtime.graphs import Graph, KeyTable
from mailwright.runtime.past import Past

SHARE = 0.01
"""Of the people that an estimate looks at."""

LEAST = 2_000
"""People that an estimate looks at, where there are so many: fewer tell little."""

_ASKED = "asked"
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio: neighbours land far apart (Knuth, TAOCP 3, 6.4)


def estimate(
    past: Past,
    graph: Graph,
    rules: Rules,
    expression: s.Expression,
    at: Instant,
    *,
    before: Bools | None = None,
    limit: int = MAX_SAMPLE,
) -> Preview:
    """The size of a condition as of `at`, from the whole past of 1 % of the people (2,000 at least).

    Args:
        past: What happened.
        graph: The people; its offset is the last that counts. Worth keeping between questions: it costs more than one.
        rules: Attributes, segments and lists that the expression may name.
        expression: A condition.
        at: The instant.
        before: By person, the members of a segment to compare with; None: no comparison.
        limit: People to name in each sample, at most `MAX_SAMPLE`.

    Returns:
        Counts scaled up from the sample, with Wilson's 95 % interval (Brown, Cai, DasGupta (2001), Interval estimation
        for a binomial proportion, Statistical Science 16, 101-133); exact where the sample is everybody. "Has been in
        a segment for" is judged as if everybody had entered at `at`.

    Raises:
        InvalidInput: If the expression names what does not exist.
        UnsupportedRule: If it cannot be folded.
    """
    living = np.flatnonzero(graph.alive)
    people = living[chosen(living, max(SHARE, LEAST / max(len(living), 1)))]
    keys, owners = graph.keys_of(people)
    table = KeyTable(keys, np.searchsorted(people, owners))  # people are numbered anew: columns stay small
    needed = narrowed(rules, expression)
    block = past.sampled(keys, table, graph.offset, needed)
    fold = fill(needed, _catalog(past, graph, needed), [block], at, graph.first_identifiers(people))
    return _told(fold, people, len(living), at, before, limit)


def exactly(
    past: Past,
    graph: Graph,
    rules: Rules,
    expression: s.Expression,
    at: Instant,
    *,
    before: Bools | None = None,
    limit: int = MAX_SAMPLE,
) -> Preview:
    """The same over everybody: as exact as the live engine; seconds for ten million events."""
    needed = narrowed(rules, expression)
    catalog = _catalog(past, graph, needed)
    fold = past.fill(needed, at, graph.offset, graph=graph, catalog=catalog)
    living = np.flatnonzero(graph.alive)
    return _told(fold, np.arange(graph.n_persons), len(living), at, before, limit, living)


def chosen(persons: Ints, share: float) -> Bools:
    """Which of some people are in a sample of that share: by their number alone, so always the same ones."""
    with np.errstate(over="ignore"):
        mixed = persons.astype(np.uint64) * _MIX
        mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) < share * 2.0**53)


def narrowed(rules: Rules, expression: s.Expression) -> Rules:
    """The expression as the condition ``asked``, with nothing of a project but what it needs."""
    outline = Outline(rules.attributes)
    asked = segments_asked(expression, outline)
    wanted = {name: rules.segments[name] for name in asked if name in rules.segments}
    while further := {
        name: rules.segments[name]
        for node in wanted.values()
        for name in segments_asked(node, outline)
        if name not in wanted and name in rules.segments
    }:
        wanted |= further
    in_order({**wanted, _ASKED: expression}, outline)  # tells of a segment that does not exist
    roots = [expression, *wanted.values()]
    named = {node.name for root in roots for node in outline.nodes(root) if isinstance(node, s.Attribute)}
    return Rules(
        attributes={name: rules.attributes[name] for name in named},
        segments=wanted,
        conditions={_ASKED: expression},
        zone=rules.zone,
        lists=rules.lists,
    )


def _catalog(past: Past, graph: Graph, rules: Rules) -> Catalog:
    """The items, if any rule looks at them: reading a large catalog takes longer than a sample."""
    return past.catalog_at(graph.offset) if any(map(_looks_at_items, rules.expressions().values())) else Catalog()


def _looks_at_items(node: s.Expression) -> bool:
    return any("product" in path for path in _paths(node))


def _paths(node: object) -> Iterator[Sequence[str]]:
    if isinstance(node, s.Node):
        for name in node.__struct_fields__:
            value = getattr(node, name)
            if name in ("path", "key"):
                yield value
            elif name == "same":
                yield from value
            else:
                yield from _paths(value)
    elif isinstance(node, tuple):
        for part in node:
            yield from _paths(part)


def _told(
    fold: Fold, people: Ints, n_living: int, at: Instant, before: Bools | None, limit: int, living: Ints | None = None
) -> Preview:
    """Counts and samples; `people` gives the number of each person in the fold, `living` those that count (all)."""
    places = np.arange(len(people)) if living is None else living
    holds = fold.truths([_ASKED], [Person(place) for place in places.tolist()])[_ASKED]
    numbers = people[places]
    inside = np.zeros(len(numbers), dtype=bool)
    if before is not None:
        known = numbers < len(before)
        inside[known] = before[numbers[known]]
    entering, leaving = numbers[holds & ~inside], numbers[inside & ~holds]
    compared = before is not None
    return Preview(
        at=at,
        n_persons=n_living,
        exact=len(numbers) == n_living,
        size=_count(int(holds.sum()), len(numbers), n_living),
        entering=_count(len(entering), len(numbers), n_living) if compared else None,
        leaving=_count(len(leaving), len(numbers), n_living) if compared else None,
        sample=_spread(numbers[holds], limit),
        entering_sample=_spread(entering, limit) if compared else [],
        leaving_sample=_spread(leaving, limit) if compared else [],
    )


def _count(found: int, n: int, n_living: int) -> Count:
    if n == n_living:
        return Count.of(found)
    low, high = wilson(found, n)
    # What the sample itself shows is certain.
    least, most = found, n_living - (n - found)
    return Count(round(found / n * n_living), max(least, int(low * n_living)), min(most, -int(-high * n_living // 1)))


def _spread(people: Ints, limit: int) -> list[Person]:
    """At most `limit` of the people, evenly spread: the first ones alone are the oldest."""
    most = min(limit, MAX_SAMPLE, len(people))
    places = np.linspace(0, len(people) - 1, most).astype(np.int64) if most else np.zeros(0, np.int64)
    return [Person(number) for number in people[places].tolist()]
