"""Previews from History: exact ones are what the engine would say, estimates come near and say how near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from engine_world import FILES, at, event, fold, records

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Defined, Events, Identifier, Person, Tick
from mailwright.core.previews import Count, Preview
from mailwright.rules.fold import Fold
from mailwright.rules.parse import parse
from mailwright.runtime import previews
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState
from mailwright.runtime.past import Past
from mailwright.runtime.project.load import load_project
from mailwright.stores.history_delta import DeltaHistory

RULES = load_project(FILES).rules
PEOPLE = 400


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Past, EngineState]:
    """Four hundred people; every third buys twice, every tenth is two people who turn out to be one."""
    happened = []
    for number in range(PEOPLE):
        for visit in range(1 + (number % 3 == 0)):
            properties = {"total": 10 + number % 7, "kind": "hat" if number % 2 else ["hat", "coat"]}
            happened.append(event(len(happened), f"u{number}", days=number % 5 + visit, properties=properties))
        if number % 10 == 0:
            browser = [Identifier("anonymous_id", f"a{number}")]
            looked = event(len(happened), f"u{number}", "Product Viewed", days=5)
            happened.append(msgspec.structs.replace(looked, identifiers=browser))
            happened.append(event(len(happened), f"u{number}", "", days=5, also=browser))
    log = records([(0, Defined(1, FILES)), (6, Events(happened)), (6, Tick())])
    state, folded = fold(log)
    history = DeltaHistory(Path(tmp_path_factory.mktemp("history")))
    writer = HistoryWriter(history)
    writer.add(folded, state.upto)
    writer.stop()
    return Past(history), state


CONDITIONS = [
    "did 'Order Completed' at least 2 times",
    "did 'Order Completed' where total > 12 within 4 days",
    "did 'Order Completed' where kind contains 'coat'",
    "did 'Product Viewed' and in segment customers",
    "spend > 20",
    "random bucket 'x' < 30%",
    "not did 'Product Viewed'",
]


def plainly(past: Past, state: EngineState, text: str) -> dict[int, bool]:
    """The condition for each living person, event after event."""
    graph = past.graph_at(past.upto)
    asked = replace(RULES, conditions={"asked": parse(text)})
    fold = Fold(asked, state.catalog)
    fold.ingest(list(past.arrivals(past.upto, graph=graph)))
    fold.tick(at(6), graph.first_identifiers())
    living = [Person(n) for n in np.flatnonzero(graph.alive).tolist()]
    return dict(zip(living, fold.truths(["asked"], living)["asked"].tolist(), strict=True))


@pytest.mark.parametrize("text", CONDITIONS)
def test_the_exact_preview_is_what_event_after_event_gives(shop: tuple[Past, EngineState], text: str) -> None:
    past, state = shop
    graph, expected = past.graph_at(past.upto), plainly(past, state, text)
    told = previews.exactly(past, graph, RULES, parse(text), at(6))
    assert (told.exact, told.n_persons) == (True, state.identity.n_living)
    assert told.size == Count.of(sum(expected.values()))
    assert 0 < len(told.sample) <= 100
    assert all(expected[person] for person in told.sample)
    # So few people are their own sample.
    assert previews.estimate(past, graph, RULES, parse(text), at(6)) == told


@pytest.mark.parametrize("text", CONDITIONS)
def test_an_estimate_says_how_far_it_may_be_off(
    shop: tuple[Past, EngineState], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "LEAST", 0)
    monkeypatch.setattr(previews, "SHARE", 0.3)
    past, state = shop
    graph, expected = past.graph_at(past.upto), plainly(past, state, text)
    told = previews.estimate(past, graph, RULES, parse(text), at(6))
    assert told.size is not None
    assert not told.exact
    assert told.size.low <= sum(expected.values()) <= told.size.high
    assert told.size.low <= told.size.n <= told.size.high
    assert all(expected[person] for person in told.sample)


@pytest.mark.parametrize("way", [previews.estimate, previews.exactly])
def test_it_is_compared_with_a_segment(shop: tuple[Past, EngineState], way: Callable[..., Preview]) -> None:
    past, state = shop
    graph, expected = past.graph_at(past.upto), plainly(past, state, CONDITIONS[0])
    before = np.zeros(graph.n_persons, dtype=bool)
    before[::2] = True
    told = way(past, graph, RULES, parse(CONDITIONS[0]), at(6), before=before, limit=5)
    entering = {person for person, true in expected.items() if true and not before[person]}
    leaving = {person for person, true in expected.items() if before[person] and not true}
    assert (told.entering, told.leaving) == (Count.of(len(entering)), Count.of(len(leaving)))
    assert set(told.entering_sample) <= entering
    assert set(told.leaving_sample) <= leaving
    assert len(told.sample) == len(told.entering_sample) == 5


def test_a_sample_is_that_share_of_any_people() -> None:
    for numbers in (np.arange(100_000), np.arange(0, 10_000_000, 100), np.arange(1 << 40, (1 << 40) + 100_000)):
        sample = previews.chosen(numbers, 0.01)
        assert 850 < sample.sum() < 1150
        assert previews.chosen(numbers[::-1], 0.01).tolist() == sample[::-1].tolist()
    assert previews.chosen(np.arange(50), 1.0).all()


def test_only_what_is_needed_is_folded() -> None:
    needed = previews.narrowed(RULES, parse("in segment big"))
    assert set(needed.segments) == {"big", "recent"}
    assert set(needed.attributes) == {"spend"}
    assert set(previews.narrowed(RULES, parse("did 'x'")).attributes) == set()
    with pytest.raises(InvalidInput, match="biig"):
        previews.narrowed(RULES, parse("in segment biig"))
