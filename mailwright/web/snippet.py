"""The scripts that any shop's pages load, the snippet and the one of forms: small, cacheable, from another origin.

Their addresses carry no digest, for they stand in pages that nobody changes for years; so browsers keep them for an
hour and then ask by ETag.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import Response

from mailwright.core.errors import NotFound
from mailwright.web.templating import BUNDLE

router = APIRouter(tags=["In the shop's own pages"])

_PART = re.compile(r"[a-z_]{1,32}")
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Timing-Allow-Origin": "*",
    "Vary": "Accept-Encoding",
}


@router.api_route("/snippet.js", methods=["GET", "HEAD"])
def snippet(request: Request) -> Response:
    """What the install line loads."""
    return _script(request, "snippet.js")


@router.api_route("/snippet/{part}.js", methods=["GET", "HEAD"])
def part(request: Request, part: str) -> Response:
    """What the snippet loads where it is used: `shop`, `banner`, `analytics`."""
    return _script(request, f"snippet-{part}.js" if _PART.fullmatch(part) else "")


@router.api_route("/forms.js", methods=["GET", "HEAD"])
def forms(request: Request) -> Response:
    """What puts a form into any page; `data-form` names it."""
    return _script(request, "forms.js")


def _script(request: Request, name: str) -> Response:
    path = BUNDLE / name
    if not name or not path.is_file():
        raise NotFound("snippet.missing", "the browser bundle has no such script", "npm ci && node build.mjs")
    plain, packed, tag = _packed(name, path.stat().st_mtime_ns)
    told = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    headers = _HEADERS | {"ETag": tag}
    if tag in told or "*" in told:
        return Response(status_code=304, headers=headers)
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(packed if zipped else plain, headers=headers, media_type="text/javascript")


@cache
def _packed(name: str, _written: int) -> tuple[bytes, bytes, str]:
    """(as it is, gzipped, ETag) of a script as it was written then."""
    plain = (BUNDLE / name).read_bytes()
    return plain, gzip.compress(plain, 9, mtime=0), f'"{hashlib.sha256(plain).hexdigest()[:20]}"'
