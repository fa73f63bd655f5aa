"""What Segment's browser library asks of its host beside taking events: settings, and somewhere to send its metrics.

So a shop that uses it changes two addresses, `cdnURL` and `apiHost`, and nothing else.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import NotFound
from mailwright.web.bodies import json_response, read_body
from mailwright.web.pages.shell import Context

router = APIRouter()

_BODY_BYTES = 65_536
CORS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@router.get("/v1/projects/{key}/settings")
def settings(context: Context, key: Annotated[str, Path(max_length=200)]) -> Response:
    """Settings of Segment's browser library for a browser key: where to send events, and nothing to load besides."""
    source = context.sources.get(key)
    if source is None or source.kind != "browser":
        raise NotFound("key.browser_settings", "no browser source has this write key", "make one on the page Sources")
    scheme, host, path, *_ = urlsplit(context.settings.base_url)
    segment_io = {"apiKey": key, "apiHost": f"{host}{path}/v1", "protocol": scheme, "addBundledMetadata": False}
    told = {"integrations": {"Segment.io": segment_io}, "plan": {"track": {}}, "metrics": {"sampleRate": 0}}
    response = json_response(told)
    response.headers.update(CORS)
    return response


@router.post("/v1/m")
async def metrics(request: Request) -> Response:
    """Takes the measurements that Segment's browser library makes of itself, and keeps none."""
    await read_body(request, _BODY_BYTES)
    return Response(status_code=204, headers=CORS)
