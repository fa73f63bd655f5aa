"""The door: the Segment-compatible API. 200 only after the log has the events durably; an answer for every item.

A plain ASGI application before the framework, and msgspec: this path carries nearly all requests.
"""

from __future__ import annotations

import logging
import time
import uuid
from asyncio import wrap_future
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import Events, Items
from mailwright.core.instants import Instant
from mailwright.core.sources import CountKind
from mailwright.ingest.consents import parse_consents, parse_suppressions
from mailwright.ingest.context.addresses import Network, client_address
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import Refusal
from mailwright.ingest.segment import PATHS, Held, Parsed, Source, parse_request
from mailwright.runtime.quarantine import Came
from mailwright.runtime.write_keys import REVOKED_WITHIN_S
from mailwright.web.bodies import in_time, read_body
from mailwright.web.bulk import Batch, BulkAnswer, body_lines, check_turn, is_lines, take_lines, with_id
from mailwright.web.context import WebContext
from mailwright.web.errors import NotSignedIn, Refused, TooMany, error_body, error_headers, status_of
from mailwright.web.keys import write_key
from mailwright.web.pixel import CALLS as PIXEL_CALLS
from mailwright.web.pixel import pixel_body, pixel_call
from mailwright.web.sessions import Throttle
from mailwright.web.tracking import PIXEL
from mailwright.web.visits import IN_BODY, with_joins

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Browser keys are public and cookies play no part here, so any page may send."""

_PREFLIGHT = _CORS | {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count",
    "Access-Control-Max-Age": "86400",
}
_INLINE_BYTES = 65_536
"""A body up to this size is parsed on the event loop, which takes at most a few milliseconds."""

MOST_WAITING = 2_000
MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Requests whose bodies are there, and bytes of bodies, that one door holds until they are durable; more come later."""

_RULES_S = 0.1
"""The door looks so often whether the definitions have changed; `WebContext.project` asks Records once a second."""

Headers = list[tuple[bytes, bytes]]
_Answer = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body, headers of its own."""

_encoder = msgspec.json.Encoder()
_log = logging.getLogger(__name__)


class _Keyed(msgspec.Struct, rename="camel"):
    """The one field of a body that is looked at before it is parsed, when no header brings the key."""

    write_key: str | None = None


_keyed = msgspec.json.Decoder(_Keyed)


def door_routes() -> list[Route]:
    """All routes of the door; those of `Door` stand here so that the router knows them and their methods."""
    calls = [*sorted(PATHS), *_SERVER_CALLS]
    routes = [Route(f"/v1/{call}", _unreached, methods=["POST", "OPTIONS"]) for call in calls]
    return [*routes, *(Route(f"/v1/pixel/{call}.gif", _unreached, methods=["GET"]) for call in sorted(PIXEL_CALLS))]


class Door:
    """ASGI middleware that answers the door's own calls itself: nothing of the framework stands before them.

    A body of usual size is parsed on the event loop, which is quicker than to hand it to a thread; a large one, and
    whatever must ask Records (a key seen for the first time, definitions that may have changed), goes to a thread.
    """

    def __init__(self, app: ASGIApp, *, context: WebContext, headers: Headers) -> None:
        """Stand before `app`; `headers` are added to every answer."""
        self._app = app
        self._context = context
        self._calls = {f"/v1/{call}": call for call in [*PATHS, *_SERVER_CALLS]}
        self._headers = [*headers, *_raw(_CORS), (b"content-type", b"application/json")]
        self._pixel_headers = [*headers, *_raw(_CORS), (b"content-type", b"image/gif")]
        self._throttle = Throttle(context.settings.pixels_per_minute)
        self._preflight = [*headers, *_raw(_PREFLIGHT)]
        self._keys: dict[str, Source] = {}
        self._rules: IngestRules | None = None
        self._rules_until = 0.0
        self._keys_until = 0.0
        self._room = _Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on what is not the door's; nobody is answered who hangs up while the body comes."""
        with suppress(ClientDisconnect):  # of whatever reads it: all of the application stands behind the door
            await self._reply(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get(scope["path"]) if scope["type"] == "http" else None
        if call is None or scope["method"] not in ("POST", "OPTIONS"):
            if scope["type"] == "http" and scope["method"] == "GET" and (pixel := pixel_call(scope["path"])):
                await self._pixel(pixel, _Asked(scope), send)
            else:
                await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await _send(send, 204, self._preflight, b"")
        else:
            await self._answer(call, _Asked(scope), receive, send)

    async def _answer(self, call: str, asked: _Asked, receive: Receive, send: Send) -> None:
        place = _Place(self._room)
        try:
            if write_key(asked.authorization) and asked.authorization not in self._keys:
                await run_in_threadpool(self._source, asked, b"")
            if call == "import" and is_lines(asked.header(b"content-type")):
                place.whole()
                answer = await self._take_lines(asked, receive)
                await _send(send, answer.status, self._headers + _raw(answer.headers), _encoder.encode(answer.body))
                return
            body = await asked.body(receive, self._context.settings.limits.request_bytes, place.arrived)
            place.whole()
            status, told, headers = await self._taken(call, asked, body)
        except MailwrightError as error:
            status, told, headers = status_of(error), error_body(error), error_headers(error)
        finally:
            place.leave()
        if status >= 400:  # where the libraries of the shops look for it
            told |= {"code": told["error"]["code"], "message": told["error"]["message"]}
        await _send(send, status, self._headers + _raw(headers), _encoder.encode(told))

    async def _pixel(self, call: str, asked: _Asked, send: Send) -> None:
        """Take what a pixel tells, if it can be taken; the image comes whatever becomes of it."""
        told = pixel_body(asked.scope["query_string"], asked.header(b"referer"))
        asked.authorization = ""  # the key is the address's
        try:
            key = (told or {}).get("writeKey", "")
            source = await run_in_threadpool(self._context.sources.get, key)
            if source is not None and source.kind == "browser" and self._may_send(source, asked):
                await self._taken(call, asked, _encoder.encode(told))
        except MailwrightError as error:
            _log.debug("a pixel was not taken: %s", error.code)
        await _send(send, 200, self._pixel_headers, PIXEL)

    def _may_send(self, source: Source, asked: _Asked) -> bool:
        seen = _seen_by_the_door(source, asked, self._context.settings.trusted_proxies)
        return self._throttle.allow(str(seen.get("ip", "")), self._context.lease_clock.now())

    async def _taken(self, call: str, asked: _Asked, body: bytes) -> _Answer:
        if call == "import":
            await run_in_threadpool(self._check_turn)
        if call in _SERVER_CALLS:
            return await run_in_threadpool(self._take_from_server, call, asked, body)
        parsed = await self._put(call, asked, body)
        return _outcome(len(parsed.events), parsed.refused, parsed.warned, parsed.held)

    async def _put(self, call: str, asked: _Asked, body: bytes) -> Parsed:
        """What a body brings, once its good events are durable."""
        rules, known = self._rules_in_force(), self._keys.get(asked.authorization)
        received_at = self._context.clock.now()
        if known is None or rules is None or len(body) > _INLINE_BYTES:
            source, parsed = await run_in_threadpool(self._parsed_by_thread, call, asked, body, received_at)
        else:
            source, parsed = known, self._parsed(call, asked, body, known, rules, received_at)
        if parsed.held:
            parsed = await run_in_threadpool(self._kept, call, asked, source, parsed, received_at)
        if parsed.events:
            events = list(parsed.events)
            if IN_BODY in body:
                events = await run_in_threadpool(with_joins, self._context, events)
            await wrap_future(self._context.log.put([Events(events)], self._context.clock.now()))
        if self._context.collected is not None:
            self._context.collected.add(source.name, parsed)
        return parsed

    def _kept(self, call: str, asked: _Asked, source: Source, parsed: Parsed, received_at: Instant) -> Parsed:
        """With what is held back kept durably; what finds no room is refused."""
        history = _declared_history(call, asked)
        came = Came(source=source, received_at=received_at, history=history, imported=call == "import")
        return self._context.quarantine.kept(came, parsed)

    async def _take_lines(self, asked: _Asked, receive: Receive) -> BulkAnswer:
        """The bulk door's stream of lines, batch by batch."""
        _server_only(await run_in_threadpool(self._source, asked, b""), "lines to the bulk door")
        await run_in_threadpool(self._check_turn)
        lines = body_lines(Request(asked.scope, receive), self._context.settings.limits.event_bytes)

        async def put(batch: list[bytes]) -> Batch:
            parsed = await self._put("import", asked, b'{"batch":[' + b",".join(batch) + b"]}")
            return Batch(
                n_accepted=len(parsed.events),
                n_held=len(parsed.held),
                n_refused=len(parsed.refused),
                refused=parsed.refused,
                warned=parsed.warned,
            )

        return await take_lines(lines, put, lambda: run_in_threadpool(self._check_turn), with_id)

    def _rules_in_force(self) -> IngestRules | None:
        """The project's rules; None when they are to be looked at again, which one request does for all."""
        now = time.monotonic()
        if now < self._rules_until:
            return self._rules
        if now >= self._keys_until:
            self._keys.clear()
            self._keys_until = now + REVOKED_WITHIN_S
        self._rules_until = now + _RULES_S
        return None

    def _check_turn(self) -> None:
        check_turn(self._context.log, self._context.engine)

    def _parsed_by_thread(self, call: str, asked: _Asked, body: bytes, received_at: Instant) -> tuple[Source, Parsed]:
        source = self._source(asked, body)
        self._rules = rules = self._context.ingest_rules
        return source, self._parsed(call, asked, body, source, rules, received_at)

    def _parsed(
        self, call: str, asked: _Asked, body: bytes, source: Source, rules: IngestRules, received_at: Instant
    ) -> Parsed:
        if call == "import":
            _server_only(source, call)
        return parse_request(
            call,
            body,
            rules,
            source=source,
            received_at=received_at,
            new_id=_new_id,
            history=_declared_history(call, asked),
            keeps_held=True,
            context=_seen_by_the_door(source, asked, self._context.settings.trusted_proxies),
        )

    def _source(self, asked: _Asked, body: bytes) -> Source:
        """Whose key it is. Keys found in a header are remembered by the header, so that it is read once."""
        told = write_key(asked.authorization)
        key = told or _body_key(body)
        source = self._context.sources.get(key) if key else None
        if source is None:
            raise NotSignedIn(
                "key.unknown" if key else "key.missing",
                "no source has this write key" if key else "the request has no write key",
                "send it as the user name of Basic auth, as a bearer token, or as writeKey in the body",
            )
        if told:
            self._keys[asked.authorization] = source
        return source

    def _take_from_server(self, call: str, asked: _Asked, body: bytes) -> _Answer:
        source = self._source(asked, body)
        _server_only(source, call)
        kind, take = _SERVER_CALLS[call]
        accepted, refused = take(self._context, body)
        self._context.count(source.name, kind, accepted, refused)
        return _outcome(accepted, refused)


def _server_only(source: Source, what: str) -> None:
    """What a browser key, which everybody can read in a page, may not send.

    Raises:
        Refused: ``key.server``.
    """
    if source.kind != "server":
        raise Refused("key.server", f"only a server key may send {what}", "use an sk_ key")


class _Room:
    """What a door holds until it is durable."""

    requests = 0
    bytes = 0


class _Place:
    """A request's part of the room. What has not arrived takes none, so that idle connections shut out nobody."""

    def __init__(self, room: _Room) -> None:
        self._room = room
        self._requests = self._bytes = 0

    def arrived(self, n_bytes: int) -> None:
        """Some of the body is there."""
        self._bytes += n_bytes
        self._room.bytes += n_bytes
        self._check()

    def whole(self) -> None:
        """All of the body is there, or is taken while it comes."""
        self._requests += 1
        self._room.requests += 1
        self._check()

    def leave(self) -> None:
        """The request is answered."""
        self._room.requests -= self._requests
        self._room.bytes -= self._bytes

    def _check(self) -> None:
        if self._room.requests > MOST_WAITING or self._room.bytes > MOST_WAITING_BYTES:
            message = f"{self._room.requests:,} requests wait for the disk already"
            raise TooMany("door.busy", message, "send the same again after the time in Retry-After")


class _Asked:
    """What the door reads of a request beside its body."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of two of a name the first counts
        self.authorization = self.header(b"authorization")

    def header(self, name: bytes) -> str:
        """A header's text; empty if it was not sent."""
        return self._headers.get(name, b"").decode("latin-1")

    def forwarded(self) -> str:
        """``X-Forwarded-For``, of several such headers all in their order."""
        told = [value for name, value in self.scope["headers"] if name == b"x-forwarded-for"]
        return b",".join(told).decode("latin-1")

    async def body(self, receive: Receive, limit_bytes: int, arrived: Callable[[int], None]) -> bytes:
        """The decoded body, see `read_body`; one that comes in one piece, which is usual, costs nothing more."""
        async with in_time():
            first = await receive()
        plain = not self._headers.get(b"content-encoding") and first["type"] == "http.request"
        body: bytes = first.get("body", b"")
        if plain and not first.get("more_body", False) and len(body) <= limit_bytes:
            arrived(len(body))
            return body
        waiting = [first]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        return await read_body(Request(self.scope, again), limit_bytes, arrived)


def _unreached(request: Request) -> Response:
    raise AssertionError(f"{request.url.path} is answered by the middleware")


def _body_key(body: bytes) -> str | None:
    try:
        return _keyed.decode(body).write_key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _declared_history(call: str, asked: _Asked) -> bool:
    query = asked.scope["query_string"]
    declared = bool(query) and QueryParams(query).get("history", "false") == "true"
    if declared and call != "import":
        raise InvalidInput.one("ingest.history_call", "only /v1/import takes history=true", hint="use /v1/import")
    return declared


def _seen_by_the_door(source: Source, asked: _Asked, proxies: Sequence[Network]) -> dict[str, Any]:
    """A browser's own address and program; of a server's request they would be the server's, not the person's."""
    if source.kind != "browser":
        return {}
    agent, client = asked.header(b"user-agent"), asked.scope.get("client")
    ip = client_address(client[0], asked.forwarded() if proxies else "", proxies) if client else ""
    return ({"ip": ip} if ip else {}) | ({"userAgent": agent} if agent else {})


def _new_id() -> str:
    return f"mailwright-{uuid.uuid4()}"


def _outcome(
    accepted: int, refused: Sequence[Refusal], warned: Sequence[Refusal] = (), held: Sequence[Held] = ()
) -> _Answer:
    """Some bad: 200, since the good ones are in. All bad: 400, since sending them again would not help.

    What is held back in quarantine is kept durably, so it counts as taken here.
    """
    answer: dict[str, Any] = {"accepted": accepted, "refused": [_told(one) for one in refused]}
    if warned:
        answer["warned"] = [_told(one) for one in warned]
    if held:
        answer["quarantined"] = [_told(why) for one in held for why in one.warned]
    if refused and not accepted and not held:
        message = f"none of {len(refused)} items could be taken; the first: {refused[0].field} {refused[0].reason}"
        answer |= error_body(MailwrightError("ingest.refused", message, "see `refused` for each item"))
        return 400, answer, {}
    return 200, answer, {}


def _told(one: Refusal) -> dict[str, Any]:
    return {"index": one.index, "field": one.field, "reason": one.reason}


def _raw(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = [(b"content-length", str(len(body)).encode())] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": headers + length})
    await send({"type": "http.response.body", "body": body})


# --- what only a server key may tell: catalog, consents, suppressions -------------------------------------------------


_Taken = tuple[int, Sequence[Refusal]]
"""How many were taken, and the faults of those that were not."""


def _take_items(context: WebContext, body: bytes) -> _Taken:
    now, limits = context.clock.now(), context.settings.limits
    parsed = parse_items(body, catalogs=context.project.catalogs, received_at=now, limits=limits)
    if parsed.items:
        context.log.append([Items(list(parsed.items))], context.clock.now())
    return len(parsed.items), parsed.refused


def _take_consents(context: WebContext, body: bytes) -> _Taken:
    """Into Records, which binds the gate at once; its outbox brings the rows to the log."""
    now, limits = context.clock.now(), context.settings.limits
    parsed = parse_consents(body, hash_address=context.sealer.hash_address, received_at=now, limits=limits)
    context.records.consents.record(parsed.consents)
    return len(parsed.consents), parsed.refused


def _take_suppressions(context: WebContext, body: bytes) -> _Taken:
    parsed = parse_suppressions(body, hash_address=context.sealer.hash_address, limits=context.settings.limits)
    reasons = {one.address_hash: one.reason for one in reversed(parsed.suppressions)}  # of two the first counts
    context.records.consents.suppress(reasons, context.clock.now())
    return len(parsed.suppressions), parsed.refused


_SERVER_CALLS: Mapping[str, tuple[CountKind, Callable[[WebContext, bytes], _Taken]]] = {
    "items": ("items", _take_items),
    "consents": ("consents", _take_consents),
    "suppressions": ("suppressions", _take_suppressions),
}
