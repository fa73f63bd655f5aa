"""People: find one, and everything that is known of them and happened to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.events import Item, Person
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.happenings import Happening, Whose
from mailwright.core.instants import SECOND, Instant, parse_iso
from mailwright.core.messages import Message
from mailwright.core.person_graph import PersonGraph
from mailwright.core.ports import OptIn
from mailwright.reports.timeline import timeline
from mailwright.runtime.person_consents import consent_rows, consent_states, suppressions
from mailwright.runtime.who import named_by, person_of
from mailwright.web.context import Definition, WebContext
from mailwright.web.opening import opened as opened
from mailwright.web.pages.identity import clear_addresses, graph_values, readable_reason
from mailwright.web.pages.shell import AfterPerson, Context, origin_title, pages_router, titles
from mailwright.web.pages.traits import having, trait_rows
from mailwright.web.templating import page_response, span_text, when, words

router = pages_router()

TIMELINE_ROWS = 40
MOST_NAMED_ITEMS = 8
PERSONAL_KINDS = ("email", "phone")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One line of a list of people; `name` is the best that is known to call them by."""

    person: Person
    name: str
    email: str
    segments: Sequence[str]
    n_events: int
    last_seen_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One trait or attribute for reading; `sealed` if it lies encrypted everywhere but on this page."""

    name: str
    title: str
    text: str
    at: Instant | None
    source: str
    sealed: bool


def known_name(context: WebContext, facts: PersonFacts) -> str:
    """First and last name, else the name, else the first identifier."""
    first, last, whole = (
        opened(context, facts.traits[key].value)[0] if key in facts.traits else ""
        for key in ("firstName", "lastName", "name")
    )
    return " ".join(part for part in (first, last) if part) or whole or plain_identifier(facts)


def plain_identifier(facts: PersonFacts) -> str:
    """The first identifier that is no hash, else the number."""
    plain = [one.value for one in facts.identifiers if one.kind not in PERSONAL_KINDS]
    return plain[0] if plain else f"#{facts.person}"


def known_email(context: WebContext, facts: PersonFacts) -> str:
    """The clear e-mail address, or nothing."""
    return opened(context, facts.traits["email"].value)[0] if "email" in facts.traits else ""


def person_rows(context: WebContext, persons: Sequence[Person]) -> list[PersonRow]:
    """Lines for these people; merged ones are left out, their survivor has its own line."""
    facts = context.engine.facts(persons)
    named = titles(context.project.segments)
    return [
        PersonRow(
            person=person,
            name=known_name(context, facts[person]),
            email=known_email(context, facts[person]),
            segments=[named.get(segment, segment) for segment in facts[person].segments],
            n_events=facts[person].n_events,
            last_seen_at=facts[person].last_seen_at,
        )
        for person in persons
        if person in facts and facts[person].person == person
    ]


def find_people(context: WebContext, text: str) -> list[Person]:
    """Who has this e-mail, phone, user id or number (``#12``); looked up by keyed hash where it is personal.

    More than one where it is an identifier of several kinds for several people.
    """
    return list(dict.fromkeys(named_by(context.engine, context.seal, text).values()))


def having_any(context: WebContext, text: str) -> list[Person]:
    """People of whom some indexed trait has this value."""
    found: dict[Person, None] = {}
    for trait in context.project.profile.indexed():
        with suppress(InvalidInput):  # it can be no value of this one
            found.update(dict.fromkeys(having(context, trait, text)))
    return list(found)


@router.get("/people")
def people(
    request: Request, context: Context, after: AfterPerson, q: Annotated[str, Query(max_length=320)] = ""
) -> Response:
    """A page of people by number, or those whom `q` names, or who have it as an indexed trait."""
    asked = q.strip()
    limit = context.settings.page_rows
    if asked:
        rows = person_rows(context, find_people(context, asked) or having_any(context, asked)[:limit])
        more = None
    else:
        start = 0 if after is None else after + 1
        rows = person_rows(context, [Person(n) for n in range(start, start + limit)])
        ahead = context.engine.facts([Person(start + limit)])
        more = start + limit - 1 if ahead else None
    values = {"rows": rows, "next": more, "asked": asked, "list_address": "/people"}
    return page_response(request, "people_rows.html" if _is_fragment(request) else "people.html", values)


@router.get("/people/{number}")
def person(request: Request, context: Context, number: Annotated[int, Path(ge=0, lt=2**31)]) -> Response:
    """One person."""
    return person_page(request, context, number)


def person_page(
    request: Request, context: WebContext, number: int, fault: Mapping[str, Any] | None = None, status: int = 200
) -> Response:
    """A person's page; `fault`: what is wrong with a form of it (its ``text``), and what was said there."""
    facts = person_facts(context, number, past=True)
    if facts.person != number:
        return RedirectResponse(f"/people/{facts.person}", 303)
    graph = context.engine.graph(facts.person)
    consents = consent_rows(context.records.consents, facts)
    clear = clear_addresses(context, facts)
    values = {
        "facts": facts,
        "corrects": True,
        "name": known_name(context, facts),
        "email": known_email(context, facts),
        "traits": trait_rows(context, facts.traits, facts.history, context.project.profile.traits),
        "attributes": _facts(context, facts.attributes, context.project.attributes),
        "segments": [(name, titles(context.project.segments).get(name, name)) for name in facts.segments],
        "consents": consents,
        "states": [(one, clear.get(one.address_hash, "")) for one in consent_states(consents)],
        "suppressed": [
            (reason, clear.get(one, "")) for one, reason in suppressions(context.records.consents, facts).items()
        ],
        "proofs": proofs_of(context, facts),
        "mails": _mails(context, graph.numbers),
        "origin_title": lambda origin: origin_title(context.project, origin),
        "fault": fault or {},
        **graph_values(context, graph, clear),
        **_timeline_values(context, graph, None),
    }
    return page_response(request, "person.html", values, status=status)


@router.get("/people/{number}/timeline")
def person_timeline(
    request: Request,
    context: Context,
    number: Annotated[int, Path(ge=0, lt=2**31)],
    before: Annotated[str | None, Query(max_length=400)] = None,
) -> Response:
    """A further stretch of a person's timeline."""
    facts = person_facts(context, number)
    values = _timeline_values(context, context.engine.graph(facts.person), before)
    return page_response(request, "timeline.html", {"facts": facts, **values})


Who = Annotated[
    str,
    Path(max_length=400, description="number:12, user_id:42 or another kind:value, an e-mail, phone or id."),
]


def whom(context: WebContext, who: str | int) -> Person:
    """The person whom a program names, see `person_of`."""
    return person_of(context.engine, context.seal, who)


def person_facts(context: WebContext, number: int, *, past: bool = False) -> PersonFacts:
    """Facts of a person; of the survivor if the number was merged. `past`: with the earlier writes of traits.

    Raises:
        NotFound: If there is no such person.
    """
    found = context.engine.facts([Person(number)], past=past).get(Person(number))
    if found is None:
        raise NotFound("person.unknown", f"there is no person {number}", "search by e-mail or user id")
    return found


def proofs_of(context: WebContext, facts: PersonFacts) -> list[OptIn]:
    """How each consent of a person by a form came about, newest first."""
    hashes = [one.value for one in facts.identifiers if one.kind == "email"]
    found = [one for address_hash in hashes for one in context.records.opt_ins.of_address(address_hash)]
    return sorted(found, key=lambda one: -one.asked_at)


def _mails(context: WebContext, numbers: Sequence[Person]) -> list[Message]:
    """The newest mails to a person, under whichever of their numbers they were asked for."""
    pages = [context.records.messages.page(before=None, limit=20, person=number) for number in numbers[-20:]]
    return sorted((each for page in pages for each in page), key=lambda one: one.queued_at, reverse=True)[:20]


def _timeline_values(context: WebContext, graph: PersonGraph, before: str | None) -> dict[str, Any]:
    found = timeline(context.engine, context.history, Whose.of(graph), before=before, limit=TIMELINE_ROWS + 1)
    shown = found.happened[:TIMELINE_ROWS]
    named = titles(context.project.segments)
    return {
        "happened": [(one, named.get(one.label, one.label), _details(context, one)) for one in shown],
        "older": shown[-1].cursor if len(found.happened) > TIMELINE_ROWS else None,
        "complete": found.complete,
    }


def _details(context: WebContext, one: Happening) -> str:
    if one.message_id:
        return _mail_details(context, one)
    if one.kind in ("merge", "split"):
        by = f" · by {one.source}" if one.source else ""
        return f"{readable_reason(str(one.detail.get('reason') or ''))}{by}"
    parts = []
    for key, value in one.detail.items():
        if isinstance(value, list):
            parts.append(f"{len(value)} {key.removesuffix('s') if len(value) == 1 else key}")
        elif (value is not None and not isinstance(value, dict | list)) or context.sealer.is_sealed(value):
            parts.append(f"{words(key)} {opened(context, value)[0]}")
    return " · ".join(parts[:5])


def _mail_details(context: WebContext, one: Happening) -> str:
    """What tells one event of a mail from another: where it came from and the arm; of a click where it went."""
    origin = one.detail.get("origin")
    told = [origin_title(context.project, origin) if isinstance(origin, str) else None]
    told += [one.detail.get("variant"), one.detail.get("url")]
    told += [] if one.label == "Email Sent" else [words(str(one.detail.get("reason") or ""))]
    told += ["by a machine"] if one.detail.get("machine") else []
    return " · ".join(str(part) for part in told if part)


def _facts(context: WebContext, known: dict[str, Known], defined: Mapping[str, Definition]) -> list[Fact]:
    rows = []
    item_names = _item_names(context, known)
    for name, one in known.items():
        definition = defined.get(name, Definition(name=name, title=name))
        text, sealed = opened(context, item_names.get(name, one.value))
        if definition.kind == "duration" and isinstance(one.value, int | float):
            text = span_text(round(one.value * SECOND))
        elif definition.kind == "instant" and isinstance(one.value, str):
            text = when(parse_iso(one.value), context.project.zone)["text"]
        rows.append(Fact(name=name, title=definition.title, text=text, at=one.at, source=one.source, sealed=sealed))
    return rows


def _item_names(context: WebContext, known: dict[str, Known]) -> dict[str, list[str]]:
    """For lists of catalog items: their titles in place of their ids. Lists of anything else are not in it."""
    lists = {
        name: [str(each) for each in one.value[:MOST_NAMED_ITEMS]]
        for name, one in known.items()
        if isinstance(one.value, list) and all(isinstance(each, str | int) for each in one.value)
    }
    ids = sorted({each for ids in lists.values() for each in ids})
    found: dict[str, Item] = {}
    for catalog in context.project.catalogs if ids else ():
        found |= context.engine.items(catalog, ids)
    titled = {
        item_id: str(item.facts.get("title") or item.facts.get("name") or item_id) for item_id, item in found.items()
    }
    return {
        name: [titled.get(each, each) for each in ids] + _rest(known[name].value)
        for name, ids in lists.items()
        if any(i in titled for i in ids)
    }


def _rest(ids: list[Any]) -> list[str]:
    left = len(ids) - MOST_NAMED_ITEMS
    return [f"and {left} more"] if left > 0 else []


def _is_fragment(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"
