"""What ordered leaves keep: exact for any order of arrival and any union, and bounded for any number of events."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lang_world import event
from strategies import Scope, _ordered_values, catalog, histories, sequences

from mailwright.core.events import Event, Offset
from mailwright.core.instants import HOUR, MINUTE, Instant
from mailwright.rules import ordered
from mailwright.rules import syntax as s
from mailwright.rules.fold.lines import Line, ListLine, RateLine, SequenceLine, SessionLine, maker
from mailwright.rules.parse import parse
from mailwright.rules.values import no_items

ITEMS = catalog().facts
NODES = st.one_of(*_ordered_values(Scope())[1:], sequences())  # without `last n distinct`, which is a tally


def meant(node: Any, events: list[tuple[Offset, Event]]) -> Any:
    """The interpreter's own function over the whole history."""
    told = sorted(events, key=lambda each: (each[1].stamp_at, each[0]))
    match node:
        case s.ListOf():
            return ordered.list_of(node, told, ITEMS)
        case s.Rate():
            return ordered.rate(node, told, ITEMS)
        case s.Session():
            return ordered.session(node, told, ITEMS)
        case _:
            return ordered.completions(node, told, ITEMS)


@pytest.fixture(scope="module", autouse=True)
def _small_limits() -> Iterator[None]:
    """So small that histories of a dozen events reach them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "OPERATIONS_MAX", 3)
        patch.setattr(ordered, "HITS_MAX", 2)
        patch.setattr(ordered, "SEQUENCE_MAX", 5)
        yield


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NODES, histories(max_size=14), st.randoms(use_true_random=False))
def test_any_order_any_union_any_reload(node: Any, events: list[tuple[Offset, Event]], random: Random) -> None:
    told = list(events)
    random.shuffle(told)
    make = maker(node, ITEMS)
    whole, parts = make(), [make(), make()]
    for place, (offset, each) in enumerate(told):
        whole.take(offset, each)
        parts[random.randrange(2)].take(offset, each)
        if random.random() < 0.3:
            assert whole.value() == meant(node, told[: place + 1])
    parts[0].join(parts[1])
    again = make()
    again.load(whole.dump())
    expected = meant(node, told)
    assert [line.value() for line in (whole, parts[0], again)] == [expected] * 3
    assert whole.dump() == parts[0].dump() == again.dump()


@pytest.fixture
def large_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "OPERATIONS_MAX", 1_000)
    monkeypatch.setattr(ordered, "HITS_MAX", 2_000)
    monkeypatch.setattr(ordered, "SEQUENCE_MAX", 1_000)


def _size(line: Line) -> int:
    """Entries that a line holds."""
    match line:
        case ListLine():
            return len(line._operations)
        case RateLine():
            return len(line._received) + len(line._hits)
        case SessionLine():
            return len(line._sessions)
        case SequenceLine():
            return sum(map(len, line._groups.values()))
        case _:
            raise TypeError(line)


MANY = [
    ("list of 'A'.key removed by 'B' cleared by 'C'", 1_000),
    ("list of 'A'.key removed by 'B'", 1_000),
    ("rate of 'A' over last 5 'B' by key", 4_005),
    ("count of sessions with gap 30 minutes", 1_700),
    ("device of last session with gap 30 minutes", 1_700),
    ("did 'A' then 'B' within 1 hour", 2_000),
    ("did 'A' then no 'B' within 1 hour, same key", 2_000),
]


@pytest.mark.parametrize(("rule", "most"), MANY)
def test_one_person_with_very_many_events(rule: str, most: int, large_limits: None) -> None:
    """A minute apart, in rushes of an hour: what is kept stays bounded, and the last event costs what the first did."""
    del large_limits
    line = maker(parse(rule), no_items)()
    random = Random(7)
    costs = []
    for rush in range(300):
        begun = process_time()
        for minute in range(60):
            stamp = Instant((rush * 2 * HOUR) + minute * MINUTE)
            name, key = random.choice("AAABB" if "cleared" not in rule else "AAABC"), f"k{random.randrange(10**6)}"
            line.take(rush * 60 + minute, event(name, stamp, key=key, message_id="m"))
        line.value()
        costs.append(process_time() - begun)
        assert _size(line) <= most
    early, late = sorted(costs[20:120])[50], sorted(costs[-100:])[50]
    assert late < 40 * early  # amortised: measured 1 to 8 times, a walk over all 18,000 would be hundreds
