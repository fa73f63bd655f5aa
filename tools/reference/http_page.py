"""docs/reference/http.md: every address that the door answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailwright.ingest.limits import LIMITS
from mailwright.web import (
    api,
    api_jobs,
    api_people,
    api_segments,
    api_sources,
    api_transitions,
    oauth,
    previews,
    sessions,
    snippet,
    tracking,
)
from mailwright.web.door import door_routes
from mailwright.web.forms import links, public
from mailwright.web.pages import definitions, forms, identity, mails, models, overview, people, segments, sources, why
from tools.reference.markdown import code, doc_of, table

HEAD = f"""## Sending data

The calls are those of Segment's HTTP API, so its libraries work: give them the door's address and a write key. The
key comes as the user name of Basic auth (with an empty password), as a bearer token, or as `writeKey` in the body.
Server keys (`sk_`) may do everything below; browser keys (`pk_`) cannot import history or send items, consents and
suppressions.

A `200` means that every accepted item is durable: it survives a power cut. The answer counts items and tells about
each that was not taken: `{{"accepted": 1, "refused": [{{"index": 1, "field": "properties.total", "reason":
"..."}}]}}`. What the tracking plan holds back is in `quarantined`, and
kept. If none was taken the status is `400`. `429` and `503` mean: try the same again later. An event with a
`messageId` counts once, however often it is sent.

| limit | |
|---|---|
| one request, after decompression | {LIMITS.request_bytes:,} bytes |
| one event or item | {LIMITS.event_bytes:,} bytes |
| items of a request | {LIMITS.request_items:,} |
| nesting, keys | {LIMITS.depth} levels, {LIMITS.keys:,} keys |
| names and ids | {LIMITS.id_chars} characters |"""

CALLS = {
    "identify": "Traits of a person; a null removes one. `/v1/i`",
    "track": "An event with properties. `/v1/t`",
    "page": "A page was seen. `/v1/p`",
    "screen": "A screen of an app was seen. `/v1/s`",
    "group": "Traits of a group. `/v1/g`",
    "alias": "Two identifiers are one person. `/v1/a`",
    "batch": 'Many calls: `{"batch": [{"type": "track", ...}, ...]}`. `/v1/b`',
    "import": "Like batch; `?history=true` counts each event from its own stamp and starts no journey and no mail.",
    "items": 'Catalog items: `{"items": [{"catalog": "products", "item_id": "mug", "facts": {...}}]}`.',
    "consents": (
        'Who may be written to: `{"consents": [{"email", "purpose", "granted", "source", "wording", "at"}]}`; '
        "a grant needs its wording."
    ),
    "suppressions": 'Who gets no mail at all: `{"suppressions": [{"email": "...", "reason": "bounce"}]}`.',
}

PIXELS = [
    ("GET", f"/v1/pixel/{call}.gif", what)
    for call, what in {
        "track": "An event by an image's address, for pages and mails without scripts; always an image of one pixel.",
        "page": "The same for a page that was seen.",
        "screen": "The same for a screen of an app.",
    }.items()
]

_PAGES = (overview, segments, why, people, identity, mails, models, sources, definitions, forms)


def routes(modules: tuple[Any, ...]) -> Iterator[tuple[str, str, str]]:
    """(method, path, what it does) of each route of some modules."""
    for module in modules:
        yield from _of(module.router)


def _of(router: Any) -> Iterator[tuple[str, str, str]]:
    for route in router.routes:
        methods = ", ".join(sorted(getattr(route, "methods", {"WebSocket"}) - {"HEAD"}))
        yield methods, route.path, doc_of(route.endpoint).summary


def door_calls() -> set[str]:
    """The calls that the door takes, without their one-letter forms."""
    paths = (route.path for route in door_routes() if not route.path.startswith("/v1/pixel/"))
    return {name for path in paths if len(name := path.rpartition("/")[2]) > 1}


def page() -> str:
    """The page's text."""
    calls = [(code(f"POST /v1/{name}"), what) for name, what in CALLS.items()]
    read = [
        *routes((api_people, api, api_segments, api_sources, api_jobs, api_transitions)),
        *_of(forms.api_router),
        *_of(api_transitions.stream_router),
        *_of(api.open_router),
    ]
    return "\n\n".join(
        [
            "# HTTP",
            HEAD,
            table(("call", "what it is"), calls),
            "## Access tokens",
            "For servers that would rather not send a lasting key: OAuth 2.0 client credentials.",
            _grid(routes((oauth,))),
            "## Reading data",
            "JSON, with a server key or a session. Errors have [one shape](errors.md).",
            _grid(read),
            "## In the shop's own pages",
            "For any origin; see [Install the snippet](../how-to/install-the-snippet.md).",
            _grid([*routes((snippet,)), *PIXELS]),
            "## Links in mail",
            "Signed, without a session. An unknown or altered link ends on a neutral page and tells nobody anything.",
            _grid(routes((tracking,))),
            "## Forms",
            "For everybody, without a key: see [forms](../how-to/forms.md).",
            _grid(routes((public, links))),
            "## Pages",
            "For people who are signed in; `mailwright login` prints a link that signs in once.",
            _grid([*routes((sessions,)), *routes(_PAGES), *routes((previews,))]),
        ]
    )


def _grid(rows: Any) -> str:
    return table(("address", "what it does"), [(code(f"{method} {path}"), what) for method, path, what in rows])
