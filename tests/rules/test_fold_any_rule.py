"""Agreement over arbitrary syntax trees and events, from the generators that all back ends share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from fold_world import Oracle, identifiers, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import ANCHORS, SPANS, Scope, catalog, conditions, events, number_events, values
from test_fold_agreement import close

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import HOUR, Instant
from mailwright.rules.fold import Arrival, Fold, Rules

N = 2


# Made once: strategies this large are slow to make.
ALONE = values(Scope())
ABOVE = values(Scope(attributes=("a0",)))
FIRST = conditions(Scope(attributes=("a0", "a1")))
LATER = conditions(Scope(attributes=("a0", "a1"), segments=("s0",)))
HAPPENED = st.lists(events(), min_size=10, max_size=16)
LISTS = {"l1": frozenset({"id:0"}), "l2": frozenset({"id:0", "id:1"})}


def ruled(attributes: Sequence[Any], segments: Sequence[Any]) -> Rules:
    return Rules(
        attributes={f"a{place}": node for place, node in enumerate(attributes)},
        segments={f"s{place}": node for place, node in enumerate(segments)},
        conditions={},
        zone=ZoneInfo("America/New_York"),
        lists=LISTS,
    )


rule_sets = st.builds(
    ruled,
    st.tuples(ALONE, ABOVE, *[ALONE] * 10),  # many: most trees say little of most histories
    st.tuples(FIRST, LATER, LATER),
)


def once(told_of: list[tuple[Offset, Event]]) -> list[tuple[Offset, Event]]:
    """Without the repeats that the engine drops before the fold."""
    first: dict[tuple[str, str], tuple[Offset, Event]] = {}
    for offset, event in told_of:
        first.setdefault((event.source, event.message_id), (offset, event))
    return list(first.values())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule_sets, HAPPENED, st.integers(0, 2**20))
def test_any_rule_on_any_history(rules: Rules, happened: list[Event], salt: int) -> None:
    arrivals = [
        Arrival(offset, Person((offset + salt) % 7 % N), event) for offset, event in once(number_events(happened))
    ]
    stamps = {event.stamp_at for event in happened} | {event.known_at for event in happened} | set(ANCHORS)
    ticks = sorted({Instant(stamp + span) for stamp in stamps for span in (0, SPANS[(salt + stamp) % len(SPANS)])})
    fold, oracle = Fold(rules, catalog()), Oracle(rules, catalog(), list(rules.segments))
    for t in ticks:
        known = [each for each in arrivals if each.event.received_at <= t + HOUR]
        arrivals = arrivals[len(known) :]
        fold.ingest(known)
        oracle.ingest(known)
        assert sorted(told(fold.tick(t, identifiers(N)))) == sorted(oracle.tick(t, N))
        for name in rules.attributes:
            pairs = zip(fold.attribute(name, [Person(0), Person(1)]), oracle.attributes(name, N, t), strict=True)
            for mine, theirs in pairs:
                assert close(mine, theirs), name
