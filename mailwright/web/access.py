"""Who may use the API: a program with a server key, or somebody who is signed in."""

from __future__ import annotations

from starlette.requests import HTTPConnection

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
