"""The Fetch port on httpx: guarded against internal addresses, bounded in time and size, kind to a failing service."""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlunsplit

import httpx

from mailwright.core.errors import Permanent, Transient
from mailwright.core.fetching import FetchAnswer, FetchRequest, ServiceHealth
from mailwright.core.instants import SECOND, Instant, from_datetime
from mailwright.core.ports import Clock
from mailwright.stores.fetch_guard import Address, Guard, Target
from mailwright.stores.fetch_services import AnswerCache, Services

MAX_REDIRECTS = 3

_REDIRECTS = (301, 302, 303, 307, 308)
# Headers that another host may see after a redirect; the conditions are what it said itself the last time.
_KEPT_ELSEWHERE = ("accept", "accept-language", "user-agent", "if-none-match", "if-modified-since")
_MAX_HEADER_BYTES = 4_000
_MAX_ADDRESSES = 4  # of one name

for _chatty in ("httpx", "httpcore"):  # they would log URLs, and with them addresses and keys
    logging.getLogger(_chatty).setLevel(logging.WARNING)


class HttpxFetch:
    """See `mailwright.core.ports.Fetch`."""

    def __init__(
        self,
        guard: Guard,
        clock: Clock,
        *,
        per_minute: int = 60,
        user_agent: str = "Mailwright",
        certificates: str | None = None,
        on_change: Callable[[ServiceHealth], None] = lambda _: None,
        folder: Path | None = None,
    ) -> None:
        """Ask what `guard` lets through.

        Args:
            guard: Checks every address, redirects included.
            clock: The machine's, also where the project's is virtual: services live outside.
            per_minute: Budget of a request that names none.
            user_agent: What we call ourselves.
            certificates: A PEM file of authorities to trust instead of the usual ones.
            on_change: Told when a service begins to fail, is paused, or does well again.
            folder: Where processes share budgets and breakers; without, they are this one's alone.
        """
        self._guard = guard
        self._clock = clock
        self._per_minute = per_minute
        self._user_agent = user_agent
        self._certificates = certificates
        self._cache = AnswerCache()
        self.services = Services(clock.now, on_change, folder)

    def fetch(self, request: FetchRequest) -> FetchAnswer:
        """See `mailwright.core.ports.Fetch.fetch`."""
        key = _key(request) if request.method == "GET" and (request.fresh_s or request.stale_s) else None
        if key and (found := self._cache.find(key, self._clock.now(), request.fresh_s)):
            return found
        try:
            answer = self._asked(request)
        except Transient:
            stale = self._cache.find(key, self._clock.now(), request.stale_s) if key else None
            if stale is None:
                raise
            return stale
        if answer.status >= 500 or answer.status == 429:
            stale = self._cache.find(key, self._clock.now(), request.stale_s) if key else None
            return stale or answer
        if key and 200 <= answer.status < 300:
            self._cache.keep(key, answer)
        return answer

    def close(self) -> None:
        """Let go of threads."""
        self._guard.close()

    def _asked(self, request: FetchRequest) -> FetchAnswer:
        name = request.service
        self.services.begin(name, self._per_minute if request.per_minute is None else request.per_minute)
        try:
            answer = self._followed(request, monotonic() + request.timeout_s)
        except Transient as error:
            self.services.failed(name, error.message)
            raise
        except BaseException:
            self.services.no_answer_to_judge(name)
            raise
        if answer.status >= 500 or answer.status == 429:
            wait = _retry_after(answer, self._clock.now())
            self.services.failed(name, f"it answered {answer.status}", wait)
        else:
            self.services.answered(name)
        return answer

    def _followed(self, request: FetchRequest, until: float) -> FetchAnswer:
        url = request.url
        headers = {"user-agent": self._user_agent} | {name.lower(): each for name, each in request.headers.items()}
        target = self._guard.check(url, _left(until))
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._once(request, target, headers, until)
            to = answer.headers.get("location")
            if answer.status not in _REDIRECTS or request.method != "GET" or not to:
                return answer
            url = urljoin(url, to)
            following = self._guard.check(url, _left(until))
            if target.url.scheme == "https" and following.url.scheme == "http":
                raise Permanent("fetch.refused", f"{target.host} redirects from https to http, which is not followed")
            if following.origin != target.origin:
                headers = {name: value for name, value in headers.items() if name in _KEPT_ELSEWHERE}
            target = following
        raise Permanent("fetch.refused", f"{target.host} redirects more than {MAX_REDIRECTS} times")

    def _once(self, request: FetchRequest, target: Target, headers: Mapping[str, str], until: float) -> FetchAnswer:
        """One hop. Where a name has several addresses the next one is tried if a connection cannot be made."""
        addresses = target.addresses[:_MAX_ADDRESSES]
        with _Deadline(_left(until)) as deadline, self._translated(target, deadline):
            for place, address in enumerate(addresses):
                share = _left(until) / (len(addresses) - place)
                try:
                    return self._connected(request, target, address, headers, until, share, deadline)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if place == len(addresses) - 1:
                        raise
        raise AssertionError("a target has an address")

    def _connected(
        self,
        request: FetchRequest,
        target: Target,
        address: Address,
        headers: Mapping[str, str],
        until: float,
        connect_s: float,
        deadline: _Deadline,
    ) -> FetchAnswer:
        with httpx.Client(verify=self._tls, trust_env=False, follow_redirects=False) as client:
            asked = client.build_request(
                request.method,
                _at_address(target, address),
                headers={"accept": "*/*", **headers, "accept-encoding": "gzip", "host": _host_header(target)},
                content=request.body or None,
                timeout=httpx.Timeout(_left(until), connect=connect_s),
                extensions={"sni_hostname": target.host, "trace": deadline.trace},
            )
            response = client.send(asked, stream=True)
            try:
                body = b"".join(_bounded(response, request.max_bytes))
            finally:
                response.close()
        return FetchAnswer(status=response.status_code, headers=_headers(response), body=body, at=self._clock.now())

    @contextmanager
    def _translated(self, target: Target, deadline: _Deadline) -> Iterator[None]:
        """Httpx's errors as ours; what they say may hold the URL, so only their kind is told."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            late = deadline.passed or isinstance(error, httpx.TimeoutException)
            what = "did not answer in time" if late else _in_words(error)
            raise Transient("fetch.failed", f"{target.host} {what}", "try again later") from None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made at first use, for it takes a while, and then shared."""
        return ssl.create_default_context(cafile=self._certificates)


class _Deadline:
    """Cuts the connection when time is up: a server that sends a byte now and then would hold us for ever."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Httpcore's hook; TLS takes the socket over, so a duplicate of it is kept."""
        if event == "connection.connect_tcp.complete":
            opened = info["return_value"].get_extra_info("socket").dup()
            with self._lock:
                self._sockets.append(opened)
            if self.passed:
                self._cut()

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def _cut(self) -> None:
        self.passed = True
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """The body, unpacked by and by, and never more than `limit` bytes of it in memory, raw or unpacked."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Transient("fetch.failed", f"the answer is encoded as {encoding[:20]!r}, which was not asked for")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in encoding else None
    n_raw = n_made = 0
    for chunk in response.iter_raw(16_384):
        n_raw += len(chunk)
        try:
            part = unpack.decompress(chunk, limit + 1 - n_made) if unpack else chunk
        except zlib.error:
            raise Transient("fetch.failed", "the answer is broken: it is no gzip data") from None
        n_made += len(part)
        if max(n_raw, n_made) > limit:
            raise Permanent(
                "fetch.too_large", f"the answer has more than {limit:,} bytes", "ask for less, or allow more"
            )
        yield part
    if unpack and n_raw and not unpack.eof:
        raise Transient("fetch.failed", "the answer is broken: it ends too early")


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise Transient("fetch.failed", "the service did not answer in time", "try again later")
    return left


def _at_address(target: Target, address: Address) -> str:
    shown = f"[{address}]" if address.version == 6 else str(address)
    return urlunsplit((target.url.scheme, f"{shown}:{target.port}", target.url.path or "/", target.url.query, ""))


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}[target.url.scheme]
    return host if target.port == usual else f"{host}:{target.port}"


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value[:_MAX_HEADER_BYTES] for name, value in response.headers.items()}


def _in_words(error: Exception) -> str:
    if "CERTIFICATE" in str(error).upper():
        return "has a certificate that is not trusted"
    if isinstance(error, httpx.ConnectError | OSError):
        return "cannot be reached"
    return "broke off its answer"


def _retry_after(answer: FetchAnswer, now: Instant) -> float | None:
    """Seconds, from either form of the header; None if there is none that can be read."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return (from_datetime(at if at.tzinfo else at.replace(tzinfo=UTC)) - now) / SECOND


def _key(request: FetchRequest) -> str:
    told = "\0".join([request.service, request.url, *(f"{k.lower()}:{v}" for k, v in sorted(request.headers.items()))])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
