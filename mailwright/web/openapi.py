"""The API as OpenAPI 3.1, made from the routes that are mounted: see `described`."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts
from starlette.requests import Request

from mailwright import __version__
from mailwright.ingest.segment import SHORT
from mailwright.web.access import allowed, owner, server_key
from mailwright.web.described import Answer, ApiRoute
from mailwright.web.door_calls import DOOR_CALLS, PIXEL_FIELDS, PIXEL_WORDS, DoorCall, Outcome

router = APIRouter(tags=["State"], route_class=ApiRoute)

KEYS = "a server key, an access token or a session"
OWNERS = "a server key or a session"
WRITERS = "any write key"
SERVERS = "a server key"
EVERYBODY = "everybody"

_SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    KEYS: [{"writeKey": []}, {"bearer": []}, {"session": []}],
    OWNERS: [{"writeKey": []}, {"bearer": []}, {"session": []}],
    WRITERS: [{"writeKey": []}, {"bearer": []}],
    SERVERS: [{"writeKey": []}, {"bearer": []}],
    EVERYBODY: [],
}
_SCHEMES = {
    "writeKey": {"type": "http", "scheme": "basic", "description": "The key as user name, no password"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key, or an OAuth access token"},
    "session": {"type": "apiKey", "in": "cookie", "name": "mailwright", "description": "Of somebody signed in"},
}
_STATUSES = {
    200: "Done",
    201: "Made",
    202: "Not yet final",
    204: "Done; nothing to say",
    400: "Something of it cannot be read",
    401: "No key, or one that does not count",
    403: "The key may not do this, or another site made a browser send it",
    404: "There is no such thing",
    408: "The body did not come in time",
    409: "It is so already, or was changed meanwhile",
    413: "Too large, or too many items",
    415: "A body in a form that is not taken",
    422: "It was read, and something in it is wrong",
    429: "Come again after the time in Retry-After",
    503: "Not now: come again after the time in Retry-After",
}
_UNIONS = (types.UnionType, Union)
_OF_BODIES = (400, 408, 413, 415)
_SECTION = re.compile(r"\n\n(?:Args|Attributes|Raises|Returns):\n")
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)


class ErrorIssue(msgspec.Struct):
    """One fault. With its place in a text that somebody wrote, `caret` shows that place."""

    path: str
    message: str
    hint: str
    span: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    caret: str | msgspec.UnsetType = msgspec.UNSET


class ErrorTold(msgspec.Struct):
    """What went wrong; the codes are in docs/reference/errors.md."""

    code: str
    message: str
    hint: str | msgspec.UnsetType = msgspec.UNSET
    issues: list[ErrorIssue] | msgspec.UnsetType = msgspec.UNSET


class ErrorAnswer(msgspec.Struct):
    """The shape of every error; of the door it may stand beside what became of the items."""

    error: ErrorTold


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address.

    Attributes:
        who: Who may call it, in words.
        answers: Status -> the struct that it answers; None: nothing but the status.
        told: What FastAPI says of it: parameters, summary.
        media: Content types of its body.
    """

    path: str
    method: str
    who: str
    answers: Mapping[int, Any]
    told: Mapping[str, Any]
    body: Any = None
    media: tuple[str, ...] = ("application/json",)
    images: bool = False


@router.get("/v1/openapi.json")
def openapi(request: Request) -> dict[str, Any]:
    """This API, as OpenAPI 3.1."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = document(request.app.routes)
    found: dict[str, Any] = state.openapi
    return found


def document(routes: Iterable[Any]) -> dict[str, Any]:
    """The whole document of what is mounted under ``/v1``."""
    found = list(operations(routes))
    kinds = [part for one in found for kind in (one.body, *one.answers.values()) for part in _parts(kind)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    places = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for one in found:
        body = _schema(one.body, places)
        answers = {status: _schema(kind, places) for status, kind in one.answers.items()}
        paths.setdefault(one.path, {})[one.method] = _shown(one, body, answers)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailwright", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {name: _explained(one) for name, one in components.items()},
            "securitySchemes": _SCHEMES,
        },
    }


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types that are described each by itself: of several structs, each."""
    if kind is None:
        return ()
    return get_args(kind) if get_origin(kind) in _UNIONS else (kind,)


def _schema(kind: Any, places: Iterator[Any]) -> Any:
    """The schema of a type, of which those of the parts come next."""
    parts = [next(places) for _ in _parts(kind)]
    return {"anyOf": parts} if len(parts) > 1 else parts[0] if parts else None


def operations(routes: Iterable[Any]) -> Iterator[Operation]:
    """Every operation under ``/v1``, and the health check."""
    for route in iter_route_contexts(list(routes)):
        if is_api(route):
            yield from _of_route(route)


def is_api(route: Any) -> bool:
    """Whether an address belongs into the document: programs use it."""
    return str(route.path).startswith("/v1/") or route.path == "/healthz"


def _of_route(route: RouteContext) -> Iterator[Operation]:
    path = str(route.path)
    call = path.removeprefix("/v1/")
    if (name := SHORT.get(call, call)) in DOOR_CALLS:
        yield _of_door(path, call, DOOR_CALLS[name])
    elif (name := call.removeprefix("pixel/").removesuffix(".gif")) in PIXEL_WORDS:
        yield _of_pixel(path, name)
    elif isinstance(route.original_route, APIWebSocketRoute):
        yield _of_stream(route)
    elif isinstance(route.original_route, ApiRoute):
        told = get_openapi(title="", version="", routes=[route])["paths"]
        for path, methods in told.items():
            yield from (_of_handler(route, path, method, one) for method, one in methods.items() if method != "options")


def _of_handler(route: RouteContext, path: str, method: str, told: dict[str, Any]) -> Operation:
    handler = inspect.unwrap(route.endpoint) if route.endpoint else None
    hint = get_type_hints(handler, include_extras=True).get("return") if handler else None
    calls = set(_calls(route.dependant))
    bodies = [one for one in calls if hasattr(one, "struct")]
    also: Mapping[int, Any] = getattr(handler, "__also__", {})
    usual = _told_type(hint, also)
    who = SERVERS if server_key in calls else OWNERS if owner in calls else KEYS if allowed in calls else EVERYBODY
    errors = [503, *((401, 403) if who != EVERYBODY else ()), *((400,) if told.get("parameters") else ())]
    errors += _OF_BODIES if bodies else ()
    answers: dict[int, Any] = {route.status_code or 200: usual}
    for status in sorted({*also, *errors}):
        answers[status] = also.get(status) or (usual if status < 300 else ErrorAnswer)
    return Operation(
        path=path,
        method=method,
        who=who,
        answers=answers,
        body=bodies[0].struct if bodies else None,
        media=("application/json", *getattr(bodies[0], "media", ())) if bodies else (),
        told={**told, **_words(inspect.getdoc(handler) or "")},
    )


def _told_type(hint: Any, also: Mapping[int, Any]) -> Any:
    """What the usual answer holds; None if nothing."""
    members = get_args(hint) if get_origin(hint) in _UNIONS else (hint,)
    plain = [get_args(one)[0] if get_origin(one) is Answer else one for one in members]
    kept = [one for one in plain if one not in also.values() and one is not type(None)]
    return reduce(or_, kept) if kept else None


def _calls(dependant: Dependant | None) -> Iterator[Callable[..., Any]]:
    """All functions that a route depends on."""
    for one in dependant.dependencies if dependant else ():
        if one.call is not None:
            yield one.call
        yield from _calls(one)


def _of_door(path: str, call: str, known: DoorCall) -> Operation:
    history = _query("history", "true: each event counts from its own stamp, and starts no journey and no mail")
    lines = ("application/x-ndjson",) if known.lines else ()
    return Operation(
        path=path,
        method="post",
        who=SERVERS if known.server else WRITERS,
        answers={200: Outcome} | dict.fromkeys((400, 401, 403, 408, 413, 415, 429, 503), ErrorAnswer),
        body=known.body,
        media=("application/json", *lines),
        told={
            "tags": ["Sending data"],
            "operationId": f"send_{call}",
            "summary": known.what if len(call) > 1 else f"Short for `{SHORT[call]}`.",
        }
        | ({"parameters": [history | {"schema": {"type": "boolean"}}]} if call == "import" else {}),
    )


def _of_pixel(path: str, name: str) -> Operation:
    return Operation(
        path=path,
        method="get",
        who=EVERYBODY,
        answers={200: None},
        images=True,
        told={
            "tags": ["In the shop's own pages"],
            "operationId": f"pixel_{name}",
            "summary": PIXEL_WORDS[name],
            "parameters": [_query(name, what) for name, what in PIXEL_FIELDS.items()],
        },
    )


def _of_stream(route: RouteContext) -> Operation:
    """A WebSocket, as the GET that opens it."""
    path, endpoint = str(route.path), route.endpoint
    assert endpoint is not None  # noqa: S101 a route without one is none
    alike = APIRoute(path, endpoint, response_model=None, tags=["Segments"])
    told = get_openapi(title="", version="", routes=[alike])["paths"][path]["get"]
    return Operation(
        path=path,
        method="get",
        who=KEYS,
        answers={101: None} | dict.fromkeys((400, 401, 403, 404, 503), ErrorAnswer),
        told={**told, **_words(inspect.getdoc(endpoint) or "")},
    )


def _query(name: str, what: str) -> dict[str, Any]:
    return {"in": "query", "name": name, "required": False, "description": what, "schema": {"type": "string"}}


def _words(doc: str) -> dict[str, str]:
    """A docstring's first paragraph as summary, the others as description."""
    summary, _, rest = _plain(_SECTION.split(doc)[0]).partition("\n\n")
    return {"summary": " ".join(summary.split()), "description": rest.strip()}


def _shown(one: Operation, body: Any, answers: Mapping[int, Any]) -> dict[str, Any]:
    """An operation as the document has it."""
    description = f"{one.told.get('description', '')}\n\nFor {one.who}.".strip()
    shown = {name: one.told[name] for name in ("tags", "operationId", "summary", "parameters") if name in one.told}
    shown |= {"description": description, "x-who": one.who}
    if one.who != EVERYBODY:
        shown["security"] = _SECURITY[one.who]
    if one.body is not None:
        schema = {"schema": body}
        shown["requestBody"] = {
            "required": True,
            "content": {media: schema if media == "application/json" else {} for media in one.media},
        }
    shown["responses"] = {str(status): _response(one, status, schema) for status, schema in answers.items()}
    return shown


def _response(one: Operation, status: int, schema: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"description": _STATUSES.get(status, "The stream begins")}
    if one.images:
        return told | {"content": {"image/gif": {}}}
    return told if schema is None else told | {"content": {"application/json": {"schema": schema}}}


def _explained(schema: dict[str, Any]) -> dict[str, Any]:
    """A struct's schema, with each attribute's words at its property."""
    doc = inspect.cleandoc(schema.get("description", ""))
    words = {_camel(name): _plain(" ".join(text.split())) for name, text in _ATTRIBUTE.findall(doc)}
    told = {name: " ".join(one.split()) for name, one in words.items()}
    properties = {
        name: one | ({"description": told[_camel(name)]} if _camel(name) in told else {})
        for name, one in schema.get("properties", {}).items()
    }
    return schema | {"description": _plain(_SECTION.split(doc)[0])} | ({"properties": properties} if properties else {})


def _camel(name: str) -> str:
    """One spelling for a field and its name in JSON."""
    return name.replace("_", "").lower()


def _plain(text: str) -> str:
    """Docstring markup as Markdown."""
    return re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
