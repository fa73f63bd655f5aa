"""Routes of the API that describe themselves: a handler's signature is what `openapi` tells of it.

Path and query parameters are the handler's arguments, the body is an argument of `json_body`, the answer is the struct
that the handler returns, and the words are its docstring. Who may call it follows from the router's dependencies. Only
further statuses are said besides, by `also`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput
from mailwright.ingest.wire import DECODE_ERRORS, in_words
from mailwright.web.bodies import json_response, read_body

T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[..., Any])

BODY_BYTES = 262_144

When = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""An instant as programs get it: ISO 8601, UTC."""


class Told(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What an answer is made of: every field is always there."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer with a status or headers of its own."""

    value: T
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiRoute(APIRoute):
    """A route whose handler returns a struct, a mapping of structs, an `Answer`, or None where nothing is told."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["response_model"] = None
        super().__init__(path, _encoding(endpoint, options.get("status_code") or 200), **options)


def also(*statuses: int | Mapping[int, type[msgspec.Struct]]) -> Callable[[Handler], Handler]:
    """Say which statuses an address answers beside those that its signature tells.

    One below 300 tells the same as the usual one, another one an error, or what a mapping names: ``{422: Faults}``.
    """
    told: dict[int, type[msgspec.Struct] | None] = {}
    for one in statuses:
        told |= {one: None} if isinstance(one, int) else dict(one)

    def mark(handler: Handler) -> Handler:
        handler.__also__ = told  # type: ignore[attr-defined]
        return handler

    return mark


def json_body(
    struct: type[T], code: str, *, limit_bytes: int = BODY_BYTES, hint: str = ""
) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads a body of JSON.

    Raises:
        InvalidInput: `code`, from the dependency, if the body is none.
    """
    decoder = msgspec.json.Decoder(struct)

    async def read(request: Request) -> T:
        body = await read_body(request, limit_bytes)
        try:
            return decoder.decode(body)
        except DECODE_ERRORS as error:
            field, reason = in_words(error)
            told = f"{field}: {reason}" if field else reason
            raise InvalidInput.one(code, f"the body cannot be read: {told}", hint=hint) from None

    read.struct = struct  # type: ignore[attr-defined]
    return read


def streamed_body(kind: Any, *media: str) -> Callable[[Request], Request]:
    """A dependency that tells of a body, of JSON or one of `media`, which the handler reads while it comes."""

    def asked(request: Request) -> Request:
        return request

    asked.struct = kind  # type: ignore[attr-defined]
    asked.media = media  # type: ignore[attr-defined]
    return asked


def _encoding(endpoint: Callable[..., Any], status: int) -> Callable[..., Any]:
    """The handler, with what it returns made an answer."""
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def waiting(*args: Any, **kwargs: Any) -> Response:
            return _answer(await endpoint(*args, **kwargs), status)

        return waiting

    @functools.wraps(endpoint)
    def answering(*args: Any, **kwargs: Any) -> Response:
        return _answer(endpoint(*args, **kwargs), status)

    return answering


def _answer(told: Any, status: int) -> Response:
    if isinstance(told, Response):
        return told
    answer = told if isinstance(told, Answer) else Answer(told, status)
    response = Response(status_code=204) if answer.value is None else json_response(answer.value, answer.status)
    response.headers.update(answer.headers)
    return response
