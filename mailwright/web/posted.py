"""Rows of declared imports over HTTP: ``POST /v1/imports/NAME/rows``, for any tool that posts JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mailwright.core.errors import InvalidInput
from mailwright.ingest.wire import DECODE_ERRORS, in_words
from mailwright.runtime.imports.posted import ROW_BYTES, Posting
from mailwright.web.access import server_key
from mailwright.web.bodies import read_body
from mailwright.web.bulk import Batch, Line, body_lines, check_turn, is_lines, take_lines
from mailwright.web.context import WebContext
from mailwright.web.described import Answer, ApiRoute, Told, also, streamed_body
from mailwright.web.door_calls import Refused
from mailwright.web.errors import TooMany
from mailwright.web.pages.shell import Context

router = APIRouter(
    prefix="/v1/imports", tags=["Sending data"], dependencies=[Depends(server_key)], route_class=ApiRoute
)

MOST_WAITING = 32
"""Requests for one import at the same time: one is taken, the others wait for it; more come again later."""

_Row = dict[str, Any] | None
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_body = streamed_body(list[_Row] | dict[str, Any], "application/x-ndjson")


class RowsTold(Told, kw_only=True):
    """What became of rows. Each is accepted, unchanged, refused or held.

    Attributes:
        accepted: Rows that are in, durably.
        unchanged: Rows that say nothing new, or after which another row of the same key came.
        deleted: Of those accepted, how many tell that a row is gone.
        refused: Faults of the first 1,000 that were not taken.
        refused_count: So many were not taken.
        held_count: What the tracking plan holds back: kept, to be mended and let in.
    """

    accepted: int
    unchanged: int | msgspec.UnsetType = msgspec.UNSET
    deleted: int | msgspec.UnsetType = msgspec.UNSET
    refused: list[Refused]
    refused_count: int
    held_count: int | msgspec.UnsetType = msgspec.UNSET


@router.post("/{name}/rows")
@also(404, 409, 429)
async def post_rows(
    request: Annotated[Request, Depends(_body)], context: Context, name: Annotated[str, Path(max_length=200)]
) -> Answer[RowsTold]:
    """Take rows of an import that is declared with `posted`: a JSON array, one object, or JSON lines of any length.

    They are taken as rows of a file are, with the import's mapping, the tracking plan and the rows' keys. When the
    answer comes what was accepted is durable; the same sent again adds nothing. `400` if no row could be taken.
    """
    await run_in_threadpool(Posting, context, context.project, name)  # before a byte is read for one that is none
    with _waiting(request, name) as lock:
        await run_in_threadpool(check_turn, context.log, context.engine)

        async def put(rows: list[bytes]) -> Batch:
            await run_in_threadpool(server_key, request)  # which may be revoked while lines come
            async with lock:
                return await run_in_threadpool(_taken, context, name, rows)

        answer = await take_lines(
            _lines(request, context), put, lambda: run_in_threadpool(check_turn, context.log, context.engine)
        )
    return Answer(cast(RowsTold, answer.body), answer.status, answer.headers)


def _taken(context: WebContext, name: str, rows: list[bytes]) -> Batch:
    taken = Posting(context, context.project, name, context.collected).take(rows)
    return Batch(
        n_accepted=taken.n_taken,
        n_held=taken.n_held,
        n_refused=taken.n_refused,
        refused=taken.refused,
        more={"unchanged": taken.n_unchanged, "deleted": taken.n_deleted},
    )


async def _lines(request: Request, context: WebContext) -> AsyncIterator[Line]:
    """The rows of a body, as they stand in it."""
    if is_lines(request.headers.get("content-type", "")):
        async for line in body_lines(request, ROW_BYTES):
            yield line
        return
    limits = context.settings.limits
    body = (await read_body(request, limits.request_bytes)).strip()
    for row in _rows_of(body, limits.request_items) if body.startswith(b"[") else [body]:
        yield row, ""


def _rows_of(body: bytes, most: int) -> list[bytes]:
    try:
        rows = _rows.decode(body)
    except DECODE_ERRORS as error:
        raise InvalidInput.one("posted.body", f"the body cannot be read: {in_words(error)[1]}") from None
    if len(rows) > most:
        message = f"the body has {len(rows):,} rows, at most {most:,} are taken"
        hint = "send fewer at once, or JSON lines, of which any number may come"
        raise InvalidInput.one("ingest.too_many", message, hint=hint)
    return [bytes(row) for row in rows]


@contextmanager
def _waiting(request: Request, name: str) -> Iterator[asyncio.Lock]:
    """The lock of an import's rows, among a bounded number of requests for it."""
    waiting: dict[str, tuple[asyncio.Lock, int]] = request.app.state.posting
    lock, n = waiting.get(name, (asyncio.Lock(), 0))
    if n >= MOST_WAITING:
        message = f"{n} requests with rows of the import {name} wait already"
        raise TooMany("import.busy", message, "send the same batch again after the time in Retry-After")
    waiting[name] = (lock, n + 1)
    try:
        yield lock
    finally:
        lock, n = waiting.pop(name)
        if n > 1:
            waiting[name] = (lock, n - 1)
