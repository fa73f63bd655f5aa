"""Who asks: the network address behind a request."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from mailwright.ingest.context.addresses import client_address
from mailwright.web.context import WebContext


def network_address(request: Request) -> str:
    """Whose request it is, as far as trusted proxies tell; empty if nobody knows."""
    context: WebContext = request.app.state.context
    proxies = context.settings.trusted_proxies
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")) if proxies else ""
    return client_address(request.client.host, forwarded, proxies) if request.client else ""


def network_of(address: str) -> str:
    """By what a flood is counted: an IPv4 address itself, of IPv6 the /64, all of which one household has."""
    try:
        told = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(told, ipaddress.IPv4Address):
        return address
    return str(told.ipv4_mapped or ipaddress.ip_network((told.packed, 64), strict=False))
