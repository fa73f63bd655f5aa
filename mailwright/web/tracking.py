"""Opens, clicks and unsubscribes, told by signed links. What happened becomes an event in the log, once.

Nothing here needs a session, and an unknown or altered link tells nobody anything: a pixel is a pixel all the same, a
click or an unsubscribe ends on a neutral page.
"""

from __future__ import annotations

import logging
import secrets
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import NOBODY, Event, Events, Identifier
from mailwright.core.happenings import OUR_SOURCE
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.messages import Message
from mailwright.core.ports import Consent
from mailwright.delivery.links import MailLinks, Unsubscribing
from mailwright.web.context import WebContext
from mailwright.web.sessions import FORM_BYTES
from mailwright.web.templating import page_response

router = APIRouter(tags=["Links in mail"])
_log = logging.getLogger(__name__)

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of one pixel."""

SAME_OPEN_MICROS = MINUTE
"""Opens of one mail within the same minute are one: mail programs fetch a pixel several times."""

PARAMETER = "mw_click"
"""In the address of a page of the shop's own: a token that joins the visit to the mail's person, see `visits`."""

VISIT_MICROS = 10 * MINUTE
"""How long such a token is good. Who agrees to be known later than that is not joined by this click."""

WORDING = "I do not want these mails any more."

_MACHINES = ("bot", "crawler", "spider", "preview", "scanner", "barracuda", "proofpoint", "mimecast", "safelinks")
"""Parts of the names of programs that open mails and links by themselves."""


@router.api_route("/o/{token}.gif", methods=["GET", "HEAD"])
def opened(request: Request, token: str) -> Response:
    """The pixel. HEAD does not count."""
    context: WebContext = request.app.state.context
    if request.method == "GET" and (link := _read(_links(context).read_open, token)):
        now = context.clock.now()
        _tell(request, link.message_id, "Email Opened", f"open:{now // SAME_OPEN_MICROS}", now, {})
    headers = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(PIXEL, media_type="image/gif", headers=headers)


@router.api_route("/c/{token}", methods=["GET", "HEAD"])
def clicked(request: Request, token: str) -> Response:
    """On to where the link leads: the destination comes out of the signed token, never from the request."""
    context: WebContext = request.app.state.context
    link = _read(_links(context).read_click, token)
    if link is None or not link.url.startswith(("http://", "https://")):
        return _neutral(request)
    url = link.url
    if request.method == "GET":
        if not _by_machine(request):
            url = _with_visit(context, url, link.message_id)
        now = context.clock.now()
        suffix = f"click:{link.place}:{now // SAME_OPEN_MICROS}"
        _tell(request, link.message_id, "Email Link Clicked", suffix, now, {"url": link.url, "link": link.place})
    return RedirectResponse(url, 302)


def _with_visit(context: WebContext, url: str, message_id: str) -> str:
    """`url` with a token for the visit, if it is a page of the shop's own; any other as it is."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if not any(host == own or host.endswith("." + own) for own in context.settings.shop_domains):
        return url
    if not _is_somebodys(context, message_id):
        return url
    expires_at = Instant(context.lease_clock.now() + VISIT_MICROS)
    token = _links(context).visit(message_id, secrets.token_urlsafe(12), expires_at)
    address, hash_sign, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{PARAMETER}={token}{hash_sign}{fragment}"


def _is_somebodys(context: WebContext, message_id: str) -> bool:
    """Whether a mail was written to a person; False where nobody can tell.

    A confirmation mail is not: whoever typed the address into a form may be anybody, and a click on it must not make
    the reader's browser theirs.
    """
    try:
        message = context.records.messages.by_id(message_id)
    except MailwrightError:
        return False
    return message is not None and message.person != NOBODY


@router.get("/u/{token}")
def ask_unsubscribe(request: Request, token: str) -> Response:
    """A page with one button. Opening the link changes nothing: scanners open links."""
    context: WebContext = request.app.state.context
    link = _read(_links(context).read_unsubscribe, token)
    if link is None:
        return _neutral(request)
    return page_response(request, "unsubscribe.html", {"done": False, "purpose": link.purpose, "wording": WORDING})


@router.post("/u/{token}", max_body_size=FORM_BYTES)
def unsubscribe(request: Request, token: str, form: Annotated[str, Form(alias="from")] = "") -> Response:
    """Withdraw the consent at once: by the page's button, or by a mail program's one-click POST (RFC 8058).

    No cookie, no origin check, no redirect. Doing it twice is no error and makes no second event.
    """
    context: WebContext = request.app.state.context
    link = _read(_links(context).read_unsubscribe, token)
    if link is None:
        return _neutral(request)
    by_page = form == "page"
    now = context.clock.now()
    if _withdraw(context, link, "form" if by_page else "one-click", WORDING if by_page else "", now):
        context.count(OUR_SOURCE, "unsubscribes", 1)
    _tell(request, link.message_id, "Unsubscribed", "unsubscribe", now, {"purpose": link.purpose})
    return page_response(request, "unsubscribe.html", {"done": True, "purpose": link.purpose, "wording": WORDING})


def _withdraw(context: WebContext, link: Unsubscribing, source: str, wording: str, now: Instant) -> bool:
    """Whether there was a consent to withdraw."""
    if not context.records.consents.granted([link.address_hash], link.purpose):
        return False
    row = Consent(
        address_hash=link.address_hash, purpose=link.purpose, granted=False, at=now, source=source, wording=wording
    )
    context.records.consents.record([row])
    return True


def _links(context: WebContext) -> MailLinks:
    return MailLinks(context.tokens, context.settings.base_url)


def _read(read: Any, token: str) -> Any:
    try:
        return read(token)
    except (InvalidInput, KeyError):
        return None


def _neutral(request: Request) -> Response:
    return page_response(request, "neutral.html", {}, status=404)


def _tell(request: Request, message_id: str, name: str, suffix: str, now: Instant, properties: dict[str, Any]) -> None:
    """Append the event. A log that does not take it now must not keep a reader from their page: it is only said."""
    context: WebContext = request.app.state.context
    try:
        message = context.records.messages.by_id(message_id)
        event = (
            mail_event(message, name, suffix, now, {**properties, "machine": _by_machine(request)}) if message else None
        )
        if event:
            context.log.append([Events([event])], now)
            context.count(OUR_SOURCE, "events", 1)
    except MailwrightError as error:
        _log.warning("%s of mail %s was not recorded: %s", name, message_id, error.message)


def mail_event(message: Message, name: str, suffix: str, now: Instant, properties: dict[str, Any]) -> Event | None:
    """The event of a reaction, on the person's own first identifier as the decision record keeps it; None without."""
    kind, _, value = str((message.decision or {}).get("first_identifier") or "").partition(":")
    if not value:
        return None
    told = {
        "message_id": message.id,
        "origin": message.origin,
        "step": message.step,
        "experiment": message.experiment,
        "variant": message.variant,
        **properties,
    }
    return Event(
        message_id=f"{message.id}:{suffix}",
        source=OUR_SOURCE,
        type="track",
        name=name,
        stamp_at=now,
        received_at=now,
        known_at=now,
        identifiers=[Identifier(kind, value)],
        properties={key: each for key, each in told.items() if each is not None},
    )


def _by_machine(request: Request) -> bool:
    agent = request.headers.get("user-agent", "").lower()
    prefetch = "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))
    return prefetch or any(part in agent for part in _MACHINES)
