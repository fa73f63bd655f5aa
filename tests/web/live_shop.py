"""A door over a real engine on the system clock: what is posted is folded, and read back through the same door."""

from __future__ import annotations

import base64
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from serving import KEPT_OPEN_S, free_socket

from mailwright.core.events import Defined
from mailwright.core.ports import DefinitionVersion
from mailwright.ingest.segment import Source
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.sealing import Sealer
from mailwright.privacy.tokens import Tokens
from mailwright.runtime.clocks import SystemClock
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.loop import Engine, Pace
from mailwright.runtime.engine.socket import EngineClient, EngineServer
from mailwright.web.app import create_app
from mailwright.web.context import WebContext, WebSettings
from mailwright.web.project import CurrentProject

__all__ = ["Live", "live_shop", "wait_for"]

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "runtime"))

from engine_world import ThreadJob, World, wait_for, world

FILES = {
    "mailwright.toml": '[project]\nname = "Live"\ntime_zone = "UTC"\n',
    "attributes.yaml": "orders: {title: Orders, value: count of 'Order Completed'}\n",
    "segments.yaml": (
        "customers: {title: Customers, rule: orders >= 1}\n"
        "loyal: {title: Loyal, rule: orders >= 3}\n"
        "lookers: {title: Lookers, rule: did 'Product Viewed' within 2 days}\n"
    ),
}
KEY = "sk_live"
SENT_AHEAD_BYTES = 1 << 18
"""What the machine takes of an answer that nobody reads; left alone it is as much as it likes."""


@dataclass
class Live:
    """A running door and engine."""

    base_url: str
    app: FastAPI
    world: World
    engine: Engine
    client: EngineClient

    @property
    def auth(self) -> dict[str, str]:
        """Headers of a server key."""
        return {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}

    def stream(self, query: str = "") -> str:
        """The address of the stream."""
        return f"{self.base_url.replace('http', 'ws', 1)}/v1/transitions/stream{query}"

    def get(self, path: str, **params: Any) -> httpx.Response:
        return httpx.get(self.base_url + path, headers=self.auth, params=params, timeout=60)

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        return httpx.post(self.base_url + path, headers={**self.auth, **headers}, json=body, timeout=60)

    def track(self, user: str, name: str, key: str, **properties: Any) -> None:
        """Post one event; it is durable when this returns."""
        told = {"userId": user, "event": name, "messageId": key, "properties": properties}
        assert self.post("/v1/track", told).status_code == 200

    def tracks(self, users: list[str], name: str, key: str) -> None:
        """Post an event of each of many users."""
        batch = [{"type": "track", "userId": user, "event": name, "messageId": f"{key}-{user}"} for user in users]
        assert self.post("/v1/batch", {"batch": batch}).status_code == 200

    def size(self, segment: str) -> int:
        return int(self.get(f"/v1/segments/{segment}").json()["size"])


@contextmanager
def live_shop(
    folder: Path,
    files: Mapping[str, str] = FILES,
    adapt: Callable[[WebContext], WebContext] = lambda context: context,
) -> Iterator[Live]:
    """Serve a shop of these definitions until the block ends; `adapt` changes what the application is given."""
    clock = SystemClock()
    with world(folder) as made:
        made.stored.definitions.store(DefinitionVersion(version=1, applied_at=clock.now(), digest="d", files=files))
        made.log.append([Defined(version=1, files=files)], clock.now())
        engine = Engine(
            log=made.log,
            records=made.stored,
            history=HistoryWriter(made.history),
            blobs=made.blobs,
            clock=clock,
            append_ticks=True,
            pace=Pace(checkpoint_s=10**6, checkpoint_events=10**9, history_s=10**6),
            backfill=lambda order, tell: ThreadJob(lambda: made.backfill(order, tell), tell),
        )
        server = EngineServer(engine, folder / "engine.sock")
        client = EngineClient(folder / "engine.sock")
        bound = free_socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AHEAD_BYTES)
        app = create_app(adapt(_context(made, client, clock, f"http://127.0.0.1:{bound.getsockname()[1]}")))
        try:
            with made.running(engine), _served(app, bound):
                wait_for(lambda: _answers(client), "the engine does not answer")
                yield Live(app.state.context.settings.base_url, app, made, engine, client)
        finally:
            client.close()
            server.close()
        assert made.failures == []


def _answers(client: EngineClient) -> bool:
    return client.status().version == 1


def _context(made: World, client: EngineClient, clock: SystemClock, base_url: str) -> WebContext:
    keys = KeyRing.generate()
    return WebContext(
        log=made.log,
        records=made.stored,
        engine=client,
        history=made.history,
        blobs=made.blobs,
        clock=clock,
        lease_clock=clock,
        sealer=Sealer(keys),
        tokens=Tokens(keys),
        sources={KEY: Source("till", "server"), "pk_live": Source("page", "browser")},
        project=CurrentProject(made.stored.definitions, clock),
        settings=WebSettings(base_url=base_url),
    )


@contextmanager
def _served(app: FastAPI, bound: Any) -> Iterator[None]:
    """As `mailwright.web.serve` does it."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            timeout_keep_alive=KEPT_OPEN_S,
            ws="websockets-sansio",
            ws_ping_interval=None,  # who reads nothing answers no ping
            ws_per_message_deflate=False,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        app.state.tail.close_soon()
        thread.join(120)
        assert not thread.is_alive(), "the door does not stop while somebody waits for transitions"
