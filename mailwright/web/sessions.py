"""Login by one-time link, sessions, logout.

A link's page only shows a button: programs that open every link of a mail must not use it up. Links and sessions are
stored as SHA-256 of their token, so a copy of the database opens nothing. Both live in system time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import Clock, UserRecords
from mailwright.web.clients import network_address, network_of
from mailwright.web.context import WebContext
from mailwright.web.errors import NotSignedIn, Refused, TooMany
from mailwright.web.templating import page_response

TOKEN_BYTES = 32
LINK_MICROS = 15 * MINUTE
FORM_BYTES = 4096
_MOST_ADDRESSES = 10_000

router = APIRouter(tags=["Signing in"])


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_login_link(users: UserRecords, clock: Clock, base_url: str, user: str, valid_micros: int = LINK_MICROS) -> str:
    """Make a one-time link for `user`, to be printed or mailed; `clock` is system time."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    users.add_login_link(token_hash(token), user, Instant(clock.now() + valid_micros))
    return f"{base_url}/login/{token}"


def cookie_name(context: WebContext) -> str:
    """Browsers hold a ``__Host-`` cookie to https, this host and path /."""
    return "__Host-mailwright" if context.settings.secure_cookies else "mailwright"


def csrf_token(session: str) -> str:
    """The value that a form of this session must carry; tells nothing about the session's own token."""
    return hashlib.sha256(b"csrf\0" + session.encode()).hexdigest()[:32]


def signed_in(request: HTTPConnection) -> str:
    """The user of the request's session, for pages and API alike.

    Raises:
        NotSignedIn: If there is none.
    """
    context: WebContext = request.app.state.context
    session = request.cookies.get(cookie_name(context))
    user = context.records.users.session_user(token_hash(session), context.lease_clock.now()) if session else None
    if not user or not session:
        raise NotSignedIn("login.needed", "sign in to see this", "run `mailwright login` to get a link")
    request.state.user = user
    request.state.csrf = csrf_token(session)
    return user


class Throttle:
    """At most `limit` calls per client and minute, see `network_of`, counted in fixed minutes of system time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    def allow(self, address: str, now: Instant, limit: int | None = None) -> bool:
        """Count a call and tell whether it is within the limit, or within `limit` if that is given."""
        key = (network_of(address), now // MINUTE)
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        while len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        return count <= (self._limit if limit is None else limit)


def throttled(request: Request) -> None:
    """Refuse a client that tries too many login links.

    Raises:
        TooMany: Above `WebSettings.login_tries_per_minute`.
    """
    context: WebContext = request.app.state.context
    throttle: Throttle = request.app.state.throttle
    if not throttle.allow(network_address(request), context.lease_clock.now()):
        raise TooMany("login.throttled", "too many tries from this address", "wait a minute")


@router.get("/login")
def ask_for_link(request: Request) -> Response:
    """What to do without a link."""
    return page_response(request, "login.html", {"token": None})


@router.get("/login/{token}", dependencies=[Depends(throttled)])
def show_button(request: Request, token: str) -> Response:
    """The page of a link; uses nothing up."""
    return page_response(request, "login.html", {"token": token})


@router.post("/login/{token}", dependencies=[Depends(throttled)])
def use_link(request: Request, token: str) -> Response:
    """Use the link up and open a session."""
    context: WebContext = request.app.state.context
    now = context.lease_clock.now()
    user = context.records.users.use_login_link(token_hash(token), now)
    if user is None:
        return page_response(request, "login.html", {"token": None, "refused": True}, status=403)
    session = secrets.token_urlsafe(TOKEN_BYTES)
    lasts = context.settings.session_micros
    context.records.users.open_session(token_hash(session), user, Instant(now + lasts))
    response = RedirectResponse("/", 303)
    response.set_cookie(
        cookie_name(context),
        session,
        max_age=lasts // 1_000_000,
        path="/",
        httponly=True,
        samesite="lax",
        secure=context.settings.secure_cookies,
    )
    return response


def checked_form(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    """Refuse a form that was not made for this session.

    Raises:
        Refused: If its token is another's or missing.
    """
    if not hmac.compare_digest(csrf, request.state.csrf):
        raise Refused("request.form", "this form belongs to another session", "reload the page and try again")


@router.post("/logout", max_body_size=FORM_BYTES, dependencies=[Depends(signed_in), Depends(checked_form)])
def logout(request: Request) -> Response:
    """End the session."""
    context: WebContext = request.app.state.context
    context.records.users.close_session(token_hash(request.cookies[cookie_name(context)]))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(cookie_name(context), path="/", secure=context.settings.secure_cookies, httponly=True)
    return response
