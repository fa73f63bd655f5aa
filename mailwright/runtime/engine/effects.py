"""What a tick sets in motion: campaigns that fall due, journeys that move, and the send requests of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailwright.core.commits import TickCommit, Transition
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import SendRequest
from mailwright.core.ports import EngineRecords
from mailwright.journeys.advance import Advance, Journey, advance
from mailwright.journeys.campaigns import due_occurrence
from mailwright.journeys.definitions import audience_condition, exit_condition
from mailwright.journeys.requests import campaign_requests
from mailwright.rules.fold import Change
from mailwright.runtime.engine.state import EngineState


def tick_commit(
    state: EngineState, records: EngineRecords, offset: Offset, at: Instant, changes: Sequence[Change]
) -> TickCommit:
    """Everything that the tick at `offset` writes to Records; reads its rows from Records, writes nothing."""
    transitions = [
        Transition(offset=offset, at=at, person=c.person, segment=c.segment, entered=c.entered, cause=c.cause)
        for c in changes
    ]
    occurrences, requests = _campaigns(state, records, at)
    moves = [_advance(state, records, name, transitions, at) for name in sorted(state.project.journeys)]
    followed = {journey.trigger.segment for journey in state.project.journeys.values()}
    return TickCommit(
        offset=offset,
        at=at,
        requests=[*requests, *(request for move in moves for request in move.requests)],
        runs=[run for move in moves for run in move.runs],
        transitions=[transition for transition in transitions if transition.segment in followed],
        occurrences=occurrences,
        cancelled=[pair for move in moves for pair in move.cancelled],
    )


def _campaigns(
    state: EngineState, records: EngineRecords, at: Instant
) -> tuple[list[tuple[str, str]], list[SendRequest]]:
    occurrences: list[tuple[str, str]] = []
    requests: list[SendRequest] = []
    for name, campaign in sorted(state.project.campaigns.items()):
        last = records.last_occurrence(name)
        occurrence = due_occurrence(
            campaign.schedule, last, at, state.project.zone, state.started_at, campaign.send_by_micros
        )
        if occurrence is not None:
            occurrences.append((name, format_iso(occurrence)))
            audience = state.holding(audience_condition(name))
            requests += campaign_requests(name, campaign, occurrence, audience, at)
    return occurrences, requests


def _advance(
    state: EngineState, records: EngineRecords, name: str, transitions: Sequence[Transition], at: Instant
) -> Advance:
    journey = Journey(name=name, version=state.version, definition=state.project.journeys[name])
    triggering = [t for t in transitions if t.segment == journey.definition.trigger.segment]
    due = records.due_runs(name, at)
    # Rows keep the number that they were written under: so they go back with it when a merge is taken back.
    whose = {number: each.person for each in triggering for number in state.identity.numbers(each.person)}
    open_runs = records.open_runs(name, None if journey.definition.exit_when else list(whose))
    inside = {whose[run.person] for run in open_runs if whose.get(run.person, run.person) != run.person}
    triggering = [transition for transition in triggering if transition.person not in inside]
    entering = [transition.person for transition in triggering]
    if not (triggering or due or open_runs):
        return Advance()
    people = sorted({*entering, *(run.person for run in (*due, *open_runs))})
    return advance(
        journey,
        open_runs=open_runs,
        last_started=_last_started(records.last_runs(name, list(whose)), whose),
        transitions=triggering,
        due_runs=due,
        at=at,
        exits=state.which(exit_condition(name), people) if journey.definition.exit_when else frozenset(),
    )


def _last_started(runs: Mapping[Person, Instant], whose: Mapping[Person, Person]) -> dict[Person, Instant]:
    """When each person last started, under whichever of their numbers."""
    found: dict[Person, Instant] = {}
    for number, at in runs.items():
        found[whose[number]] = max(at, found.get(whose[number], at))
    return found
