"""Request bodies, bounded while they arrive: neither a long body nor a small one that inflates fills the memory."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput
from mailwright.web.errors import TooLarge, TooSlow, Unsupported


def json_response(value: Any, status: int = 200) -> Response:
    """JSON by msgspec."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


_GZIP = 16 + zlib.MAX_WBITS


BODY_S = 30
"""A body must have come so many seconds after it is asked for."""


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """A body read inside this has `BODY_S`.

    Raises:
        TooSlow: If it takes longer.
    """
    try:
        async with asyncio.timeout(BODY_S):
            yield
    except TimeoutError:
        raise TooSlow("request.slow", f"the body has not come within {BODY_S} seconds", "send it again") from None


async def read_body(request: Request, limit_bytes: int, arrived: Callable[[int], None] | None = None) -> bytes:
    """The decoded body.

    Args:
        request: Its Content-Encoding may be ``gzip`` or absent.
        limit_bytes: Most bytes, of the body as sent and as decoded.
        arrived: Told how many decoded bytes each part has, before the next is waited for; it may raise.

    Raises:
        TooSlow: After `BODY_S`.
        TooLarge: As soon as either exceeds the limit.
        Unsupported: For another encoding.
        InvalidInput: If the gzip data is broken or cut off.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise Unsupported("request.encoding", f"bodies in {encoding!r} are not taken", "send gzip or plain JSON")
    unpacker = _Unpacker(limit_bytes) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async with in_time():
        async for chunk in request.stream():
            part = unpacker.feed(chunk) if unpacker else chunk
            size += len(part)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            if arrived is not None:
                arrived(len(part))
            parts.append(part)
    if unpacker:
        unpacker.finish()
    return b"".join(parts)


class _Unpacker:
    """Unzips chunk by chunk and never makes more than `limit_bytes` + 1 bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._left = limit_bytes + 1
        self._stream = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        if self._left <= 0:
            raise _too_large(self._limit)
        try:
            part = self._stream.decompress(chunk, self._left)
        except zlib.error as error:
            raise _broken(str(error)) from None
        self._left -= len(part)
        if self._stream.unconsumed_tail or self._stream.unused_data:
            # More output than we allow, or a second member after the first: our clients send neither.
            raise _too_large(self._limit) if self._left <= 0 else _broken("bytes follow the end")
        return part

    def finish(self) -> None:
        if not self._stream.eof:
            raise _broken("it ends too early")


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge("ingest.too_large", f"the body has more than {limit_bytes:,} bytes", "send smaller batches")


def _broken(why: str) -> InvalidInput:
    return InvalidInput.one("request.gzip", f"the body is no gzip data: {why}", hint="send it again")
