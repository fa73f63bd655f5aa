"""The past asked again says what the engine said then, and what the interpreter says of what was known then."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "rules")]

from engine_world import at, event, fold  # noqa: E402
from rehearsal_world import RULES, SEGMENT, files, interpreted, kept, known, logs, numbered  # noqa: E402

from mailwright.core.errors import NotFound  # noqa: E402
from mailwright.core.events import Defined, Events, Identifier, LogRecord, Offset, Person, Tick  # noqa: E402
from mailwright.core.instants import DAY, HOUR, Instant  # noqa: E402
from mailwright.rules.parse import parse  # noqa: E402
from mailwright.runtime.engine.state import Folded  # noqa: E402
from mailwright.runtime.rehearsal.agreement import Agreement  # noqa: E402
from mailwright.runtime.rehearsal.asof import rule_as_of, segment_as_of  # noqa: E402
from mailwright.runtime.rehearsal.backtest import Stretch, backtest_segment  # noqa: E402

WITHOUT_FOR = tuple(rule for rule in RULES if "has been" not in rule)
SLOW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def recorded(folded: Folded, upto: Offset) -> set[Person]:
    """Members by the engine's own changes."""
    inside: set[Person] = set()
    for offset, _, change in folded.changes:
        if change.segment == SEGMENT and offset <= upto:
            (inside.add if change.entered else inside.discard)(change.person)
    return inside


def ticks_of(log: list[LogRecord]) -> list[LogRecord]:
    return [record for record in log if isinstance(record.body, Tick)]


@SLOW
@given(logs())
def test_as_of_every_tick_is_what_the_engine_had(log: list[LogRecord]) -> None:
    with kept(log) as (past, _, folded):
        ticks = ticks_of(log)
        for tick, behind in zip(ticks, [*ticks[1:], None], strict=True):
            if behind is not None and behind.at == tick.at:
                continue
            answer = segment_as_of(past, SEGMENT, tick.at)
            assert not answer.moment.reconstructed
            assert set(answer.members.tolist()) == recorded(folded, tick.offset)
            assert answer.n_persons == known(log, folded, tick.offset, tick.at).identity.n_living
            if behind is not None:  # between two ticks the first one answers
                again = segment_as_of(past, SEGMENT, Instant(behind.at - 1))
                assert again.members.tolist() == answer.members.tolist()


@SLOW
@given(logs(), st.data())
def test_a_backtest_equals_what_the_engine_recorded(log: list[LogRecord], data: st.DataObject) -> None:
    with kept(log) as (past, _, folded):
        instants = [log[0].at, *[tick.at for tick in ticks_of(log)]]
        first, last = sorted(data.draw(st.tuples(st.sampled_from(instants), st.sampled_from(instants))))
        result = backtest_segment(past, SEGMENT, Stretch(first, last))
        begin, end = past.offset_at(first), past.offset_at(last)
        told = [change for offset, _, change in folded.changes if begin < offset <= end and change.segment == SEGMENT]
        assert result.agreement.difference is None
        if begin:
            assert result.agreement == Agreement(
                compared_from=ticks_of(log)[[t.offset for t in ticks_of(log)].index(begin)].at,
                n_members=len(recorded(folded, begin)),
                n_transitions=len(told),
            )
        assert result.size_before == len(recorded(folded, begin))
        assert result.days[-1].size == len(recorded(folded, end))
        assert sum(day.n_entered for day in result.days) == sum(change.entered for change in told)
        assert sum(day.n_left for day in result.days) == sum(not change.entered for change in told)
        inside = {person for person, stay in result.stays.items() if stay.since is not None}
        assert inside == recorded(folded, end)


@SLOW
@given(logs(WITHOUT_FOR, imports=True), st.sampled_from(WITHOUT_FOR), st.data())
def test_any_rule_as_of_any_instant_is_what_the_interpreter_says(
    log: list[LogRecord], rule: str, data: st.DataObject
) -> None:
    with kept(log) as (past, state, folded):
        when = data.draw(st.sampled_from([record.at for record in log]).map(lambda each: Instant(each - HOUR)))
        node = parse(rule)
        answer = rule_as_of(past, state.project, node, when)
        moment = answer.moment
        assert moment.tick.at <= when
        there = known(log, folded, moment.tick.offset, moment.tick.at, moment.imported)
        there.project = state.project
        assert set(answer.members.tolist()) == interpreted(there, node, moment.tick.at)


@SLOW
@given(logs(imports=True), st.data())
def test_a_backtest_over_an_import_agrees_with_as_of(log: list[LogRecord], data: st.DataObject) -> None:
    with kept(log) as (past, _, folded):
        instants = [tick.at for tick in ticks_of(log)]
        first = data.draw(st.sampled_from([Instant(log[0].at - 9 * HOUR), *instants]))
        result = backtest_segment(past, SEGMENT, Stretch(first, instants[-1]))
        assert result.agreement.difference is None
        try:
            answer = segment_as_of(past, SEGMENT, first)
        except NotFound:
            assert result.size_before == 0
        else:  # a stretch has one graph: of the import that reaches into it, though perhaps not back to its beginning
            if answer.moment.reconstructed == (result.reconstructed_upto is not None):
                assert result.size_before == answer.size
        assert result.days[-1].size == len(recorded(folded, past.upto))


def test_what_time_alone_changes_is_replayed() -> None:
    happened = event(1, "ada", "A")
    bodies = [(at(0), Defined(1, files("did 'A' within 2 days"))), (at(0), Events([happened]))]
    log = numbered([*bodies, *((at(days), Tick()) for days in (0, 1, 1.9, 2, 3))])
    with kept(log) as (past, _, _):
        result = backtest_segment(past, SEGMENT, Stretch(at(0), at(3)))
        assert (result.size_before, result.agreement.equal, result.agreement.n_transitions) == (1, True, 1)
        assert [(day.size, day.left) for day in result.days][-2:] == [(0, {"time": 1}), (0, {})]
        assert [stay.micros for stay in result.stays.values()] == [2 * DAY]


def test_how_long_somebody_is_in_goes_on_from_a_version_whose_rule_did_not_ask() -> None:
    bodies = [(at(0), Defined(1, files("did 'A'"))), (at(0), Events([event(1, "ada", "A")])), (at(0), Tick())]
    bodies += [(at(3), Defined(2, files("has been in segment base for 2 days"))), (at(3), Tick()), (at(8), Tick())]
    with kept(numbered(bodies)) as (past, _, folded):
        assert [change for offset, _, change in folded.changes if offset == past.offset_at(at(3))] == []
        result = backtest_segment(past, SEGMENT, Stretch(at(0), at(8)))
        assert (result.agreement.difference, result.agreement.n_transitions) == (None, 1)
        assert [stay.micros for stay in result.stays.values()] == [8 * DAY]


def test_a_record_that_differs_is_told_with_both_answers() -> None:
    bodies = [(at(0), Defined(1, files("did 'A'"))), (at(0), Tick()), (at(1), Events([event(1, "ada", "A", days=1)]))]
    log = numbered([*bodies, (at(1), Tick())])
    state, folded = fold(log)
    folded.changes = [(offset, when, change._replace(cause="time")) for offset, when, change in folded.changes]
    with kept(log, (state, folded)) as (past, _, _):
        agreement = backtest_segment(past, SEGMENT, Stretch(at(0), at(3))).agreement
        difference = agreement.difference
        assert not agreement.equal
        assert difference is not None
        assert (difference.person, difference.tick.at) == (0, at(1))
        assert (difference.replayed, difference.recorded) == ("entered (event)", "entered (time)")


def test_before_the_first_tick_an_import_tells_of_those_it_names_alone() -> None:
    """Who is known by what came in live only is there from the tick on that folds it, imports or not."""
    live = event(1, "ada", "B", days=1)
    told = msgspec.structs.replace(event(2, "bob", "B", days=0), received_at=at(1.5), history=True)
    bodies = [(at(0), Defined(1, files("everyone"))), (at(1), Events([live])), (at(1.5), Events([told]))]
    log = numbered([*bodies, (at(2), Tick()), (at(3), Tick())])
    with kept(log) as (past, state, _):
        bob = state.identity.number_of(Identifier("user_id", "bob"))
        for days, members in ((1.2, [bob]), (2, [0, 1])):
            answer = rule_as_of(past, state.project, parse("not did 'A'"), at(days))
            assert sorted(answer.members.tolist()) == members
