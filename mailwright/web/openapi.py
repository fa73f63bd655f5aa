"""What the door and the API take and answer, as OpenAPI 3.1: written from the structs that read it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from mailwright import __version__
from mailwright.ingest.items import ItemCall
from mailwright.ingest.limits import LIMITS
from mailwright.web.bodies import json_response

router = APIRouter()

_REFUSAL = {
    "type": "object",
    "required": ["index", "field", "reason"],
    "properties": {"index": {"type": "integer"}, "field": {"type": "string"}, "reason": {"type": "string"}},
}
_LIST = {"type": "array", "items": {"$ref": "#/components/schemas/Refusal"}}
_SCHEMAS: dict[str, Any] = {
    "Refusal": _REFUSAL,
    "Outcome": {
        "type": "object",
        "required": ["accepted", "refused"],
        "properties": {
            "accepted": {"type": "integer", "minimum": 0},
            "refused": _LIST,
            "warned": _LIST,
            "quarantined": _LIST,
        },
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "hint": {"type": "string"},
                    "issues": {"type": "array", "items": {"type": "object"}},
                },
            }
        },
    },
}
_ID = {"type": ["string", "integer", "null"]}
_TEXT = {"type": ["string", "null"]}
_OBJECT = {"type": ["object", "null"]}
_CALL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "userId": _ID,
        "anonymousId": _ID,
        "messageId": _TEXT,
        "timestamp": _TEXT,
        "originalTimestamp": _TEXT,
        "sentAt": _TEXT,
        "context": _OBJECT,
        "integrations": {},
    },
}
_OWN: dict[str, dict[str, Any]] = {
    "identify": {"traits": _OBJECT},
    "track": {"event": _TEXT, "properties": _OBJECT},
    "page": {"name": _TEXT, "category": _TEXT, "properties": _OBJECT},
    "screen": {"name": _TEXT, "category": _TEXT, "properties": _OBJECT},
    "group": {"groupId": _ID, "traits": _OBJECT},
    "alias": {"previousId": _ID},
}
_STATUSES = {
    "400": "Nothing of it can be taken",
    "401": "No key, or one that does not count",
    "403": "The key may not do this",
    "413": "Too large, or too many items",
    "415": "A body in a form that is not taken",
    "429": "Come again after the time in Retry-After",
    "503": "Not now: come again after the time in Retry-After",
}


def _errors(*besides: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        code: {"description": _STATUSES.get(code, "Not found"), "content": content} for code in (*_STATUSES, *besides)
    }


def _door_call(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    outcome = {"application/json": {"schema": {"$ref": "#/components/schemas/Outcome"}}}
    return {
        "post": {
            "operationId": name,
            "summary": what,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": {"description": "What was accepted is durable", "content": outcome}, **_errors()},
            "security": [{"writeKey": []}, {"bearer": []}],
        }
    }


def _call_schema(kind: str) -> dict[str, Any]:
    return {**_CALL, "properties": {**_CALL["properties"], **_OWN[kind]}}


def _door_paths() -> dict[str, Any]:
    paths = {f"/v1/{kind}": _door_call(kind, f"One {kind} call", _call_schema(kind)) for kind in _OWN}
    anything = {name: schema for own in _OWN.values() for name, schema in own.items()}
    types = {"type": {"type": "string", "enum": list(_OWN)}}
    item = {**_CALL, "properties": {**_CALL["properties"], **anything, **types}, "required": ["type"]}
    batch = {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "maxItems": LIMITS.request_items, "items": item},
            "context": _OBJECT,
            "sentAt": _TEXT,
            "writeKey": {"type": "string"},
        },
    }
    paths["/v1/batch"] = _door_call("batch", "Many calls", batch)
    paths["/v1/import"] = _door_call("import", "Many calls that give way to live ones; a server key's", batch)
    items = {
        "type": "object",
        "required": ["items"],
        "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/ItemCall"}}},
    }
    paths["/v1/items"] = _door_call("items", "Versions of catalog items; a server key's", items)
    return paths


def document(routes: Iterable[Any]) -> dict[str, Any]:
    """The whole document; `routes` are those of the API that the framework knows."""
    told = get_openapi(title="Mailwright", version=__version__, routes=list(routes))
    _, components = msgspec.json.schema_components([ItemCall], ref_template="#/components/schemas/{name}")
    for operations in told.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"] = {
                **{code: one for code, one in operation["responses"].items() if code != "422"},
                "201": {"description": "Made"},
                "204": {"description": "Done; nothing to say"},
                **_errors("404", "409"),
            }
            operation["security"] = [{"writeKey": []}, {"bearer": []}]
    told["paths"] = _door_paths() | told.get("paths", {})
    told["components"] = {
        "schemas": _SCHEMAS | components,
        "securitySchemes": {
            "writeKey": {"type": "http", "scheme": "basic", "description": "The key as user name, no password"},
            "bearer": {"type": "http", "scheme": "bearer", "description": "The key, or an OAuth access token"},
        },
    }
    return told


@cache
def _document() -> dict[str, Any]:
    from mailwright.web import api, api_jobs, api_segments, api_sources, lists  # here: they are made after this module

    return document(
        route for module in (api, api_segments, api_sources, api_jobs, lists) for route in module.router.routes
    )


@router.get("/v1/openapi.json")
def openapi() -> Response:
    """This API, as OpenAPI 3.1."""
    return json_response(_document())
