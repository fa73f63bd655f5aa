"""The application behind a real uvicorn on a free loopback port, for tests in a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

KEPT_OPEN_S = 600
"""A connection that a test keeps is not closed under it while it, or the machine, does something else."""


def free_socket() -> socket.socket:
    """A listening socket on a free port of this machine: who connects before the server runs waits for it."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    return bound


@contextmanager
def served(app: FastAPI, bound: socket.socket) -> Iterator[None]:
    """Serve `app` on `bound` until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_keep_alive=KEPT_OPEN_S))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
