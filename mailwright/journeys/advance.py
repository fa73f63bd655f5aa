"""How the runs of a journey move at one tick."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from mailwright.core.commits import JourneyRun, Transition
from mailwright.core.durations import duration_micros
from mailwright.core.events import Person
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import SendRequest
from mailwright.journeys.definitions import END, JourneyDefinition, StepDefinition
from mailwright.journeys.requests import request, send_key

STARTING_CAUSES = frozenset({"event", "time"})
"""Causes of a transition that start a journey: not an import, a new definition, a list, a merge or a split."""

COMPLETED = "completed"
EXITED = "exited"
STEP_GONE = "step removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What one tick does to one journey: the fields of `mailwright.core.ports.TickCommit` of the same names."""

    runs: tuple[JourneyRun, ...] = ()
    requests: tuple[SendRequest, ...] = ()
    cancelled: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """A journey under its name, in one version of the definitions."""

    name: str
    version: int
    definition: JourneyDefinition

    @property
    def origin(self) -> str:
        """The origin of its messages."""
        return f"journey:{self.name}"


def run_id(journey: str, person: Person, started_at: Instant) -> str:
    """The id (32 hex digits) of the run that a person starts at an instant: a replayed tick gives the same run."""
    return hashlib.sha256(json.dumps([journey, int(person), int(started_at)]).encode()).hexdigest()[:32]


def advance(
    journey: Journey,
    *,
    open_runs: Iterable[JourneyRun],
    last_started: Mapping[Person, Instant],
    transitions: Iterable[Transition],
    due_runs: Iterable[JourneyRun],
    at: Instant,
    exits: Collection[Person],
) -> Advance:
    """Move a journey's runs at the tick `at`: first exits, then what is due, then entries.

    Args:
        journey: Name, version and definition in force.
        open_runs: Runs that have not ended of all people in `transitions` and `exits`.
        last_started: started_at of each of these people's newest run, ended or not.
        transitions: Of this tick; those of other segments are ignored.
        due_runs: Runs that have not ended and whose due_at <= at.
        at: The tick's instant.
        exits: People of whom the exit rule is true at this tick: of those with open or due runs or transitions, all
            must be asked.
    """
    present = {run.run_id: run for run in (*open_runs, *due_runs) if run.ended is None}
    left = [run for run in present.values() if run.person in exits]
    staying = [run for run in present.values() if run.person not in exits]
    due = [run for run in staying if run.due_at is not None and run.due_at <= at]
    entering = _entering(journey, transitions, last_started, {run.person for run in staying} | set(exits), at)
    moved = [_walk(journey, run, at) for run in (*due, *entering)]
    return Advance(
        runs=(*(_exit(journey, run, at) for run in left), *(run for run, _ in moved)),
        requests=tuple(wanted for _, asked in moved for wanted in asked),
        cancelled=tuple((key, EXITED) for run in left for key in _asked_keys(journey, run)),
    )


def _entering(
    journey: Journey,
    transitions: Iterable[Transition],
    last_started: Mapping[Person, Instant],
    barred: Collection[Person],
    at: Instant,
) -> list[JourneyRun]:
    people = dict.fromkeys(change.person for change in transitions if _triggers(journey.definition, change))
    return [
        _start(journey, person, at)
        for person in people
        if person not in barred and _may_enter(journey.definition, last_started.get(person), at)
    ]


def _triggers(definition: JourneyDefinition, change: Transition) -> bool:
    trigger = definition.trigger
    wanted = change.segment == trigger.segment and change.entered == (trigger.enters is not None)
    return wanted and change.cause in STARTING_CAUSES


def _may_enter(definition: JourneyDefinition, last_at: Instant | None, at: Instant) -> bool:
    if last_at is None:
        return True
    pause = definition.reentry_micros
    return pause is not None and at >= last_at + pause


def _start(journey: Journey, person: Person, at: Instant) -> JourneyRun:
    return JourneyRun(
        run_id=run_id(journey.name, person, at),
        journey=journey.name,
        version=journey.version,
        person=person,
        started_at=at,
        step=next(iter(journey.definition.named_steps())),
        due_at=at,
    )


def _walk(journey: Journey, run: JourneyRun, at: Instant) -> tuple[JourneyRun, list[SendRequest]]:
    """Run steps until a wait or the end. A wait counts from the tick at which the run came to it."""
    steps = journey.definition.named_steps()
    if run.step != END and run.step not in steps:
        return _end(run, at, f"{STEP_GONE}: {run.step}"), []
    names = [*steps, END]
    asked: list[SendRequest] = []
    for place in range(names.index(run.step), len(steps)):
        step = steps[names[place]]
        if step.wait is not None:
            due_at = Instant(at + duration_micros(step.wait))
            return replace(run, step=names[place + 1], due_at=due_at), asked
        asked.append(_ask(journey, run, names[place], step, at))
    return _end(replace(run, step=END), at, COMPLETED), asked


def _ask(journey: Journey, run: JourneyRun, name: str, step: StepDefinition, at: Instant) -> SendRequest:
    return request(
        origin=journey.origin,
        step=name,
        occurrence_at=run.started_at,
        person=run.person,
        purpose=journey.definition.purpose,
        at=at,
        send_by_at=Instant(at + step.send_by_micros),
    )


def _exit(journey: Journey, run: JourneyRun, at: Instant) -> JourneyRun:
    return _end(run, at, f"{EXITED}: {journey.definition.exit_when}")


def _end(run: JourneyRun, at: Instant, reason: str) -> JourneyRun:
    return replace(run, due_at=None, ended=reason, ended_at=at)


def _asked_keys(journey: Journey, run: JourneyRun) -> list[str]:
    """Send keys of the mails that the run has asked for: those of the steps before the present one."""
    occurrence = format_iso(run.started_at)
    steps = journey.definition.named_steps()
    names = list(steps)
    # At the end, or at a step that is gone, any mail of the journey may have been asked for; other keys match nothing.
    passed = names[: names.index(run.step)] if run.step in steps else names
    return [
        send_key(origin=journey.origin, step=name, occurrence=occurrence, person=run.person)
        for name in passed
        if steps[name].mail is not None
    ]
