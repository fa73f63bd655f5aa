"""Why a person is in a segment or not: the rule taken apart, each part with its value and the events behind it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from mailwright.core.errors import NotFound
from mailwright.core.events import Person
from mailwright.reports.transitions import newest_tick
from mailwright.runtime.past import Past
from mailwright.runtime.rehearsal.asof import in_force_at, moment_at
from mailwright.runtime.rehearsal.person import explain_person
from mailwright.web.pages.people import known_name, opened, person_facts
from mailwright.web.pages.shell import Context, defined, pages_router
from mailwright.web.templating import page_response

router = pages_router()

EVENTS = 5


@router.get("/segments/{name}/why/{number}")
def why(request: Request, context: Context, name: str, number: Annotated[int, Path(ge=0, lt=2**31)]) -> Response:
    """One person and one segment, as of History's newest chunk."""
    definition = defined("segment", context.project.segments, name)
    facts = person_facts(context, number)
    at = newest_tick(context.history)
    if at is None:
        raise NotFound("history.empty", "nothing is in History yet", "come back in a minute")
    past = Past(context.history)
    moment = moment_at(past, at)
    versions = in_force_at(past, name, moment, "in-force")
    found = explain_person(past, moment, versions, name, Person(facts.person), n=EVENTS)
    values = {
        "definition": definition,
        "person": facts.person,
        "name": known_name(context, facts),
        "why": found.why,
        "at": moment.tick.at,
        "shown": lambda value: opened(context, value)[0],
    }
    return page_response(request, "why.html", values)
