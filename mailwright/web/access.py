"""Who may use the API: a program with a server key, or somebody who is signed in."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request

from mailwright.web.context import WebContext
from mailwright.web.errors import NotSignedIn, Refused
from mailwright.web.keys import write_key
from mailwright.web.security import same_origin
from mailwright.web.sessions import signed_in


def allowed(request: HTTPConnection) -> None:
    """Let a signed-in user or a server key in.

    A session counts for anything but a plain read only if one of our own pages sent it: browsers send cookies along
    whichever site asks, and to a WebSocket's opening too.

    Raises:
        NotSignedIn: If the request has neither.
        Refused: If another site made a browser send it.
    """
    context: WebContext = request.app.state.context
    key = write_key(request.headers.get("authorization"))
    if key is None:
        signed_in(request)
        if request.scope.get("method") not in ("GET", "HEAD") and not same_origin(request.headers):
            raise Refused("request.cross_site", "this request did not come from one of our own pages")
        return
    source = context.sources.get(key)
    if source is None or source.kind != "server":
        raise NotSignedIn("key.unknown", "this key may not read", "use a server key (sk_...) or sign in")


def server_key(request: Request) -> None:
    """Let a server key in, and nobody else.

    Raises:
        NotSignedIn: Without a key, or with one that is none.
        Refused: ``key.server``, for a browser key.
    """
    key = write_key(request.headers.get("authorization"))
    context: WebContext = request.app.state.context
    source = context.sources.get(key) if key else None
    if source is None:
        message = "no source has this write key" if key else "the request has no write key"
        raise NotSignedIn("key.unknown" if key else "key.missing", message, "use a server key (sk_...)")
    if source.kind != "server":
        raise Refused("key.server", "only a server key may send rows", "use an sk_ key")


def owner(request: Request) -> None:
    """Let in who may make and revoke keys, start jobs and leave findings alone: a server key or a session.

    An access token lasts an hour, and a key that it made would outlast it and its client.

    Raises:
        Refused: ``key.token``.
    """
    key = write_key(request.headers.get("authorization"))
    if key is not None and not key.startswith("sk_"):
        raise Refused("key.token", "an access token may not do this", "use a server key (sk_...) or sign in")


def asker(request: Request) -> str:
    """Who asks, for what is kept of it: the user who is signed in, or ``key of NAME``."""
    user = getattr(request.state, "user", None)
    if user:
        return str(user)
    context: WebContext = request.app.state.context
    source = context.sources.get(write_key(request.headers.get("authorization")) or "")
    return f"key of {source.name}" if source else "unknown"
