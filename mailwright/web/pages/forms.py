"""Forms: how far people get with each, the code that embeds it, and how it looks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from mailwright.core.errors import NotFound, nearest
from mailwright.core.instants import format_iso, iso_or_none
from mailwright.core.ports import OptIn
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.forms.languages import spoken, texts_of
from mailwright.reports.forms import FormCounts, form_counts
from mailwright.web.access import allowed
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.forms.visit import shown_field
from mailwright.web.pages.people import Who, person_facts, proofs_of, whom
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()
api_router = APIRouter(prefix="/v1", tags=["Forms"], dependencies=[Depends(allowed)], route_class=ApiRoute)

Name = Annotated[str, Path(max_length=80)]


def address_of(base_url: str, name: str) -> str:
    """Where a form is hosted."""
    return f"{base_url.rstrip('/')}/f/{name}"


def embed_code(base_url: str, name: str) -> str:
    """What puts a form into any page."""
    return f'<script src="{base_url.rstrip("/")}/forms.js" data-form="{name}" async></script>'


@router.get("/forms")
def forms(request: Request, context: Context) -> Response:
    """All forms, surveys and preference centres, with how many saw, began, sent and confirmed each."""
    counts = form_counts(context.history)
    rows = [(name, form, counts.get(name, FormCounts())) for name, form in context.project.forms.items()]
    return page_response(request, "forms.html", {"rows": rows})


@router.get("/forms/{name}")
def form(request: Request, context: Context, name: Name) -> Response:
    """One form: counts, the code that embeds it, how it is reached by mail, and how it looks."""
    found = _found(context, name)
    languages = [found.language, *found.translations]
    base = context.settings.base_url
    found = spoken(found)
    values = {
        "name": name,
        "form": found,
        "say": texts_of(found),
        "languages": languages,
        "counts": form_counts(context.history).get(name, FormCounts()),
        "address": address_of(base, name),
        "embed": embed_code(base, name),
        "fields": [shown_field(found, one) for one in found.fields],
    }
    return page_response(request, "form_page.html", values)


class FormTold(Told):
    """A form: its address, the code that embeds it, and how many saw, began, sent and confirmed it."""

    name: str
    title: str
    kind: str
    address: str
    embed: str
    seen: int
    started: int
    submitted: int
    confirmed: int


class Forms(Told):
    """Every form, survey and preference centre."""

    forms: list[FormTold]


class Purpose(Told):
    """A purpose in the words that were agreed to."""

    purpose: str
    wording: str


class Proof(Told):
    """How a consent came about.

    Attributes:
        asked_agent: The browser's own description when it was asked for; `confirmed_agent` when it was confirmed.
        message_id: Of the mail that asked for the confirmation.
        wording_version: Of the definitions that held the words.
    """

    id: str
    form: str
    asked_at: When
    asked_agent: str
    confirmed_at: When | None
    confirmed_agent: str
    message_id: str | None
    wording_version: int
    purposes: list[Purpose]


class Proofs(Told):
    """A person's consents by forms."""

    proofs: list[Proof]


@api_router.get("/forms")
def all_forms(context: Context) -> Forms:
    """Every form with its counts."""
    counts = form_counts(context.history)
    return Forms(forms=[_told(context, name, one, counts.get(name)) for name, one in context.project.forms.items()])


@api_router.get("/forms/{name}/counts")
@also(404)
def counts_of(context: Context, name: Name) -> FormTold:
    """One form's counts, address and embed code."""
    return _told(context, name, _found(context, name), form_counts(context.history).get(name))


@api_router.get("/people/{who:path}/proofs")
@also(404)
def proofs(context: Context, who: Who) -> Proofs:
    """How each consent of a person by a form came about: words, times, mail. Network addresses stay sealed."""
    found = proofs_of(context, person_facts(context, whom(context, who)))
    return Proofs(proofs=[_proof(one) for one in found])


def _proof(one: OptIn) -> Proof:
    return Proof(
        id=one.id,
        form=one.form,
        asked_at=format_iso(one.asked_at),
        asked_agent=one.asked_agent,
        confirmed_at=iso_or_none(one.confirmed_at),
        confirmed_agent=one.confirmed_agent,
        message_id=one.message_id or None,
        wording_version=one.wording_version,
        purposes=[Purpose(purpose=purpose, wording=wording) for purpose, wording in one.purposes],
    )


def _found(context: WebContext, name: str) -> FormDefinition:
    found = context.project.forms.get(name)
    if found is None:
        raise NotFound("form.unknown", f"there is no form {name!r}", nearest(name, context.project.forms))
    return found


def _told(context: WebContext, name: str, form: FormDefinition, counts: FormCounts | None) -> FormTold:
    counts, base = counts or FormCounts(), context.settings.base_url
    return FormTold(
        name=name,
        title=form.title,
        kind=form.kind,
        address=address_of(base, name),
        embed=embed_code(base, name),
        seen=counts.seen,
        started=counts.started,
        submitted=counts.submitted,
        confirmed=counts.confirmed,
    )
