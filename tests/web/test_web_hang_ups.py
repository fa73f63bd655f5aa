"""Clients that hang up while they send: it happens every day, and the log of the process says nothing of it."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from seeded_shop import Shop
from serving import free_socket, served

from mailwright.web.app import create_app

SERVER = "Authorization: Bearer sk_server\r\n"
LINES = SERVER + "Content-Type: application/x-ndjson\r\n"


class Kept(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logging_kept() -> Iterator[list[logging.LogRecord]]:
    """What is logged from now on; to be entered when the server is there, which sets the logs up."""
    kept, loggers = Kept(), [logging.getLogger(name) for name in ("uvicorn.error", "mailwright", "asyncio")]
    for one in loggers:
        one.addHandler(kept)
    try:
        yield kept.records
    finally:
        for one in loggers:
            one.removeHandler(kept)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/track", SERVER),
        ("/v1/batch", SERVER + "Content-Encoding: gzip\r\n"),
        ("/v1/items", SERVER),
        ("/v1/import", LINES),
        ("/v1/forms/club", ""),
        ("/v1/segments/preview", SERVER),
        ("/v1/people/merge", SERVER),
        ("/f/club", ""),
        ("/w/orders", ""),
        ("/login", "Content-Type: application/x-www-form-urlencoded\r\n"),
        ("/oauth/token", ""),
    ],
)
def test_a_client_that_hangs_up_while_it_sends_is_no_fault(fresh_shop: Shop, path: str, headers: str) -> None:
    begun, finished = threading.Event(), threading.Event()
    app, bound = create_app(fresh_shop.context), free_socket()
    port = bound.getsockname()[1]

    async def watched(scope, receive, send):  # type: ignore[no-untyped-def]
        async def received():  # type: ignore[no-untyped-def]
            begun.set()
            return await receive()

        try:
            await app(scope, received, send)
        finally:
            if scope["path"] == path:
                begun.set()  # some are refused unread
                finished.set()

    with served(watched, bound), logging_kept() as logged:  # type: ignore[arg-type]
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 500\r\n{headers}\r\n"
            client.sendall(head.encode() + b'{"event": ')
            assert begun.wait(120), "it does not come in"
        assert finished.wait(120)
        again = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        again.request("GET", "/healthz")
        assert again.getresponse().status in (200, 503)
        again.close()
    assert [record.getMessage() for record in logged if record.levelno >= logging.WARNING] == []
    assert fresh_shop.events() == []
