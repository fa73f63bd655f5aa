"""Which addresses may be asked from here: public ones, and what the installation has declared as its own.

A name is resolved once, its addresses are checked, and the connection goes to a checked address: a name that points
elsewhere a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from mailwright.core.errors import InvalidInput, Permanent, Transient

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str], Sequence[str]]
"""Addresses of a host name, as text; raises OSError if there are none."""

_PORTS = {"http": 80, "https": 443}
# Networks whose addresses carry an IPv4 address that they lead to, with the place of its bits from the right.
_EMBEDDING = (
    (ipaddress.ip_network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ipaddress.ip_network("2002::/16"), 80),  # 6to4
    (ipaddress.ip_network("::/96"), 0),  # IPv4-compatible
    (ipaddress.ip_network("::ffff:0:0/96"), 0),  # IPv4-mapped
)
# Not public either, whatever this Python's tables say.
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata among them
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments, Teredo
        "64:ff9b:1::/48",  # NAT64 of our own network
        "fec0::/10",  # site-local
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)


def resolve(host: str) -> list[str]:
    """What the machine's resolver says."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))


def is_public(address: Address) -> bool:
    """Whether an address is on the public Internet: not private, loopback, link-local, multicast, reserved, shared."""
    if any(address in network for network in _NEVER):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        for network, shift in _EMBEDDING:
            if address in network:
                return is_public(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A checked place to connect to: `url` says where as asked, `addresses`, at least one, where exactly."""

    url: SplitResult
    host: str
    port: int
    addresses: Sequence[Address]

    @property
    def origin(self) -> str:
        """Scheme, host and port; all of a URL that may be shown."""
        return f"{self.url.scheme}://{self.host}:{self.port}"


class _Allowed:
    """One entry of the installation's own: ``intranet.example``, ``127.0.0.1:8080``, ``10.1.0.0/16``."""

    def __init__(self, entry: str) -> None:
        self.network = _network(entry)
        host, colon, port = entry.rpartition(":")
        named = bool(colon) and port.isdecimal() and "]" not in port and (":" not in host or host.endswith("]"))
        self.host = (host if named else entry).strip("[]").lower()
        self.port = int(port) if named and not self.network else None

    def fits(self, host: str, port: int, address: Address) -> bool:
        if self.network is not None:
            return address in self.network
        return self.host in (host, str(address)) and self.port in (None, port)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in entry:
        return None
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise InvalidInput.one(
            "settings.invalid",
            f"[outgoing] allow: {entry!r} is no network: {error}",
            hint="write a host, host:port or a network such as 10.1.0.0/16",
        ) from None


@dataclass(slots=True)
class Guard:
    """Checks where a URL leads.

    Attributes:
        allow: Hosts, host:port or networks that may be asked though they are not public, on any port.
        ports: Ports that may be asked of everybody else.
        resolver: How names become addresses.
    """

    allow: Sequence[str] = ()
    ports: Sequence[int] = (80, 443)
    resolver: Resolver = resolve
    _entries: list[_Allowed] = field(init=False)
    _resolving: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._entries = [_Allowed(entry) for entry in self.allow]
        self._resolving = ThreadPoolExecutor(8, thread_name_prefix="resolve")  # a resolver has no timeout of its own

    def check(self, url: str, timeout_s: float) -> Target:
        """Where `url` leads.

        Raises:
            Permanent: ``fetch.refused``.
            Transient: ``fetch.failed``, if its name has no address, or none in time.
        """
        parts, host, port = _parsed(url)
        addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in self._resolved(host, timeout_s)]
        own = [each for each in addresses if any(entry.fits(host, port, each) for entry in self._entries)]
        if own:
            return Target(url=parts, host=host, port=port, addresses=own)
        public = [address for address in addresses if is_public(address)]
        if not public:
            raise _refused(f"{host} leads to no public address")
        if port not in self.ports:
            raise _refused(f"port {port} of {host} is not among {', '.join(map(str, self.ports))}")
        return Target(url=parts, host=host, port=port, addresses=public)

    def close(self) -> None:
        """Let go of threads; one that still resolves ends by itself."""
        self._resolving.shutdown(wait=False, cancel_futures=True)

    def _resolved(self, host: str, timeout_s: float) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            found = self._resolving.submit(self.resolver, host).result(timeout_s)
        except (OSError, UnicodeError, FutureTimeout):
            found = []
        if not found:
            raise Transient("fetch.failed", f"the name {host} has no address", "check its spelling, or try again")
        return found


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        if host and not host.isascii():
            host = host.encode("idna").decode()
    except (ValueError, UnicodeError):
        raise _refused("the URL cannot be read") from None
    if parts.scheme not in _PORTS or not host:
        raise _refused(f"only http and https are asked, not {parts.scheme or 'a URL without a scheme'!r}")
    if parts.username is not None or parts.password is not None:
        raise _refused(f"the URL of {host} holds a user name: send it as a header")
    if any(each <= " " or each == "\x7f" for each in url):
        raise _refused(f"the URL of {host} holds a blank or control character")
    return parts, host.lower(), port or _PORTS[parts.scheme]


def _refused(why: str) -> Permanent:
    hint = "only public addresses are asked; name a service of your own in [outgoing] allow"
    return Permanent("fetch.refused", f"this is not asked: {why}", hint)
