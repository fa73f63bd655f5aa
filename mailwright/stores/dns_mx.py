"""Asks DNS whether a domain takes mail: MX records, else an address, as RFC 5321 (5.1) says; a null MX says no."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.resolver

TIMEOUT_S = 2.0
KNOWN_S = 3600.0
"""How long an answer is believed."""

QUIET_S = 30.0
"""After a question that nobody answered, DNS is left alone so long: a form must not wait for it each time."""

_MOST_KNOWN = 10_000

_EVERYWHERE = dns.name.from_text("com.")
"""A name that any resolver knows that can ask the world."""

_log = logging.getLogger(__name__)


class DnsMailDomains:
    """The MailDomains port. Safe to use from many threads."""

    def __init__(self, servers: Sequence[str] = (), *, port: int = 53, timeout_s: float = TIMEOUT_S) -> None:
        """Ask `servers` (addresses), or those that the machine is configured with; none configured: never an answer."""
        self._known: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._resolver: dns.resolver.Resolver | None = None
        try:
            self._resolver = dns.resolver.Resolver(configure=not servers)
        except dns.exception.DNSException:  # a machine without /etc/resolv.conf
            return
        if servers:
            self._resolver.nameservers = list(servers)
            self._resolver.port = port
        self._resolver.timeout = self._resolver.lifetime = timeout_s

    def takes_mail(self, domain: str) -> bool | None:
        """See `mailwright.core.ports.MailDomains.takes_mail`."""
        now = time.monotonic()
        with self._lock:
            answer, until = self._known.get(domain, (None, 0.0))
            if now < until:
                return answer
            if self._resolver is None or now < self._quiet_until:
                return None
        found = self._asked(self._resolver, domain)
        with self._lock:
            if found is None:
                self._quiet_until = time.monotonic() + QUIET_S
                return None
            self._known[domain] = (found, time.monotonic() + KNOWN_S)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return found

    def _asked(self, resolver: dns.resolver.Resolver, domain: str) -> bool | None:
        try:
            answer = resolver.resolve(dns.name.from_text(domain), "MX")
            return any(record.exchange != dns.name.root for record in answer)
        except dns.resolver.NXDOMAIN:
            return False if self._sees_the_world(resolver) else None
        except dns.resolver.NoAnswer:
            return self._has_address(resolver, domain)
        except (dns.exception.DNSException, OSError):
            return None

    def _sees_the_world(self, resolver: dns.resolver.Resolver) -> bool:
        """Whether a "no such name" means anything: a resolver of a closed network says it of every name outside."""
        try:
            resolver.resolve(_EVERYWHERE, "SOA")
            return True
        except (dns.exception.DNSException, OSError):
            _log.warning("DNS knows no %s here, so whether a domain takes mail is not asked", _EVERYWHERE)
            return False

    def _has_address(self, resolver: dns.resolver.Resolver, domain: str) -> bool | None:
        for kind in ("A", "AAAA"):
            try:
                resolver.resolve(dns.name.from_text(domain), kind)
                return True
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            except (dns.exception.DNSException, OSError):
                return None
        return False
