"""What links in mails lead to: confirm an opt-in, answer a question, change preferences.

Opening any of them changes nothing, because programs open links before people do; a button does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mailwright.core.errors import Conflict, InvalidInput
from mailwright.core.events import Identifier
from mailwright.core.instants import Instant, to_datetime
from mailwright.core.ports import Consent, OptIn
from mailwright.delivery.opt_ins import form_origin
from mailwright.ingest.forms.checks import check_all
from mailwright.ingest.forms.definitions import TAGS, FieldDefinition, FormDefinition
from mailwright.ingest.forms.languages import spoken
from mailwright.ingest.forms.submission import CONFIRMED, PREFERENCES_CHANGED, identify_call, told_by, track_call
from mailwright.ingest.forms.texts import OUR_TEXTS, Texts, locale_of, preferred
from mailwright.web.bodies import read_body
from mailwright.web.context import WebContext
from mailwright.web.forms.public import BODY_BYTES, answers_of, form_page, languages_of, throttle, urlencoded
from mailwright.web.forms.tags import readers_tags, tags_joined
from mailwright.web.forms.taking import Asked, Taken, consents_of, means_of, sealed_ip, seen_of, take, tell
from mailwright.web.forms.visit import Reader, Visit, facts_of, issue, known_traits, links_of, reader_of, shown_field
from mailwright.web.pages.shell import Context
from mailwright.web.templating import page_response

router = APIRouter(tags=["Forms"])


# --- confirm an opt-in -----------------------------------------------------------------------------------------------


@router.get("/k/{token}")
def ask_confirmation(request: Request, context: Context, token: str) -> Response:
    """What is to be confirmed, word for word, and a button."""
    opt_in = _opt_in(context, token)
    if opt_in is None:
        return _over(request)
    return _confirm_page(request, context, opt_in)


@router.post("/k/{token}", max_body_size=BODY_BYTES)
def confirm(request: Request, context: Context, token: str) -> Response:
    """Confirm: the address is verified, and what was ticked is granted. A second time changes nothing."""
    opt_in = _opt_in(context, token)
    if opt_in is None:
        return _over(request)
    seen, now = seen_of(request), context.clock.now()
    form = context.project.forms.get(opt_in.form)
    consents = consents_of(opt_in, now)
    if context.records.opt_ins.confirm(opt_in.id, now, sealed_ip(context, form, seen["ip"]), seen["agent"], consents):
        context.count(form_origin(opt_in.form), "consents", len(consents))
    email = context.sealer.unseal(opt_in.address)
    anonymous_id = opt_in.identifier.partition(":")[2]
    owner = Identifier("email", context.seal.hash("email", email))
    joined, at = tags_joined(context, owner, Identifier("anonymous_id", anonymous_id))
    about = {"form": opt_in.form, "purposes": [purpose for purpose, _ in opt_in.purposes]}
    calls = [
        identify_call(f"{opt_in.id}:verified", anonymous_id, {"email": email, "unverified_email": None, **joined}, at),
        track_call(f"{opt_in.id}:confirmed", anonymous_id, CONFIRMED, {**about, "message_id": opt_in.message_id}),
    ]
    tell(context, opt_in.form, calls, None)
    return _confirm_page(request, context, replace(opt_in, confirmed_at=opt_in.confirmed_at or now))


def _opt_in(context: WebContext, token: str) -> OptIn | None:
    try:
        found = links_of(context).read_confirm(token, context.clock.now())
    except (InvalidInput, KeyError):
        return None
    return context.records.opt_ins.by_ids([found]).get(found)


def _confirm_page(request: Request, context: WebContext, opt_in: OptIn) -> Response:
    declared = context.project.forms.get(opt_in.form)
    form = spoken(declared or FormDefinition(title=opt_in.form, kind="survey"), languages_of(request))
    asked_at = _spoken_time(opt_in.asked_at, context.project.zone, form.language)
    return form_page(request, form, "form_confirm.html", {"opt_in": opt_in, "asked_at": asked_at})


def _spoken_time(at: Instant, zone: tzinfo, language: str) -> str:
    from babel.dates import format_datetime  # see `locale_of`

    local = to_datetime(at).astimezone(zone)
    return format_datetime(local, "d MMMM y, HH:mm", locale=locale_of(language))


def _over(request: Request) -> Response:
    """A link that leads nowhere, in one of our own languages: whose form it was is not known."""
    say = Texts(preferred(list(OUR_TEXTS), languages_of(request)))
    return page_response(request, "link_over.html", {"say": say}, status=404)


# --- answer a question of a mail -------------------------------------------------------------------------------------


@router.get("/a/{token}")
def show_answer(request: Request, context: Context, token: str) -> Response:
    """The question with the answer that was chosen in the mail, other questions of the survey, and a button."""
    found = _question(context, token, languages_of(request))
    if found is None:
        return _over(request)
    visit, field, value = found
    return _answer_page(request, context, visit, field, {field.trait: value}, Taken())


@router.post("/a/{token}")
async def give_answer(request: Request, context: Context, token: str) -> Response:
    """Take the answer. Sent again from the page it counts once; a later one replaces it."""
    body = await read_body(request, BODY_BYTES)
    return await run_in_threadpool(_give_answer, request, context, token, body)


def _give_answer(request: Request, context: WebContext, token: str, body: bytes) -> Response:
    found = _question(context, token, languages_of(request))
    if found is None:
        return _over(request)
    visit, field, value = found
    told = urlencoded(body)
    answers = {field.trait: value, **answers_of(visit.form, told)}
    throttle(request, context, visit)
    issued = "".join(told.get("issued", [])[:1])
    taken = take(context, visit, Asked(answers=answers, issued=issued, **seen_of(request)))
    if taken.faults:
        return _answer_page(request, context, visit, field, answers, taken, status=422)
    return form_page(request, visit.form, "form_done.html", {"confirm": False})


def _question(context: WebContext, token: str, accepted: str) -> tuple[Visit, FieldDefinition, str] | None:
    """Who answers which question how; None for a link that is not ours, too old, or to a question no longer asked."""
    try:
        link = links_of(context).read_answer(token, context.clock.now())
    except (InvalidInput, KeyError):
        return None
    declared, reader = context.project.forms.get(link.form), reader_of(context, link.message_id)
    form = spoken(declared, accepted) if declared else None
    field = form.field(link.question) if form else None
    if form is None or field is None or reader is None:
        return None
    known = known_traits(facts_of(context, reader)) - {field.trait}
    others = [one.trait for one in form.fields if one.required and one.trait != field.trait]
    return Visit(name=link.form, form=form, reader=reader, known=known | frozenset(others)), field, link.value


def _answer_page(
    request: Request,
    context: WebContext,
    visit: Visit,
    field: FieldDefinition,
    values: Mapping[str, Any],
    taken: Taken,
    status: int = 200,
) -> Response:
    others = [one for one in visit.fields if one.trait != field.trait]
    page = {
        "fields": [shown_field(visit.form, one) for one in [field, *others]],
        "issued": issue(context, visit.name, visit.form.language),
        "values": values,
        "faults": taken.faults,
        "suggestions": taken.suggestions,
    }
    return form_page(request, visit.form, "form_answer.html", page, status)


# --- preferences -----------------------------------------------------------------------------------------------------


@router.get("/p/{token}")
def preferences(request: Request, context: Context, token: str) -> Response:
    """What somebody gets from us, as it stands: purposes, tags, and answers that they can correct."""
    found = _centre(context, token, languages_of(request))
    if found is None:
        return _over(request)
    return _centre_page(request, context, *found, {}, Taken(), done=False)


@router.post("/p/{token}")
async def change_preferences(request: Request, context: Context, token: str) -> Response:
    """Change them. A purpose whose box is no longer ticked is withdrawn at once."""
    body = await read_body(request, BODY_BYTES)
    return await run_in_threadpool(_change, request, context, token, body)


def _change(request: Request, context: WebContext, token: str, body: bytes) -> Response:
    told = urlencoded(body)
    shown_in = "".join(told.get("language", [])[:1])  # what people agree to is what they read
    found = _centre(context, token, shown_in or languages_of(request))
    if found is None:
        return _over(request)
    visit, reader = found
    throttle(request, context, visit)
    answers = answers_of(visit.form, told)
    given = [one for one in visit.form.fields if answers.get(one.trait) not in (None, "", [])]
    checked = check_all(visit.form, given, answers, means_of(context))
    faults = {trait: one.fault for trait, one in checked.items() if one.fault}
    withdrawn = _withdraw(context, visit, reader, told)  # whatever else is wrong
    if faults:
        if withdrawn:
            asked = Asked(answers={}, **seen_of(request))
            id_ = _change_id(reader, context.clock.now(), told, {})
            tell(context, visit.name, [_changed_call(visit, id_, [], withdrawn)], reader.identifier, asked)
        taken = Taken(faults=faults)
        return _centre_page(request, context, visit, reader, answers, taken, done=False, told=told, status=422)
    values = {trait: one.value for trait, one in checked.items()}
    _record(request, context, visit, reader, told, values, withdrawn)
    return _centre_page(request, context, visit, reader, {}, Taken(), done=True, told=told)


def _withdraw(context: WebContext, visit: Visit, reader: Reader, told: Mapping[str, list[str]]) -> list[str]:
    """Withdraw in Records, which binds the gate, each purpose whose box is no longer ticked; which they were."""
    now, form, boxes = context.clock.now(), visit.form, told.get("purpose", [])
    granted = _granted(context, form, reader)
    withdrawn = [
        Consent(
            address_hash=reader.address["hash"],
            purpose=one.purpose,
            granted=False,
            at=now,
            source=form_origin(visit.name),
            wording=one.wording,
        )
        for one in form.purposes
        if one.purpose in granted and one.purpose not in boxes
    ]
    context.records.consents.record(withdrawn)
    context.count(form_origin(visit.name), "unsubscribes", len(withdrawn))
    return [one.purpose for one in withdrawn]


def _change_id(reader: Reader, now: Instant, told: Mapping[str, list[str]], values: Mapping[str, Any]) -> str:
    boxes, tags = sorted(set(told.get("purpose", []))), sorted(told.get("tag", []))
    return hashlib.sha256(msgspec.json.encode([reader.message.id, now, boxes, tags, values])).hexdigest()[:32]


def _changed_call(visit: Visit, id_: str, granted: Sequence[str], withdrawn: Sequence[str]) -> dict[str, Any]:
    changed = {"form": visit.name, "granted": list(granted), "withdrawn": list(withdrawn)}
    return track_call(f"{id_}:changed", "reader", PREFERENCES_CHANGED, changed)


def _record(
    request: Request,
    context: WebContext,
    visit: Visit,
    reader: Reader,
    told: Mapping[str, list[str]],
    values: Mapping[str, Any],
    withdrawn: Sequence[str],
) -> None:
    """What else was changed, and that `withdrawn` are: Records first, which binds the gate; then the log."""
    now, form = context.clock.now(), visit.form
    boxes, tags = set(told.get("purpose", [])), told.get("tag", [])
    granted = _granted(context, form, reader)
    asked = Asked(answers=values, **seen_of(request))
    added = [(one.purpose, one.wording) for one in form.purposes if one.purpose in boxes - granted]
    id_ = _change_id(reader, now, told, values)
    if added:
        _keep(context, visit, reader, added, asked, id_, now)
    answer = told_by(form.fields, values)
    own = {tag for tag, _ in form.tags()} | {tag for one in context.project.forms.values() for tag, _ in one.tags()}
    chosen = [*(tag for tag in tags if tag in own), *answer.added]
    left, at = readers_tags(context, reader, chosen, own)
    calls = [
        identify_call(f"{id_}:identify", "reader", {**answer.traits, TAGS: left}, at),
        _changed_call(visit, id_, [purpose for purpose, _ in added], withdrawn),
    ]
    tell(context, visit.name, calls, reader.identifier, asked)


def _keep(
    context: WebContext,
    visit: Visit,
    reader: Reader,
    added: list[tuple[str, str]],
    asked: Asked,
    opt_in_id: str,
    now: Instant,
) -> None:
    current = context.records.definitions.current()
    opt_in = OptIn(
        id=opt_in_id,
        form=visit.name,
        address_hash=reader.address["hash"],
        address=reader.address,
        purposes=added,
        identifier=f"{reader.identifier.kind}:{reader.identifier.value}",
        asked_at=now,
        expires_at=now,
        asked_ip=sealed_ip(context, visit.form, asked.ip),
        asked_agent=asked.agent,
        wording_version=current.version if current else 0,
        message_id=reader.message.id,
        confirmed_at=now,
    )
    try:
        context.records.opt_ins.keep(opt_in, consents_of(opt_in, now))
    except Conflict:
        return  # the same change sent twice
    context.count(form_origin(visit.name), "consents", len(added))


def _centre(context: WebContext, token: str, accepted: str) -> tuple[Visit, Reader] | None:
    try:
        link = links_of(context).read_preferences(token)
    except (InvalidInput, KeyError):
        return None
    form, reader = context.project.forms.get(link.form), reader_of(context, link.message_id)
    if form is None or form.kind != "preferences" or reader is None:
        return None
    return Visit(name=link.form, form=spoken(form, accepted), reader=reader), reader


def _granted(context: WebContext, form: FormDefinition, reader: Reader) -> set[str]:
    address_hash = reader.address["hash"]
    return {one.purpose for one in form.purposes if context.records.consents.granted([address_hash], one.purpose)}


def _centre_page(
    request: Request,
    context: WebContext,
    visit: Visit,
    reader: Reader,
    values: Mapping[str, Any],
    taken: Taken,
    *,
    done: bool,
    told: Mapping[str, list[str]] | None = None,
    status: int = 200,
) -> Response:
    facts = facts_of(context, reader)
    present = facts.traits[TAGS].value if facts and TAGS in facts.traits else []
    tags = dict(visit.form.tags())
    for one in context.project.forms.values():
        tags = {**dict(spoken(one, visit.form.language).tags()), **tags}
    chosen = {
        one.trait: str(facts.traits[one.trait].value)
        for one in visit.form.fields
        if facts and one.trait in facts.traits and one.type in ("choice", "rating")
    }
    page = {
        "fields": [shown_field(visit.form, one) for one in visit.form.fields],
        "values": {**chosen, **values},
        "faults": taken.faults,
        "suggestions": {},
        "granted": told.get("purpose", []) if told and not done else _granted(context, visit.form, reader),
        "tags": list(tags.items()),
        "have": told.get("tag", []) if told is not None else present if isinstance(present, list) else [],
        "done": done,
    }
    return form_page(request, visit.form, "form_preferences.html", page, status)
