"""Who asks: the network address behind a request."""

from __future__ import annotations

from starlette.requests import Request

from mailwright.ingest.context.addresses import client_address
from mailwright.web.context import WebContext


def network_address(request: Request) -> str:
    """Whose request it is, as far as trusted proxies tell; empty if nobody knows."""
    context: WebContext = request.app.state.context
    proxies = context.settings.trusted_proxies
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")) if proxies else ""
    return client_address(request.client.host, forwarded, proxies) if request.client else ""
