"""What Segment's browser library asks of its host beside taking events: settings, and somewhere to send its metrics.

So a shop that uses it changes two addresses, `cdnURL` and `apiHost`, and nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from mailwright.core.errors import NotFound
from mailwright.web.bodies import read_body
from mailwright.web.described import Answer, ApiRoute, Told, also
from mailwright.web.pages.shell import Context

router = APIRouter(tags=["In the shop's own pages"], route_class=ApiRoute)

_BODY_BYTES = 65_536
CORS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


class SegmentIo(Told, rename="camel"):
    """Where the library sends events."""

    api_key: str
    api_host: str
    protocol: str
    add_bundled_metadata: bool


class LibrarySettings(Told):
    """What Segment's browser library asks for at its start."""

    integrations: dict[str, SegmentIo]
    plan: dict[str, dict[str, str]]
    metrics: dict[str, float]


@router.get("/v1/projects/{key}/settings")
@also(404)
def settings(context: Context, key: Annotated[str, Path(max_length=200)]) -> Answer[LibrarySettings]:
    """Settings of Segment's browser library for a browser key: where to send events, and nothing to load besides."""
    source = context.sources.get(key)
    if source is None or source.kind != "browser":
        raise NotFound("key.browser_settings", "no browser source has this write key", "make one on the page Sources")
    scheme, host, path, *_ = urlsplit(context.settings.base_url)
    segment_io = SegmentIo(api_key=key, api_host=f"{host}{path}/v1", protocol=scheme, add_bundled_metadata=False)
    told = LibrarySettings(integrations={"Segment.io": segment_io}, plan={"track": {}}, metrics={"sampleRate": 0})
    return Answer(told, headers=CORS)


async def _any_body(request: Request) -> None:
    await read_body(request, _BODY_BYTES)


_any_body.struct = Any  # type: ignore[attr-defined]


@router.post("/v1/m", status_code=204, dependencies=[Depends(_any_body)])
def metrics() -> Answer[None]:
    """Takes the measurements that Segment's browser library makes of itself, and keeps none."""
    return Answer(None, headers=CORS)
