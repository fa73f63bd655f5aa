"""The door: the Segment-compatible API. 200 only after the log has the events durably; an answer for every item.

Plain Starlette routes and msgspec rather than models and dependencies: this path carries nearly all requests.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import Events, Items
from mailwright.ingest.consents import parse_consents, parse_suppressions
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import Refusal
from mailwright.ingest.segment import PATHS, Source, parse_request
from mailwright.web.bodies import read_body
from mailwright.web.context import WebContext
from mailwright.web.errors import NotSignedIn, Refused, error_body, error_headers, status_of
from mailwright.web.keys import write_key

_CORS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
"""Browser keys are public and cookies play no part here, so any page may send."""

_PREFLIGHT = _CORS | {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}
_encoder = msgspec.json.Encoder()


class _Keyed(msgspec.Struct, rename="camel"):
    """The one field of a body that is looked at before it is parsed, when no header brings the key."""

    write_key: str | None = None


_keyed = msgspec.json.Decoder(_Keyed)


def door_routes() -> list[Route]:
    """All routes of the door."""
    calls = [*sorted(PATHS), *_SERVER_CALLS]
    return [Route(f"/v1/{call}", _Call(call), methods=["POST", "OPTIONS"]) for call in calls]


class _Call:
    """The endpoint of one call, as an ASGI application."""

    def __init__(self, call: str) -> None:
        self._call = call

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        context: WebContext = request.app.state.context
        try:
            body = await read_body(request, context.settings.limits.request_bytes)
            return await run_in_threadpool(_take, context, self._call, request, body)
        except MailwrightError as error:
            return _json(error_body(error), status_of(error), error_headers(error))


def _take(context: WebContext, call: str, request: Request, body: bytes) -> Response:
    source = _source(context, request, body)
    if call in _SERVER_CALLS:
        return _take_from_server(context, source, call, body)
    parsed = parse_request(
        call,
        body,
        source=source,
        received_at=context.clock.now(),
        seal=context.sealer,
        new_id=_new_id,
        history=_declared_history(call, request),
        plan=context.project.tracking_plan,
        context=_seen_by_the_door(source, request),
        limits=context.settings.limits,
    )
    if parsed.events:
        context.log.append([Events(list(parsed.events))], context.clock.now())
    return _outcome(len(parsed.events), parsed.refused, parsed.warned)


def _source(context: WebContext, request: Request, body: bytes) -> Source:
    key = write_key(request.headers.get("authorization")) or _body_key(body)
    source = context.sources.get(key) if key else None
    if source is None:
        raise NotSignedIn(
            "key.unknown" if key else "key.missing",
            "no source has this write key" if key else "the request has no write key",
            "send it as the user name of Basic auth, as a bearer token, or as writeKey in the body",
        )
    return source


def _body_key(body: bytes) -> str | None:
    try:
        return _keyed.decode(body).write_key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _declared_history(call: str, request: Request) -> bool:
    declared = request.query_params.get("history", "false") == "true"
    if declared and call != "import":
        raise InvalidInput.one("ingest.history_call", "only /v1/import takes history=true", hint="use /v1/import")
    return declared


def _seen_by_the_door(source: Source, request: Request) -> dict[str, Any]:
    """A browser's own address and program; of a server's request they would be the server's, not the person's."""
    if source.kind != "browser":
        return {}
    agent = request.headers.get("user-agent")
    return ({"ip": request.client.host} if request.client else {}) | ({"userAgent": agent} if agent else {})


def _new_id() -> str:
    return f"mailwright-{uuid.uuid4()}"


def _outcome(accepted: int, refused: Sequence[Refusal], warned: Sequence[Refusal] = ()) -> Response:
    """Some bad: 200, since the good ones are in. All bad: 400, since sending them again would not help."""
    answer: dict[str, Any] = {"accepted": accepted, "refused": [_told(one) for one in refused]}
    if warned:
        answer["warned"] = [_told(one) for one in warned]
    if refused and not accepted:
        message = f"none of {len(refused)} items could be taken; the first: {refused[0].field} {refused[0].reason}"
        answer |= error_body(MailwrightError("ingest.refused", message, "see `refused` for each item"))
        return _json(answer, 400)
    return _json(answer, 200)


def _told(one: Refusal) -> dict[str, Any]:
    return {"index": one.index, "field": one.field, "reason": one.reason}


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(_encoder.encode(value), status, _CORS | (headers or {}), "application/json")


# --- what only a server key may tell: catalog, consents, suppressions -------------------------------------------------


def _take_from_server(context: WebContext, source: Source, call: str, body: bytes) -> Response:
    if source.kind != "server":
        raise Refused("key.server", f"only a server key may send {call}", "use an sk_ key")
    return _SERVER_CALLS[call](context, body)


def _take_items(context: WebContext, body: bytes) -> Response:
    now, limits = context.clock.now(), context.settings.limits
    parsed = parse_items(body, catalogs=context.project.catalogs, received_at=now, limits=limits)
    if parsed.items:
        context.log.append([Items(list(parsed.items))], context.clock.now())
    return _outcome(len(parsed.items), parsed.refused)


def _take_consents(context: WebContext, body: bytes) -> Response:
    """Into Records, which binds the gate at once; its outbox brings the rows to the log."""
    now, limits = context.clock.now(), context.settings.limits
    parsed = parse_consents(body, hash_address=context.sealer.hash_address, received_at=now, limits=limits)
    context.records.consents.record(parsed.consents)
    return _outcome(len(parsed.consents), parsed.refused)


def _take_suppressions(context: WebContext, body: bytes) -> Response:
    parsed = parse_suppressions(body, hash_address=context.sealer.hash_address, limits=context.settings.limits)
    reasons = {one.address_hash: one.reason for one in reversed(parsed.suppressions)}  # of two the first counts
    context.records.consents.suppress(reasons, context.clock.now())
    return _outcome(len(parsed.suppressions), parsed.refused)


_SERVER_CALLS: Mapping[str, Callable[[WebContext, bytes], Response]] = {
    "items": _take_items,
    "consents": _take_consents,
    "suppressions": _take_suppressions,
}
