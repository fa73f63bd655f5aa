"""docs/reference/http.md: every address that the door answers, from the routes that are mounted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from mailwright.ingest.limits import LIMITS
from mailwright.web.app import add_routes
from mailwright.web.openapi import document, is_api
from tools.reference.markdown import code, doc_of, table

HEAD = """Programs use what is under `/v1`; `GET /v1/openapi.json` tells the same as OpenAPI 3.1, for tools that make
clients. How to begin: [Use the API from a script](../how-to/use-the-api.md). Errors have [one shape](errors.md)."""

SENDING = f"""The calls are those of Segment's HTTP API, so its libraries work: give them the door's address and a write
key. That comes as the user name of Basic auth (with an empty password), as a bearer token, or as `writeKey` in the
body.
Server keys (`sk_`) may do everything below; browser keys (`pk_`) cannot import history or send items, consents and
suppressions. Each call of one person has a short form of one letter (`/v1/t` for track), batch has `/v1/b`.

A `200` means that every accepted item is durable: it survives a power cut. If nothing was taken the status is `400`.
`429` and `503` mean: try the same again later. An event with a `messageId` counts once, however often it is sent.

| limit | |
|---|---|
| one request, after decompression | {LIMITS.request_bytes:,} bytes |
| one event or item | {LIMITS.event_bytes:,} bytes |
| items of a request | {LIMITS.request_items:,} |
| nesting, keys | {LIMITS.depth} levels, {LIMITS.keys:,} keys |
| names and ids | {LIMITS.id_chars} characters |"""

WORDS: Mapping[str, str] = {
    "Sending data": SENDING,
    "Access tokens": "For servers that would rather not send a lasting key: OAuth 2.0 client credentials.",
    "In the shop's own pages": "For any origin; see [Install the snippet](../how-to/install-the-snippet.md).",
    "Links in mail": "Signed, without a session. An unknown or altered link ends on a neutral page and tells nobody "
    "anything.",
    "Forms": "For everybody, without a key, but for what counts them: see [forms](../how-to/forms.md).",
    "Signing in": "`mailwright login` prints a link that signs in once.",
    "Pages": "For people who are signed in.",
}
ORDER = (
    "Sending data",
    "Access tokens",
    "People and messages",
    "Who is who",
    "Segments",
    "Lists",
    "Sources and quarantine",
    "Quality",
    "Jobs",
    "State",
    "Forms",
    "In the shop's own pages",
    "Webhooks",
    "Links in mail",
    "Signing in",
    "Pages",
)


def mounted() -> list[Any]:
    """Every route of the application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app)
    return list(app.routes)


def page() -> str:
    """The page's text."""
    routes = mounted()
    told = document(routes)
    found: dict[str, list[str]] = {tag: [] for tag in ORDER}
    for tag, line in (*_api(told), *_others(routes)):
        found[tag].append(line)
    parts = ["# HTTP", HEAD]
    for tag, lines in found.items():
        parts += [f"## {tag}", *([WORDS[tag]] if tag in WORDS else []), "\n".join(lines)]
    return "\n\n".join([*parts, "## Bodies and answers", *_structs(told)])


def _api(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(tag, all about one operation on a line), without the short forms."""
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            if not one["summary"].startswith("Short for"):
                yield one["tags"][0], _line(f"{method.upper()} {path}", one)


def _line(address: str, one: Mapping[str, Any]) -> str:
    parameters = [_parameter(each) for each in one.get("parameters", ())]
    parts = [
        f"- **{code(address)}**: {one['summary']}",
        " ".join(one["description"].split()),
        f"Parameters: {'; '.join(parameters)}." if parameters else "",
        f"Body: {body}." if (body := _body(one)) else "",
        f"Answers: {_answers(one)}.",
    ]
    return " ".join(part for part in parts if part)


def _others(routes: list[Any]) -> Iterator[tuple[str, str]]:
    """Pages and what else is no part of the API."""
    for route in iter_route_contexts(routes):
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD", "OPTIONS"}))
        if methods and not is_api(route):
            yield str(route.tags[0]), f"- **{code(f'{methods} {route.path}')}**: {doc_of(route.endpoint).summary}"


def _parameter(one: Mapping[str, Any]) -> str:
    words = one.get("description") or one["schema"].get("description", "")
    needed = " required" if one.get("required") and one["in"] != "path" else ""
    return f"{code(one['name'])} ({type_text(one['schema'])}{needed})" + (f" {words}".rstrip(".") if words else "")


def _body(one: Mapping[str, Any]) -> str:
    content = one.get("requestBody", {}).get("content", {})
    told = [type_text(each["schema"]) if each.get("schema") else code(media) for media, each in content.items()]
    return ", or ".join(told)


def _answers(one: Mapping[str, Any]) -> str:
    good = {status: each for status, each in one["responses"].items() if int(status) < 300}
    bad = [
        status + ("" if _named(each) == "ErrorAnswer" else f" {type_text(_schema(each))}")
        for status, each in one["responses"].items()
        if int(status) >= 300
    ]
    told = [f"{status} {type_text(_schema(each))}".strip() for status, each in good.items()]
    return "; ".join([*told, *([f"errors {', '.join(bad)}"] if bad else [])])


def _schema(response: Mapping[str, Any]) -> Mapping[str, Any]:
    content = response.get("content", {})
    return next(iter(content.values())).get("schema", {}) if content else {"const": None}


def _named(response: Mapping[str, Any]) -> str:
    return str(_schema(response).get("$ref", "")).rpartition("/")[2]


def _structs(told: Mapping[str, Any]) -> Iterator[str]:
    for name, one in sorted(told["components"]["schemas"].items()):
        yield f"### {name}"
        yield one.get("description", "")
        needed = one.get("required", ())
        rows = [
            (code(field), type_text(each) + ("" if field in needed else ", optional"), each.get("description", ""))
            for field, each in one.get("properties", {}).items()
        ]
        yield table(("field", "type", ""), rows)


def type_text(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_text(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(str(each)) for each in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {type_text(schema.get('items', {}))}"
        case "object" if schema.get("additionalProperties"):
            return f"object of {type_text(schema['additionalProperties'])}"
        case "string" if schema.get("format") == "date-time":
            return "instant"
        case None:
            return "" if "const" in schema else "anything"
        case kind:
            return str(kind) + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum", schema.get("maxLength")))
    return "" if high is None else f" up to {high:,}" if low is None else f", {low:,} to {high:,}"
