"""The application: everything that answers HTTP, made from what runtime hands in."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from mailwright.core.errors import MailwrightError
from mailwright.web import (
    api,
    api_accounts,
    api_jobs,
    api_people,
    api_segments,
    api_sources,
    api_transitions,
    client_settings,
    lists,
    oauth,
    openapi,
    posted,
    previews,
    sessions,
    snippet,
    tracking,
    webhooks,
)
from mailwright.web.context import WebContext
from mailwright.web.door import Door, door_routes
from mailwright.web.errors import answer_error, answer_http_error
from mailwright.web.forms import links as form_links
from mailwright.web.forms import public as public_forms
from mailwright.web.pages import (
    accounts,
    data_map,
    definitions,
    forms,
    jobs,
    mails,
    models,
    overview,
    parting,
    people,
    quality,
    segments,
    sources,
    why,
)
from mailwright.web.rule_previews import RulePreviews
from mailwright.web.security import Guard, safe_headers
from mailwright.web.sessions import Throttle
from mailwright.web.tail import Tail
from mailwright.web.templating import STATIC, CachedStatic, make_environment

# Spans and logs of the framework would carry addresses with tokens; and they cost time at the door.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

PAGES = (
    tracking,
    webhooks,
    sessions,
    previews,
    overview,
    segments,
    why,
    people,
    accounts,
    parting,
    jobs,
    mails,
    models,
    quality,
    data_map,
    sources,
    oauth,
    openapi,
    client_settings,
    definitions,
    forms,
)
APIS = (api_people, api_accounts, api, api_segments, api_sources, api_jobs, api_transitions, lists, posted)


def create_app(context: WebContext) -> FastAPI:
    """The door, tracking, login, pages and API over the given ports."""
    app = FastAPI(
        title="Mailwright",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=_NO_TELEMETRY,
        redirect_slashes=False,  # such a redirect would name whatever host the request claims
    )
    app.state.context = context
    app.state.templates = make_environment()
    app.state.tail = Tail(context.engine, context.history)
    app.state.previews = RulePreviews(context.engine, context.folding)
    app.state.form_throttles = {}
    app.state.posting = {}
    app.state.throttle = Throttle(context.settings.login_tries_per_minute)
    add_routes(app)
    app.mount("/static", CachedStatic(directory=STATIC), name="static")
    app.add_exception_handler(MailwrightError, answer_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_http_error)
    app.add_middleware(Guard, secure=context.settings.secure_cookies)
    app.add_middleware(Door, context=context, headers=safe_headers(secure=context.settings.secure_cookies))
    return app


def add_routes(app: FastAPI) -> None:
    """Mount everything that answers."""
    app.router.routes.extend(door_routes())
    for module in (forms, quality, data_map):  # before `api`, whose /v1/people takes any path
        app.include_router(module.api_router)
    for module in (*PAGES, *APIS, snippet, public_forms, form_links):
        app.include_router(module.router)
    app.include_router(api.open_router)
    app.include_router(webhooks.api_router)
    app.include_router(api_transitions.stream_router)
