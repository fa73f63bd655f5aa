"""Sequences against their definition, tried over every choice of events."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from lang_world import NOW, event

from mailwright.core.events import Event, Offset
from mailwright.core.instants import MINUTE, Instant
from mailwright.rules import syntax as s
from mailwright.rules.ordered import completions
from mailwright.rules.values import no_items

Told = list[tuple[str, int, int | None]]


def stories() -> st.SearchStrategy[Told]:
    """(name, minutes ago, key) in any order, often at the same minute."""
    return st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 8), st.sampled_from((1, 1, 2, None))), max_size=9)


@st.composite
def sequences(draw: st.DrawFn) -> s.Sequence:
    within = st.none() | st.integers(1, 4).map(lambda n: n * MINUTE)
    step = st.builds(s.Step, event=st.sampled_from("ABC"), negated=st.booleans(), within=within)
    rest = draw(st.lists(step, min_size=1, max_size=3))
    same = draw(st.sampled_from(((), (("key",),))))
    return s.Sequence(steps=(s.Step(event=draw(st.sampled_from("ABC"))), *rest), same=same)


@settings(max_examples=100, deadline=None)
@given(sequences(), stories())
def test_completions_are_those_of_the_definition(node: s.Sequence, told: Told) -> None:
    events = [event(name, Instant(NOW - ago * MINUTE), key=key, n=n) for n, (name, ago, key) in enumerate(told)]
    timeline = [(Offset(n), each) for n, each in enumerate(sorted(events, key=lambda each: each.stamp_at))]
    assert completions(node, timeline, no_items) == sorted(set(_defined(node, events)))


def _defined(node: s.Sequence, events: list[Event]) -> list[int]:
    """Completion by trying every choice of events for the steps that are done."""
    keys = {each.properties["key"] for each in events} - {None} if node.same else {None}
    found = []
    for key in keys:
        mine = [each for each in events if not node.same or each.properties["key"] == key]
        choices = [
            [None] if step.negated else [each.stamp_at for each in mine if each.name == step.event]
            for step in node.steps
        ]
        found += [at for chosen in product(*choices) if (at := _done(node.steps, chosen, mine)) is not None]
    return found


def _done(steps: tuple[s.Step, ...], chosen: tuple[int | None, ...], events: list[Event]) -> int | None:
    """When the last step is done, or None if this choice breaks a rule of the sequence."""
    done = chosen[0]
    assert done is not None
    open_since: list[str] = []  # forbidden names since `done`, until the next step
    for place in range(1, len(steps)):
        step, at = steps[place], chosen[place]
        if at is not None:
            if not done < at <= (at if step.within is None else done + step.within):
                return None
            if any(each.name in open_since and done < each.stamp_at < at for each in events):
                return None
            done, open_since = at, []
        elif step.within is None:
            open_since.append(step.event)
        else:
            before = steps[place - 1]
            stops = {step.event, *open_since, *([] if before.negated else [before.event])}
            if any(each.name in stops and done < each.stamp_at <= done + step.within for each in events):
                return None
            done += step.within
    if any(each.name in open_since and each.stamp_at > done for each in events):
        return None
    return done
