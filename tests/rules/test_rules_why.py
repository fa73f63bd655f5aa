"""Why a rule holds for one person: parts, values, events behind them, and when time alone will change the answer."""

from __future__ import annotations

from typing import Any

from fold_world import START, ZONE, event, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import ANCHORS, Scope, catalog, conditions, histories

from mailwright.core.events import Event, Offset
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules import syntax as s
from mailwright.rules.behind import behind
from mailwright.rules.interpret import Context, interpret
from mailwright.rules.parse import parse
from mailwright.rules.why import Why, explain


def context(since: dict[str, Instant] | None = None, **more: Any) -> Context:
    return Context(
        attributes=more.get("attributes", {}),
        segments=more.get("segments", {}),
        catalog=more.get("catalog", shop()),
        lists=[],
        zone=ZONE,
        first_identifier="id:0",
        segment_since=(since or {}).get,
    )


def told(*events: Event) -> list[tuple[Offset, Event]]:
    return [(Offset(4096 * place), each) for place, each in enumerate(events, 1)]


def flat(why: Why) -> list[Why]:
    return [why, *(inner for part in why.parts for inner in flat(part))]


def test_each_part_tells_its_value_and_the_events_behind_it() -> None:
    events = told(
        event(1, stamp=START, properties={"x": 5}),
        event(2, stamp=START + HOUR, properties={"x": 7}),
        event(3, "B", stamp=START + HOUR),
        event(4, "", stamp=START, type="identify", traits={"plan": "gold"}),
    )
    node = parse("sum of 'A'.x where (x > 1) within 2 days >= 10 and not did 'C' and trait plan = 'gold'")
    why = explain(node, events, Instant(START + DAY), context(), n=1)
    spend, never, plan = why.parts
    assert (why.holds, spend.holds, never.holds, plan.holds) == (True, True, True, True)
    assert [(part.text, part.value, part.n_events) for part in spend.parts] == [
        ("sum of 'A'.x where x > 1 within 2 days", 12, 2)
    ]
    assert [each.message_id for _, each in spend.parts[0].events] == ["2"]
    assert (never.parts[0].holds, never.parts[0].n_events) == (False, 0)
    assert (plan.parts[0].value, [each.message_id for _, each in plan.parts[0].events]) == ("gold", ["4"])


def test_when_time_alone_changes_it() -> None:
    events = told(event(1, stamp=START), event(2, stamp=START + DAY))
    t = Instant(START + DAY)
    why = explain(parse("count of 'A' within 3 days >= 2 or did 'B'"), events, t, context())
    assert why.changes_at == START + 3 * DAY
    assert why.parts[0].changes_at == START + 3 * DAY
    assert why.parts[1].changes_at is None
    assert all(part.foreseen for part in flat(why))


def test_an_event_of_the_future_is_time_alone() -> None:
    events = told(event(1, stamp=START + DAY, known=START))
    assert explain(parse("did 'A'"), events, START, context()).changes_at == START + DAY


def test_an_event_that_was_not_known_yet_does_not_count() -> None:
    events = told(event(1, stamp=START, known=START + DAY))
    why = explain(parse("did 'A'"), events, Instant(START + HOUR), context())
    assert (why.holds, why.changes_at, why.n_events) == (False, None, 0)


def test_since_when_in_a_segment() -> None:
    events = told(event(1, stamp=START))
    segments = {"s": parse("did 'A' within 5 days")}
    there = context({"s": Instant(START)}, segments=segments)
    why = explain(parse("has been in segment s for 2 days"), events, Instant(START + HOUR), there)
    assert (why.holds, why.changes_at) == (False, START + 2 * DAY)
    later = explain(parse("has been in segment s for 2 days"), events, Instant(START + 3 * DAY), there)
    assert (later.holds, later.changes_at, later.parts[0].text) == (True, START + 5 * DAY, "did 'A' within 5 days")


def test_a_sequence_names_its_steps_events_and_its_deadline() -> None:
    events = told(event(1, stamp=START), event(2, "C", stamp=START + 1))
    why = explain(parse("did 'A' then no 'B' within 2 hours"), events, Instant(START + HOUR), context())
    assert (why.holds, why.changes_at, why.n_events) == (False, START + 2 * HOUR, 1)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions(Scope(lists=("l1",))), histories(), st.sampled_from(ANCHORS))
def test_truth_is_the_interpreters_and_it_holds_until_it_changes(
    node: s.Expression, events: list[tuple[Offset, Event]], t: Instant
) -> None:
    there = context(catalog=catalog())
    events = [each for each in events if each[1].known_at <= t]
    why = explain(node, events, t, there, n=2)
    assert why.holds == interpret(node, events, t, there)
    if why.changes_at is not None:
        assert interpret(node, events, why.changes_at, there) != why.holds
        assert interpret(node, events, Instant(why.changes_at - 1), there) == why.holds
    elif why.foreseen:
        for later in (1, HOUR, DAY, 30 * DAY):
            assert interpret(node, events, Instant(t + later), there) == why.holds


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions(Scope(lists=("l1",)), depth=0), histories(), st.sampled_from(ANCHORS))
def test_without_the_events_that_are_not_behind_it_a_leaf_is_the_same(
    node: s.Expression, events: list[tuple[Offset, Event]], t: Instant
) -> None:
    there = context(catalog=catalog())
    for leaf in (node, *s.children(node)):
        if not isinstance(leaf, s.Did | s.Aggregate | s.Sequence | s.TimeSince | s.LastDistinct | s.ListOf | s.Trait):
            continue
        found = behind(leaf, events, t, there)
        zone = [each for each in events if "timezone" in each[1].context or "timezone" in each[1].traits]
        kept = {offset: each for offset, each in (*found, *zone)}
        assert interpret(leaf, sorted(kept.items()), t, there) == interpret(leaf, events, t, there)
