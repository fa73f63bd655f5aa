"""Response headers, and the refusal of requests that another site made a browser send."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For everything but previews. No inline script or style, nothing from other hosts."""

PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'self'; sandbox"
"""For a rendered mail in its frame: it may look as it likes, and do nothing."""

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: under it browsers send `Origin: null` with our own forms, and those would be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}
_DEFAULTS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_HSTS = {"Strict-Transport-Security": "max-age=31536000"}

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WITHOUT_COOKIES = ("/v1/", "/u/", "/oauth/", "/f/", "/k/", "/a/", "/p/", "/w/")
"""Unsafe methods here act on a key, a signature or a signed token, never on a cookie: another site gains nothing."""


def safe_headers(*, secure: bool) -> list[tuple[bytes, bytes]]:
    """The headers that `Guard` gives an answer that has none of its own, for what answers before it."""
    headers = _ALWAYS | _DEFAULTS | (_HSTS if secure else {})
    del headers["Cross-Origin-Resource-Policy"]
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


class Guard:
    """ASGI middleware: security headers on every answer; cross-site unsafe requests to pages are refused with 403."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._always = _ALWAYS | (_HSTS if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._always)
                for name, value in _DEFAULTS.items():
                    headers.setdefault(name, value)
            await send(message)

        app: ASGIApp = self._app if _allowed(scope) else _CROSS_SITE
        await app(scope, receive, send_with_headers)


_CROSS_SITE = JSONResponse(
    {"error": {"code": "request.cross_site", "message": "this request did not come from one of our own pages"}}, 403
)


def _allowed(scope: Scope) -> bool:
    if scope["method"] in _SAFE or scope["path"].startswith(_WITHOUT_COOKIES):
        return True
    return same_origin(Headers(scope=scope))


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that one of our own pages sent this. Without a word about it: no."""
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None:
        return site == "same-origin"
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
