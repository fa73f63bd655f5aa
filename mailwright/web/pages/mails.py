"""Mails: all that were considered, how each ended, why it says what it says, and the mail itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from mailwright.core.errors import NotFound
from mailwright.core.events import NOBODY
from mailwright.core.messages import Message, MessageState
from mailwright.decisions.explain import explain
from mailwright.reports.overview import mail_outcomes
from mailwright.web.context import WebContext
from mailwright.web.pages.people import known_email, known_name, opened
from mailwright.web.pages.shell import Context, origin_title, pages_router
from mailwright.web.previews import parts_of, preview_address
from mailwright.web.templating import page_response

router = pages_router()


@router.get("/mails")
def mails(
    request: Request,
    context: Context,
    state: Annotated[str, Query(max_length=20)] = "",
    origin: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """A page of mails, newest first. An unknown state or origin filters nothing away."""
    outcomes = mail_outcomes(context.records.messages)
    limit = context.settings.page_rows
    wanted = MessageState(state) if state in set(MessageState) else None
    by = origin if origin in outcomes.by_origin else None
    found = context.records.messages.page(before=before, limit=limit + 1, state=wanted, origin=by)
    values = {
        "mails": found[:limit],
        "next": found[limit - 1].id if len(found) > limit else None,
        "outcomes": outcomes,
        "state_asked": wanted or "",
        "origin": by or "",
        "origins": [(name, origin_title(context.project, name)) for name in sorted(outcomes.by_origin)],
        "origin_title": lambda name: origin_title(context.project, name),
    }
    fragment = request.headers.get("hx-request") == "true"
    return page_response(request, "mails_rows.html" if fragment else "mails.html", values)


@router.get("/mails/{message_id}")
def mail(request: Request, context: Context, message_id: str) -> Response:
    """One mail."""
    message = message_by_id(context, message_id)
    body = context.records.messages.body(message_id)
    values = {
        "mail": message,
        "title": message.subject or origin_title(context.project, message.origin),
        "origin": origin_title(context.project, message.origin),
        "explanation": _topics(message.decision) if message.decision else None,
        "opened": lambda value: opened(context, value)[0],
        "parts": parts_of(body) if body else None,
        "preview": preview_address(context, message_id) if body else None,
        **_recipient(context, message),
    }
    return page_response(request, "mail.html", values)


TOPICS = {
    "outcome": "Outcome",
    "why": "Who it is for",
    "facts": "On these facts",
    "experiment": "Experiment",
    "content": "Content rules",
    "recommendations": "Recommendations",
    "variables": "Variables",
    "versions": "Versions",
}


def _topics(decision: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """The explanation by topic: (topic, its heading, sentences)."""
    lines: dict[str, list[str]] = {}
    for line in explain(decision):
        lines.setdefault(line.topic, []).append(line.text)
    return [(topic, TOPICS[topic], texts) for topic, texts in lines.items()]


def message_by_id(context: WebContext, message_id: str) -> Message:
    """A message.

    Raises:
        NotFound: If there is none with that id.
    """
    found = context.records.messages.by_id(message_id)
    if found is None:
        raise NotFound("mail.unknown", f"there is no mail {message_id!r}", "look for it in the list of mails")
    return found


def _recipient(context: WebContext, message: Message) -> dict[str, Any]:
    if message.person == NOBODY:
        return {"name": "whoever filled in the form", "email": "", "known": False}
    facts = context.engine.facts([message.person]).get(message.person)
    name = known_name(context, facts) if facts else f"#{message.person}"
    return {"name": name, "email": known_email(context, facts) if facts else "", "known": True}
