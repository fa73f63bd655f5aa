"""Errors to HTTP: the only place where status codes of errors are chosen, and the one JSON shape they have.

``{"error": {"code": "...", "message": "...", "hint": "...", "issues": [{"path": "...", "message": "..."}]}}``; an issue
in a rule's text has its ``span`` (1-based line and column, length) and ``caret``, the line with the place marked.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from mailwright.core.errors import Conflict, InvalidInput, Issue, MailwrightError, NotFound, Transient
from mailwright.runtime.webhooks import NotGenuine
from mailwright.web.templating import page_response

RETRY_AFTER_S = 5
"""What a client is told to wait when the log or the engine does not answer; a full disk is looked at this often."""


class NotSignedIn(MailwrightError):
    """Nobody is signed in, or the session has ended."""


class Refused(MailwrightError):
    """The request was understood and is not allowed."""


class TooMany(MailwrightError):
    """The client must slow down."""


class Unsupported(MailwrightError):
    """The request body is in a form that is not taken."""


class TooLarge(MailwrightError):
    """The request body is larger than the door takes."""


class UnreadableRule(InvalidInput):
    """The request was read; the rule in it was not."""


class TooSlow(MailwrightError):
    """The request body did not come in time."""


_STATUS: tuple[tuple[type[MailwrightError], int], ...] = (
    (NotSignedIn, 401),
    (NotGenuine, 401),
    (Refused, 403),
    (TooMany, 429),
    (TooSlow, 408),
    (TooLarge, 413),
    (Unsupported, 415),
    (UnreadableRule, 422),
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Transient, 503),
)


_STATUS_OF_CODE = {"ingest.too_large": 413, "ingest.too_many": 413, "ingest.history": 403}


def status_of(error: MailwrightError) -> int:
    """The status code of an error; 500 for what no client can mend."""
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_body(error: MailwrightError) -> dict[str, Any]:
    """The JSON shape of an error."""
    message, hint = error.message, error.hint
    if isinstance(error, InvalidInput) and len(error.issues) == 1 and error.issues[0].span is None:
        (issue,) = error.issues  # its hint stands in a field of its own
        message = f"{issue.path}: {issue.message}" if issue.path else issue.message
        hint = hint or issue.hint
    body: dict[str, Any] = {"code": error.code, "message": message}
    if hint:
        body["hint"] = hint
    if isinstance(error, InvalidInput):
        body["issues"] = [_issue(issue) for issue in error.issues]
    return {"error": body}


def _issue(issue: Issue) -> dict[str, Any]:
    """One fault; with its place in a text that somebody wrote, a ``caret`` text shows that place."""
    shown: dict[str, Any] = {"path": issue.path, "message": issue.message, "hint": issue.hint}
    if issue.span is not None:
        shown["span"] = {"line": issue.span.line, "column": issue.span.column, "length": issue.span.length}
        shown["caret"] = caret(issue)
    return shown


def caret(issue: Issue) -> str:
    """The line of an issue's source with ``^`` under what is wrong; empty without a place."""
    if issue.span is None or not issue.source:
        return ""
    rows = issue.source.splitlines() or [""]
    row = rows[min(issue.span.line, len(rows)) - 1]
    before = "".join("\t" if letter == "\t" else " " for letter in row[: issue.span.column - 1])
    length = max(1, min(issue.span.length, len(row) - issue.span.column + 1))
    return f"{row}\n{before}{'^' * length}"


def error_headers(error: MailwrightError) -> dict[str, str]:
    """Headers that belong to an error's status."""
    match status_of(error):
        case 401:
            return {"WWW-Authenticate": 'Basic realm="Mailwright", charset="UTF-8"'}
        case 408:
            return {"Connection": "close"}
        case 429 | 503:
            return {"Retry-After": str(RETRY_AFTER_S)}
        case _:
            return {}


def wants_json(request: Request) -> bool:
    """Whether an answer goes to a program: everything under /v1, webhooks and the health check."""
    return request.url.path.startswith(("/v1/", "/w/")) or request.url.path == "/healthz"


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to a Mailwright error: JSON for programs, a page or the way to the login for people."""
    assert isinstance(error, MailwrightError)  # noqa: S101 registered for these alone
    status = status_of(error)
    if wants_json(request):
        return JSONResponse(error_body(error), status, error_headers(error))
    if status == 401:
        return _to_login(request)
    values = {"error": {"hint": "", **error_body(error)["error"]}, "status": status}
    response = page_response(request, "error.html", values, status=status)
    response.headers.update(error_headers(error))
    return response


def _to_login(request: Request) -> Response:
    """A page goes to the login; a part of a page must take its whole page there, or the login would be put into it."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login", 303)


def _parameters(error: Exception) -> str:
    """Which parameters are wrong and why, as far as a check of them failed; values are not repeated."""
    if not isinstance(error, RequestValidationError):
        return ""
    told = [f"{one['loc'][-1]}: {one['msg'][:1].lower()}{one['msg'][1:]}" for one in error.errors() if one.get("loc")]
    return f" ({'; '.join(told)})" if told else ""


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The same for what the framework refuses: unknown path, wrong method, malformed parameter."""
    status = int(getattr(error, "status_code", 400))
    known = {404: "there is no such page", 405: "this address does not take that method"}
    message = known.get(status, "the address or a parameter in it is malformed")
    shaped = MailwrightError(f"http.{status}", message + _parameters(error))
    headers = getattr(error, "headers", None) or {}
    if wants_json(request):
        return JSONResponse(error_body(shaped), status, headers)
    response = page_response(request, "error.html", {"error": shaped, "status": status}, status=status)
    response.headers.update(headers)
    return response
