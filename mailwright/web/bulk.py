"""JSON lines of any length, taken batch by batch while they come, in little memory: any tool that can post a file can.

What is sent again counts once: a call by its message id (a line without one gets one that follows from its content), a
row of an import by its key.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
from starlette.requests import Request

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.ports import EngineReads, EventLog
from mailwright.ingest.limits import Refusal
from mailwright.ingest.wire import DECODE_ERRORS, in_words
from mailwright.runtime.giving_way import CHUNK_ITEMS, MAX_BEHIND, behind
from mailwright.web.errors import TooMany, Unsupported, error_body, error_headers, status_of

_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonlines", "application/x-jsonlines")
_BATCH_BYTES = 400_000
_KEPT_REFUSALS = 1_000
_PATIENCE = 100
"""So often a batch waits for the engine, `_PAUSE_S` seconds each, before the client is asked to come again."""

_PAUSE_S = 0.1
_PIECE_BYTES = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS

Line = tuple[bytes, str]
"""The line, or empty and why it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What became of a batch of lines; indexes count from its first.

    Attributes:
        n_accepted: Lines that are in; `n_held` that wait to be mended; `n_refused` that were not taken.
        refused: Faults of the last, and `warned` of what is in.
        more: What else is counted, by the name that it has in the answer: lines that needed nothing to be done.
    """

    n_accepted: int
    n_held: int
    n_refused: int
    refused: Sequence[Refusal]
    warned: Sequence[Refusal] = ()
    more: Mapping[str, int] = field(default_factory=dict)


Put = Callable[[list[bytes]], Awaitable[Batch]]
"""Takes lines; when it returns the good ones are durable."""


@dataclass(slots=True, kw_only=True)
class BulkAnswer:
    """Status, body and headers of its own."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def is_lines(content_type: str) -> bool:
    """Whether a body is JSON lines, by its content type."""
    return content_type.partition(";")[0].strip().lower() in _TYPES


async def body_lines(request: Request, line_bytes: int) -> AsyncIterator[Line]:
    """The lines of a body, unzipped if its Content-Encoding is gzip; one longer than `line_bytes` is passed over.

    Raises:
        Unsupported: For another encoding.
        InvalidInput: If the gzip data is broken or cut off.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise Unsupported("request.encoding", f"bodies in {encoding!r} are not taken", "send gzip or plain JSON lines")
    rest, too_long = b"", 0
    async for piece in _pieces(request, zipped=encoding == "gzip"):
        *lines, last = piece.split(b"\n")
        for line in lines:
            whole, rest = rest + line, b""
            if too_long or len(whole) > line_bytes:
                yield b"", f"it has {too_long + len(whole):,} bytes, at most {line_bytes:,} are taken"
            elif whole.strip():
                yield whole, ""
            too_long = 0
        rest += last
        if len(rest) > line_bytes:  # only its length is kept of it
            too_long, rest = too_long + len(rest), b""
    if too_long or len(rest) > line_bytes:
        yield b"", f"it has {too_long + len(rest):,} bytes, at most {line_bytes:,} are taken"
    elif rest.strip():
        yield rest, ""


async def _pieces(request: Request, *, zipped: bool) -> AsyncIterator[bytes]:
    member: Any = zlib.decompressobj(_GZIP)
    async for chunk in request.stream():
        if not zipped:
            yield chunk
            continue
        waiting = chunk
        while waiting:
            try:
                piece = member.decompress(waiting, _PIECE_BYTES)
            except zlib.error as error:
                raise InvalidInput.one(
                    "request.gzip", f"the body is no gzip data: {error}", hint="send it again"
                ) from None
            yield piece
            waiting = member.unconsumed_tail
            if member.eof:
                waiting = member.unused_data
                member = zlib.decompressobj(_GZIP) if waiting else member
    if zipped and not member.eof:
        raise InvalidInput.one("request.gzip", "the body is no gzip data: it ends too early", hint="send it again")


def check_turn(log: EventLog, engine: EngineReads) -> None:
    """An import gives way while the engine is behind: live events must not wait for it.

    Raises:
        TooMany: ``import.busy``.
    """
    n_behind = behind(log, engine)
    if n_behind > MAX_BEHIND:
        message = f"the engine has {n_behind:,} records still to read; imports wait for live events"
        raise TooMany("import.busy", message, "send the same batch again after the time in Retry-After")


async def take_lines(
    lines: AsyncIterator[Line],
    put: Put,
    check_turn: Callable[[], Awaitable[None]],
    ready: Callable[[bytes], bytes] = lambda line: line,
) -> BulkAnswer:
    """Take all lines.

    Args:
        lines: Of the body.
        put: Takes a batch.
        ready: The line as `put` takes it; of one that it cannot decode it raises one of `DECODE_ERRORS`.
        check_turn: Raises TooMany while live events wait: then the batch waits a while.

    Returns:
        200 with what was taken and, of the first 1,000 that were not, each line and its reason; 400 if none was; 429
        after some seconds of waiting, and the status of any other error (503 while the log or Records do not answer,
        401 for a key revoked meanwhile), each with what is in already.
    """
    taking = _Taking(put, check_turn, ready)
    try:
        async for line, fault in lines:
            await taking.add(line, fault)
        await taking.flush()
    except MailwrightError as error:
        return BulkAnswer(status=status_of(error), body=taking.told() | error_body(error), headers=error_headers(error))
    return taking.answer()


class _Taking:
    def __init__(self, put: Put, check_turn: Callable[[], Awaitable[None]], ready: Callable[[bytes], bytes]) -> None:
        self._put = put
        self._ready = ready
        self._check_turn = check_turn
        self._batch: list[bytes] = []
        self._indexes: list[int] = []
        self._bytes = 0
        self._index = 0
        self._accepted = self._refused_count = self._held = 0
        self._refused: list[dict[str, Any]] = []
        self._warned: list[dict[str, Any]] = []
        self._more: Counter[str] = Counter()

    async def add(self, line: bytes, fault: str) -> None:
        index, self._index = self._index, self._index + 1
        if not fault:
            try:
                line = self._ready(line)
            except DECODE_ERRORS as error:
                fault = in_words(error)[1]
        if fault:
            self._refused_count += 1
            self._tell(Refusal(index, "", fault))
            return
        self._batch.append(line)
        self._indexes.append(index)
        self._bytes += len(line) + 1
        if len(self._batch) >= CHUNK_ITEMS or self._bytes >= _BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if not self._batch:
            return
        await self._turn()
        batch = await self._put(self._batch)
        self._accepted += batch.n_accepted
        self._held += batch.n_held
        self._refused_count += batch.n_refused
        self._more.update(batch.more)
        for one in batch.refused:
            self._tell(Refusal(self._indexes[one.index], one.field, one.reason))
        for one in batch.warned[: _KEPT_REFUSALS - len(self._warned)]:
            self._warned.append({"index": self._indexes[one.index], "field": one.field, "reason": one.reason})
        self._batch, self._indexes, self._bytes = [], [], 0

    async def _turn(self) -> None:
        for _ in range(_PATIENCE):
            try:
                await self._check_turn()
            except TooMany:
                await asyncio.sleep(_PAUSE_S)
            else:
                return
        await self._check_turn()

    def _tell(self, one: Refusal) -> None:
        if len(self._refused) < _KEPT_REFUSALS:
            self._refused.append({"index": one.index, "field": one.field, "reason": one.reason})

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "accepted": self._accepted,
            "refused": self._refused,
            "refused_count": self._refused_count,
        }
        if self._held:
            told["held_count"] = self._held
        told |= self._more
        return told | ({"warned": self._warned} if self._warned else {})

    def answer(self) -> BulkAnswer:
        if self._refused and not (self._accepted or self._held or any(self._more.values())):
            first = self._refused[0]
            message = (
                f"none of {self._refused_count} lines could be taken; the first: {first['field']} {first['reason']}"
            )
            error = MailwrightError("ingest.refused", message, "see `refused` for each line")
            return BulkAnswer(status=400, body=self.told() | error_body(error))
        return BulkAnswer(status=200, body=self.told())


def with_id(line: bytes) -> bytes:
    """A line that is one JSON object, with a message id.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: If it is none.
    """
    if b'"messageId"' in line:
        _raw_object.decode(line)
        return line
    call = _object.decode(line)
    call["messageId"] = f"line-{blake2b(line, digest_size=16).hexdigest()}"
    return msgspec.json.encode(call)


_object = msgspec.json.Decoder(dict[str, Any])
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
