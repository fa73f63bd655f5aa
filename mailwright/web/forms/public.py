"""Forms for everybody: the hosted page, and the API that the script of other sites calls. No cookies, no sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.events import Identifier
from mailwright.ingest.forms.checks import check_field
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.forms.languages import spoken, texts_of
from mailwright.ingest.forms.submission import SEEN, STARTED, track_call
from mailwright.web.bodies import read_body
from mailwright.web.clients import network_address
from mailwright.web.context import WebContext
from mailwright.web.described import Answer, ApiRoute, Told, also, json_body
from mailwright.web.errors import Refused, TooMany
from mailwright.web.forms.taking import TRAP, Asked, Taken, means_of, seen_of, take, tell
from mailwright.web.forms.visit import (
    ANONYMOUS,
    Shown,
    Visit,
    form_of,
    issue,
    read_issue,
    script_texts,
    shown,
    shown_field,
    shown_language,
    visit_of,
)
from mailwright.web.pages.shell import Context
from mailwright.web.security import PAGE_POLICY
from mailwright.web.sessions import Throttle
from mailwright.web.templating import page_response

router = APIRouter(tags=["Forms"], route_class=ApiRoute)

T = TypeVar("T")

BODY_BYTES = 65_536
FORM_KIND = "mailwright_form"
"""Views by browsers that have no anonymous id belong to the form itself: nobody becomes a person by looking."""

_EVENTS = {"seen": SEEN, "started": STARTED}
_CORS_AGE = {"Access-Control-Max-Age": "86400", "Access-Control-Allow-Methods": "GET, POST, OPTIONS"}

Name = Annotated[str, Path(max_length=80)]
Token = Annotated[str, Query(max_length=4096)]


class Sent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/forms/NAME``."""

    issued: str = ""
    answers: dict[str, Any] = {}
    purposes: list[str] = []
    trap: str = ""
    visitor: str = ""
    anonymous: str = ""
    link: str = ""
    page: str = ""


class OneAnswer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/forms/NAME/check``."""

    trait: str
    value: Any = None
    language: str = ""
    answers: dict[str, Any] = {}


class Looked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/forms/NAME/event``."""

    event: str
    issued: str
    anonymous: str = ""


class Thanks(Told):
    """What happens next.

    Attributes:
        state: ``confirm`` if a mail asks for confirmation now, else ``thanks``.
        redirect: Where to go; empty: nowhere.
        visitor: A token for the browser to keep.
    """

    state: Literal["confirm", "thanks"]
    text: str
    redirect: str
    visitor: str


class FormFaults(Told):
    """Trait, ``purpose:NAME`` or nothing (the form itself) -> what is wrong; and what was probably meant."""

    faults: dict[str, str]
    suggestions: dict[str, str]


class AnswerChecked(Told):
    """What is wrong with an answer, what was probably meant, and what may be a slip; empty where there is nothing."""

    fault: str
    suggestion: str
    warning: str


def _form_body(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    return json_body(kind, "form.body", limit_bytes=BODY_BYTES, hint='send JSON such as {"answers": {...}}')


# --- the hosted page -------------------------------------------------------------------------------------------------


@router.get("/f/{name}")
def hosted(request: Request, context: Context, name: Name, t: Token = "") -> Response:
    """A form on a page of its own; `t` is the signed link of a mail. Works without JavaScript."""
    visit = visit_of(context, name, languages_of(request), link=t)
    if visit.form.kind == "preferences":
        raise NotFound("form.unknown", f"there is no form {name!r}")
    return _page(request, context, visit, t, {}, Taken())


@router.post("/f/{name}")
async def send_hosted(request: Request, context: Context, name: Name, t: Token = "") -> Response:
    """Take what the hosted page sends without JavaScript: thanks, or the page again with what is wrong."""
    body = await read_body(request, BODY_BYTES)
    return await run_in_threadpool(_take_hosted, request, context, name, t, body)


def _take_hosted(request: Request, context: WebContext, name: str, t: str, body: bytes) -> Response:
    told = urlencoded(body)
    issued = "".join(told.get("issued", [])[:1])
    visit = visit_of(context, name, shown_language(context, issued) or languages_of(request), link=t)
    answers = answers_of(visit.form, told)
    asked = Asked(
        answers=answers,
        boxes=told.get("purpose", []),
        trap="".join(told.get(TRAP, [])),
        issued=issued,
        **seen_of(request),
    )
    throttle(request, context, visit)
    taken = take(context, visit, asked)
    if taken.faults:
        return _page(request, context, visit, t, {**answers, "purpose": told.get("purpose", [])}, taken, status=422)
    if visit.form.redirect and not taken.confirm:
        response: Response = RedirectResponse(visit.form.redirect, 303)
    else:
        response = form_page(request, visit.form, "form_done.html", {"confirm": taken.confirm})
    return _allowing(response, visit.form)


def _page(
    request: Request,
    context: WebContext,
    visit: Visit,
    link: str,
    values: Mapping[str, Any],
    taken: Taken,
    status: int = 200,
) -> Response:
    page = {
        "name": visit.name,
        "script_texts": msgspec.json.encode(script_texts(visit.form)).decode(),
        "fields": [shown_field(visit.form, field) for field in visit.fields],
        "issued": issue(context, visit.name, visit.form.language),
        "link": link,
        "values": values,
        "faults": taken.faults,
        "suggestions": taken.suggestions,
        "trap": TRAP,
    }
    return _allowing(form_page(request, visit.form, "form.html", page, status), visit.form)


def form_page(
    request: Request, form: FormDefinition, template: str, values: Mapping[str, Any], status: int = 200
) -> Response:
    """A page of a form, in its language."""
    response = page_response(request, template, {"form": form, "say": texts_of(form), **values}, status)
    response.headers["Content-Language"] = form.language
    return response


def languages_of(request: Request) -> str:
    """What languages the browser likes."""
    return request.headers.get("accept-language", "")


def _allowing(response: Response, form: FormDefinition) -> Response:
    """Browsers follow a form's redirect only to where the page's policy lets forms lead."""
    hosts = " ".join(f"https://{host} http://{host}" for host in form.domains if _is_host(host))
    response.headers["Content-Security-Policy"] = PAGE_POLICY.replace(
        "form-action 'self'", f"form-action 'self' {hosts}"
    )
    return response


def _is_host(text: str) -> bool:
    return all(each.isalnum() or each in "-.:" for each in text)


def urlencoded(body: bytes) -> dict[str, list[str]]:
    """The fields of a form as browsers send it.

    Raises:
        InvalidInput: If it is none.
    """
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=500)
    except ValueError as error:
        raise InvalidInput.one("form.body", "the form was sent in a way that nobody can read") from error


def answers_of(form: FormDefinition, told: Mapping[str, list[str]]) -> dict[str, Any]:
    """Trait -> answer, out of a form as browsers send it."""
    found: dict[str, Any] = {}
    for one in form.fields:
        given = told.get(f"field.{one.trait}")
        if given is not None:
            found[one.trait] = [value for value in given if value] if one.type == "choices" else given[0]
    return found


# --- the API ---------------------------------------------------------------------------------------------------------


@router.options("/v1/forms/{name}")
@router.options("/v1/forms/{name}/check")
@router.options("/v1/forms/{name}/event")
def preflight(request: Request, context: Context, name: Name) -> Response:
    """What a browser asks before another site's page may send."""
    headers = {"Access-Control-Allow-Headers": "Content-Type", **_CORS_AGE}
    return Response(status_code=204, headers=headers | _cors(request, form_of(context, name)))


@router.get("/v1/forms/{name}")
@also(404)
def definition(
    request: Request,
    context: Context,
    name: Name,
    visitor: Token = "",
    anonymous: Token = "",
    link: Token = "",
    lang: Token = "",
) -> Answer[Shown]:
    """The form with the fields to ask now, in the language `lang` or else one that the browser likes.

    Tells nothing about anybody but which fields are still asked.
    """
    visit = visit_of(context, name, lang or languages_of(request), link=link, visitor=visitor, anonymous=anonymous)
    if visit.form.kind == "preferences":
        raise NotFound("form.unknown", f"there is no form {name!r}")
    return _shared(request, visit.form, shown(context, visit))


@router.post("/v1/forms/{name}")
@also(403, 404, 429, {422: FormFaults})
def send(
    request: Request, context: Context, name: Name, sent: Annotated[Sent, Depends(_form_body(Sent))]
) -> Answer[Thanks] | Answer[FormFaults]:
    """Take a submission: 200 with what happens next, or 422 with what is wrong with each field."""
    language = shown_language(context, sent.issued) or languages_of(request)
    visit = visit_of(context, name, language, link=sent.link, visitor=sent.visitor, anonymous=sent.anonymous)
    _check_origin(request, context, visit.form)
    throttle(request, context, visit)
    asked = Asked(
        answers=sent.answers,
        boxes=sent.purposes,
        trap=sent.trap,
        issued=sent.issued,
        page_url=sent.page[:1000] if sent.page.startswith(("http://", "https://")) else "",
        **seen_of(request),
    )
    taken = take(context, visit, asked)
    if taken.faults:
        told = FormFaults(faults=dict(taken.faults), suggestions=dict(taken.suggestions))
        return _shared(request, visit.form, told, 422)
    thanks = Thanks(
        state="confirm" if taken.confirm else "thanks",
        text=texts_of(visit.form)("nearly_done_text") if taken.confirm else visit.form.thanks,
        redirect="" if taken.confirm else visit.form.redirect,
        visitor=taken.visitor,
    )
    return _shared(request, visit.form, thanks)


@router.post("/v1/forms/{name}/check")
@also(404, 429)
def check(
    request: Request, context: Context, name: Name, one: Annotated[OneAnswer, Depends(_form_body(OneAnswer))]
) -> Answer[AnswerChecked]:
    """Check one answer as it is typed: what is wrong, and what was probably meant. Never whether it is known."""
    form = form_of(context, name)
    _limit(request, context, "check", name, form.limits.checks_a_minute)
    field = form.field(one.trait)
    if field is None:
        raise NotFound("form.field", f"the form has no field {one.trait!r}")
    form = spoken(form, one.language or languages_of(request))
    found = check_field(form, field, one.value, one.answers, means_of(context))
    told = AnswerChecked(fault=found.fault, suggestion=found.suggestion, warning=found.warning)
    return _shared(request, form, told)


@router.post("/v1/forms/{name}/event", status_code=204)
@also(404, 429)
def looked(
    request: Request, context: Context, name: Name, told: Annotated[Looked, Depends(_form_body(Looked))]
) -> Answer[None]:
    """Count that a form was seen, or begun, once per time that it was shown."""
    form = form_of(context, name)
    _limit(request, context, "event", name, form.limits.checks_a_minute)
    event = _EVENTS.get(told.event)
    if event is None:
        raise InvalidInput.one("form.event", f"{told.event!r} is no event of a form", hint="send seen or started")
    nonce, _ = read_issue(context, name, told.issued)
    anonymous = told.anonymous if ANONYMOUS.fullmatch(told.anonymous) else ""
    call = track_call(f"{nonce}:{told.event}", anonymous or "nobody", event, {"form": name})
    tell(context, name, [call], None if anonymous else Identifier(FORM_KIND, name))
    return _shared(request, form, None)


# --- limits ----------------------------------------------------------------------------------------------------------


def throttle(request: Request, context: WebContext, visit: Visit) -> None:
    """Refuse a flood.

    Raises:
        TooMany: ``form.throttled``, by address or for the whole form.
    """
    limits = visit.form.limits
    _limit(request, context, "send", visit.name, limits.per_address_a_minute)
    _limit(request, context, "form", visit.name, limits.per_form_a_minute, whole=True)


def _limit(request: Request, context: WebContext, kind: str, name: str, limit: int, *, whole: bool = False) -> None:
    counts: dict[tuple[str, str], Throttle] = request.app.state.form_throttles
    one = counts.setdefault((kind, name), Throttle(limit))
    address = "" if whole else network_address(request)
    if not one.allow(address, context.lease_clock.now(), limit):
        raise TooMany("form.throttled", "too many tries from here", "wait a minute and send it again")


def _check_origin(request: Request, context: WebContext, form: FormDefinition) -> None:
    """A form with declared domains takes nothing from pages elsewhere.

    Raises:
        Refused: ``form.origin``.
    """
    origin = request.headers.get("origin")
    if form.domains and origin and not _allowed_origin(context, form, origin):
        raise Refused("form.origin", "this form is not for that page", "add its host to `domains` of the form")


def _allowed_origin(context: WebContext, form: FormDefinition, origin: str) -> bool:
    parts = urlsplit(origin)
    own = urlsplit(context.settings.base_url).netloc
    return not form.domains or parts.netloc == own or parts.hostname in form.domains or parts.netloc in form.domains


def _shared(request: Request, form: FormDefinition, value: T, status: int = 200) -> Answer[T]:
    """An answer that pages of the form's own sites may read."""
    return Answer(value, status, _cors(request, form))


def _cors(request: Request, form: FormDefinition) -> dict[str, str]:
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    origin = request.headers.get("origin")
    if origin and _allowed_origin(request.app.state.context, form, origin):
        headers |= {"Access-Control-Allow-Origin": origin if form.domains else "*", "Vary": "Origin"}
    return headers
