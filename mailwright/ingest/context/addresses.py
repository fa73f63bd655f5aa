"""IP addresses: whose a request is, and how little of one is kept."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from mailwright.core.errors import InvalidInput
from mailwright.core.places import Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_KEPT_BITS = {4: 24, 6: 48}


def networks(texts: Sequence[str], path: str) -> tuple[Network, ...]:
    """The networks of addresses and CIDR texts; `path` is where they are declared.

    Raises:
        InvalidInput: If one is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError as error:
            message = f"{text!r} is neither an address nor a network"
            raise InvalidInput.one(
                "settings.network", message, path=path, hint="write it like 10.0.0.0/8 or ::1"
            ) from error
    return tuple(found)


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Whose request it is.

    Args:
        peer: The other end of the connection.
        forwarded: ``X-Forwarded-For`` as it came; empty if there was none.
        trusted: Proxies whose word counts. What anybody else says of itself counts nothing.

    Returns:
        `peer`, or where `peer` is a trusted proxy the last address in `forwarded` that is no trusted proxy's: each
        proxy adds at the end whom it saw, and what stands before that may be invented.
    """
    if not forwarded or not trusted or not _is_in(peer, tuple(trusted)):
        return peer
    found = peer
    for told in reversed(forwarded.split(",")):
        address = read_address(_without_port(told.strip()))
        if address is None:
            break
        found = str(address)
        if not _is_in(found, tuple(trusted)):
            break
    return found


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


@lru_cache(maxsize=4096)
def _is_in(text: str, trusted: tuple[Network, ...]) -> bool:
    address = read_address(text)
    return address is not None and any(address in network for network in trusted)


def read_address(text: str) -> Address | None:
    """The address that `text` is, an IPv4 one that is written as IPv6 as itself; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def truncated(address: Address) -> str:
    """The address with its end set to zero: /24 of IPv4, /48 of IPv6, which many people share."""
    network = ipaddress.ip_network((address, _KEPT_BITS[address.version]), strict=False)
    return str(network.network_address)
