"""Who enters and leaves segments, for programs that follow it: by long poll or over a WebSocket, resumable.

Every transition has a cursor. Who comes back with the cursor of the last one it has dealt with gets what comes after
it: nothing twice, and nothing left out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from mailwright.core.errors import MailwrightError, NotFound, nearest
from mailwright.core.instants import format_iso
from mailwright.core.transitions import MAX_CURSOR_LENGTH, Cursor, SegmentChange, TransitionPage, parse_cursor
from mailwright.web.access import allowed
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.errors import error_body, error_headers, status_of
from mailwright.web.pages.shell import Context
from mailwright.web.tail import Tail

router = APIRouter(prefix="/v1", tags=["Segments"], dependencies=[Depends(allowed)], route_class=ApiRoute)
stream_router = APIRouter(prefix="/v1")

MOST_ROWS = 5_000
MOST_WAIT_S = 60
SLOW_S = 10.0
"""A reader whose connection takes nothing for so long is cut off."""

FAREWELL_S = 10.0
"""How long the close frame of such a reader may wait to be taken."""

CURSOR_EVERY_S = 15.0
"""How often a reader to whom nothing happens is told a newer cursor."""

AFTER_REFUSAL_S = 0.05
"""Until the connection is gone, uvicorn 0.54 takes a refused handshake for an unfinished one, and complains of it."""

TOO_SLOW = 4008
GOING_AWAY = 1001
BUSY = 1013

After = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]
Segments = Annotated[list[str] | None, Query(alias="segment", max_length=200)]


class TransitionTold(Told):
    """Somebody entered or left a segment.

    Attributes:
        cursor: Its place: the `after` by which one goes on behind it.
        identifier: The person's first; of a personal kind its keyed hash.
        cause: What made it happen: an event, time passing, a new definition.
    """

    cursor: str
    person: int
    identifier: str
    segment: str
    entered: bool
    at: When
    cause: str


class Transitions(Told):
    """A page; `cursor` is the `after` of the next call, `more` says that it need not wait."""

    transitions: list[TransitionTold]
    cursor: str
    more: bool


@router.get("/transitions")
@also(404)
async def transitions(
    request: Request,
    context: Context,
    after: After = None,
    segment: Segments = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 500,
    wait: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 0,
) -> Transitions:
    """Transitions after a cursor, oldest first; of `segment` alone, which may be repeated.

    Without `after`: from now on; `after=0`: from the oldest. If there is none, waits up to `wait` seconds for one.
    `cursor` is the `after` of the next call, `more` says that it need not wait.
    """
    tail: Tail = request.app.state.tail
    cursor = await _start(tail, after)
    wanted = await run_in_threadpool(_known, context, segment)
    page = await tail.page(cursor, wanted, limit)
    if wait and not page.changes:
        async with tail.following():
            page = await _first_page(tail, page, wanted, limit, wait)
    rows = [shown(each) for each in page.changes]
    return Transitions(transitions=rows, cursor=str(page.cursor), more=page.more)


async def _start(tail: Tail, after: str | None) -> Cursor:
    return await tail.newest() if after is None else parse_cursor(after)


async def _first_page(
    tail: Tail, page: TransitionPage, wanted: Collection[str] | None, limit: int, wait_s: float
) -> TransitionPage:
    """The first page that holds something, or the last empty one when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            while not page.changes and not tail.closed:
                if not page.more:
                    await tail.moved(page.cursor)
                page = await tail.page(page.cursor, wanted, limit)
    return page


def _known(context: WebContext, segments: list[str] | None) -> frozenset[str] | None:
    """The segments asked for; None for all. One that was removed may still be asked for: its past remains.

    Raises:
        NotFound: ``segment.unknown``, if none of them exists.
    """
    if not segments:
        return None
    known = context.project.segments
    if not any(name in known for name in segments):
        raise NotFound("segment.unknown", f"there is no segment {segments[0]!r}", nearest(segments[0], known))
    return frozenset(segments)


def shown(change: SegmentChange) -> TransitionTold:
    """A transition as programs get it."""
    return TransitionTold(
        cursor=str(change.cursor),
        person=change.person,
        identifier=change.first_identifier,
        segment=change.segment,
        entered=change.entered,
        at=format_iso(change.at),
        cause=change.cause,
    )


@stream_router.websocket("/transitions/stream")
async def stream(socket: WebSocket, after: After = None, segment: Segments = None) -> None:
    """Transitions after a cursor as they happen, one JSON text message each; the parameters are those of the long poll.

    The first message is `{"cursor": ...}`: where the stream begins; the same comes now and then while nothing happens.
    Close codes: 4008 the reader was too slow, 1001 or 1012 the door stops, 1013 too many readers. After each, and after
    a broken connection, go on with the last cursor seen.
    """
    context: WebContext = socket.app.state.context
    tail: Tail = socket.app.state.tail
    try:
        await run_in_threadpool(allowed, socket)
        cursor = await _start(tail, after)
        wanted = await run_in_threadpool(_known, context, segment)
    except MailwrightError as error:
        await socket.send_denial_response(JSONResponse(error_body(error), status_of(error), error_headers(error)))
        await asyncio.sleep(AFTER_REFUSAL_S)
        return
    await socket.accept()
    await _serve(socket, tail, cursor, wanted)


async def _serve(socket: WebSocket, tail: Tail, cursor: Cursor, wanted: Collection[str] | None) -> None:
    """Send until the peer goes, is too slow, or the door stops."""
    writing = asyncio.create_task(_write(socket, tail, cursor, wanted))
    listening = asyncio.create_task(_listen(socket))
    done, waiting = await asyncio.wait((writing, listening), return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if writing not in done or (end := writing.result()) is None:
        return
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(FAREWELL_S):
            await socket.close(*end)


async def _listen(socket: WebSocket) -> None:
    """Wait for the peer to go; what it says meanwhile does not matter."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _write(
    socket: WebSocket, tail: Tail, cursor: Cursor, wanted: Collection[str] | None
) -> tuple[int, str] | None:
    """Send pages; the code and reason to close with, None if the peer has gone."""
    try:
        async with tail.following():
            await _send(socket, {"cursor": str(cursor)})
            await _send_pages(socket, tail, cursor, wanted)
    except TimeoutError:
        return TOO_SLOW, "too slow: reconnect with the last cursor"
    except (WebSocketDisconnect, RuntimeError):
        return None
    except MailwrightError as error:
        return BUSY, error.message[:120]
    return GOING_AWAY, "the door stops: reconnect with the last cursor"


async def _send_pages(socket: WebSocket, tail: Tail, cursor: Cursor, wanted: Collection[str] | None) -> None:
    clock = asyncio.get_running_loop().time
    told_at = clock()
    async with contextlib.aclosing(tail.follow(cursor, wanted)) as pages:
        async for page in pages:
            for change in page.changes:
                await _send(socket, shown(change))
            if not page.changes and clock() - told_at > CURSOR_EVERY_S:
                await _send(socket, {"cursor": str(page.cursor)})
                told_at = clock()
            elif page.changes:
                told_at = clock()


async def _send(socket: WebSocket, message: TransitionTold | dict[str, str]) -> None:
    """Send one message; TimeoutError if the connection does not take it."""
    async with asyncio.timeout(SLOW_S):
        await socket.send_text(msgspec.json.encode(message).decode())
