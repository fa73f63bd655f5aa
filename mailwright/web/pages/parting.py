"""The forms on a person's page that part or join people and correct a trait by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import Conflict, InvalidInput, NotFound
from mailwright.core.events import Event, PeopleMerged, PersonSplit
from mailwright.runtime.corrections import correct, correction, value_of
from mailwright.runtime.identity_changes import REASON_CHARS, carry_out, merge_asked, split_asked
from mailwright.runtime.who import person_of
from mailwright.web.context import WebContext
from mailwright.web.errors import error_body, status_of
from mailwright.web.pages.people import person_page
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.sessions import checked_form

router = pages_router()

Number = Annotated[int, Path(ge=0, lt=2**31)]
Reason = Annotated[str, Form(max_length=2 * REASON_CHARS)]
FORM_BYTES = 64 * 1024
MOST_VALUE = 10_000


@router.post("/people/{number}/merge", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def merge(
    request: Request,
    context: Context,
    number: Number,
    other: Annotated[str, Form(max_length=400)] = "",
    reason: Reason = "",
) -> Response:
    """This person and another are one."""
    said = {"form": "merge", "other": other, "reason": reason}
    by = request.state.user
    return _answer(
        request,
        context,
        number,
        said,
        lambda: merge_asked(context.engine, context.seal, number, other, reason=reason, by=by),
    )


@router.post("/people/{number}/split", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def split(
    request: Request,
    context: Context,
    number: Number,
    reason: Reason = "",
    merge: Annotated[int | None, Form()] = None,
    identifier: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """This person is two."""
    taken = identifier or []
    said = {"form": "split", "merge": merge, "identifiers": taken, "reason": reason}
    by = request.state.user
    return _answer(
        request,
        context,
        number,
        said,
        lambda: split_asked(context.engine, context.seal, number, merge=merge, identifiers=taken, reason=reason, by=by),
    )


@router.post("/people/{number}/traits", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def correct_trait(
    request: Request,
    context: Context,
    number: Number,
    trait: Annotated[str, Form(min_length=1, max_length=400)],
    because: Reason = "",
    value: Annotated[str, Form(max_length=MOST_VALUE)] = "",
) -> Response:
    """One trait of this person is another; empty removes it."""
    person = person_of(context.engine, context.seal, number)
    rules = context.ingest_rules

    def asked() -> Event:
        facts = context.engine.facts([person])[person]
        told = {trait: value_of(value, trait, context.project.profile, rules, facts)}
        by = request.state.user
        return correction(facts, context.engine, rules, context.clock, traits=told, reason=because, by=by)

    said = {"form": "traits", "trait": trait, "value": value, "reason": because}
    return _answer(request, context, person, said, asked)


def _answer(
    request: Request,
    context: WebContext,
    number: int,
    said: Mapping[str, object],
    asked: Callable[[], PeopleMerged | PersonSplit | Event],
) -> Response:
    """Do it; or the person's page with what is wrong and what was `said`."""
    try:
        body = asked()
    except (InvalidInput, NotFound, Conflict) as error:
        told = error_body(error)["error"]
        text = "; ".join(told[key] for key in ("message", "hint") if told.get(key))
        fault = {**said, "text": text, "at_reason": told["code"] == "identity.reason"}
        return person_page(request, context, number, fault, status_of(error))
    if isinstance(body, Event):
        correct(context.log, context.clock, context.engine, body)
        return RedirectResponse(f"/people/{number}", 303)
    carry_out(context.log, context.clock, context.engine, body)
    return RedirectResponse(f"/people/{number}#who", 303)
