"""Who a person is, on their page: what joined their identifiers, and the forms that part or join people by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.events import PeopleMerged, PersonSplit
from mailwright.core.person_graph import PersonGraph
from mailwright.reports.identity import branches, bringers
from mailwright.runtime.corrections import correct, correction, value_of
from mailwright.runtime.identity_changes import REASON_CHARS, carry_out, merge_asked, split_asked
from mailwright.runtime.who import person_of
from mailwright.web.context import WebContext
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.sessions import checked_form

router = pages_router()

Number = Annotated[int, Path(ge=0, lt=2**31)]
Reason = Annotated[str, Form(max_length=2 * REASON_CHARS)]
PERSONAL_KINDS = ("email", "phone")
FORM_BYTES = 64 * 1024
MOST_VALUE = 10_000


def graph_values(context: WebContext, graph: PersonGraph) -> dict[str, Any]:
    """What `person_graph.html` shows."""
    events = bringers(context.history, (each.offset for each in graph.identifiers))
    return {
        "graph": graph,
        "branches": [
            (each, *shown_key(each.identifier.key), events.get(each.identifier.offset)) for each in branches(graph)
        ],
        "merges": [(each, _words(each.reason)) for each in reversed(graph.merges)],
        "refused": [(each, _words(each.reason)) for each in reversed(graph.refused)],
        "shown_key": lambda key: " ".join(shown_key(key)),
        "reason_chars": REASON_CHARS,
    }


def shown_key(key: str) -> tuple[str, str]:
    """Kind and value for reading: of a keyed hash the beginning."""
    kind, _, value = key.partition(":")
    return (kind, f"hash {value[:8]}…") if kind in PERSONAL_KINDS else (kind, value)


def _words(reason: str) -> str:
    """A reason without the length of its hashes."""
    cut = (" ".join(shown_key(word)) if word.partition(":")[0] in PERSONAL_KINDS else word for word in reason.split())
    return " ".join(cut)


@router.post("/people/{number}/merge", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def merge(
    request: Request, context: Context, number: Number, other: Annotated[str, Form(max_length=400)], reason: Reason
) -> Response:
    """This person and another are one."""
    body = merge_asked(context.engine, context.seal, number, other, reason=reason, by=request.state.user)
    return _done(context, body, number)


@router.post("/people/{number}/split", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def split(
    request: Request,
    context: Context,
    number: Number,
    reason: Reason,
    merge: Annotated[int | None, Form()] = None,
    identifier: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """This person is two."""
    body = split_asked(
        context.engine,
        context.seal,
        number,
        merge=merge,
        identifiers=identifier or [],
        reason=reason,
        by=request.state.user,
    )
    return _done(context, body, number)


@router.post("/people/{number}/traits", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def correct_trait(
    request: Request,
    context: Context,
    number: Number,
    trait: Annotated[str, Form(min_length=1, max_length=400)],
    because: Reason,
    value: Annotated[str, Form(max_length=MOST_VALUE)] = "",
) -> Response:
    """One trait of this person is another; empty removes it."""
    person = person_of(context.engine, context.seal, number)
    facts = context.engine.facts([person])[person]
    told = {trait: value_of(value, trait, context.project.profile, context.ingest_rules, facts)}
    event = correction(
        facts,
        context.engine,
        context.ingest_rules,
        context.clock,
        traits=told,
        reason=because,
        by=request.state.user,
    )
    correct(context.log, context.clock, context.engine, event)
    return RedirectResponse(f"/people/{person}", 303)


def _done(context: WebContext, body: PeopleMerged | PersonSplit, number: int) -> Response:
    carry_out(context.log, context.clock, context.engine, body)
    return RedirectResponse(f"/people/{number}#who", 303)
