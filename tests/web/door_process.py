"""A real door and engine in processes of their own, and a proxy that breaks answers, for the vendors' clients."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mailwright.core.events import Event, Events
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings
from mailwright.runtime.supervisor import children, listen
from mailwright.runtime.write_keys import create_key

PATIENCE_S = 120


@dataclass
class RunningDoor:
    """What a client needs to know, and what the door has made of it."""

    there: Installation
    base_url: str
    server_key: str
    browser_key: str

    def events(self, source: str) -> list[Event]:
        """All of a source in the log, repeated ones too."""
        bodies = [record.body for record in self.there.log.read(0, 100_000)]
        found = [event for body in bodies if isinstance(body, Events) for event in body.events]
        return [event for event in found if event.source == source]

    def wait_for(self, source: str, types: Sequence[str]) -> dict[str, Event]:
        """Type -> event, once all types have come."""

        def there() -> dict[str, Event] | None:
            found = {event.type: event for event in self.events(source)}
            return found if set(types) <= found.keys() else None

        found: dict[str, Event] = wait_until(f"{types} of {source}", there)
        return found

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self.base_url}/v1/status", auth=(self.server_key, ""), timeout=60).json()
        return told


def wait_until(what: str, found: Any) -> Any:
    """What `found` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if got := found():
            return got
        time.sleep(0.05)
    raise TimeoutError(what)


@contextmanager
def running_door(kept: Path, names: Sequence[str] = ("door", "engine")) -> Iterator[RunningDoor]:
    """The starter project with the named processes, until the block ends."""
    with ExitStack() as stack:
        folder = kept / "project"
        starter.write(folder)
        (folder / "tracking-plan.yaml").write_text("standard: [ecommerce]\n")
        there = open_installation(load_settings(folder))
        stack.callback(there.close)
        apply(there, plan(there))
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sources, now = there.records.sources, there.wall.now()
        server = create_key(sources, "shop", server=True, now=now)
        browser = create_key(sources, "site", server=False, now=now)
        for child in children(folder, listener, base_url=base_url):
            if child.name in names:
                stack.callback(child.stop)
                child.start()

        def answers() -> bool:
            try:
                return httpx.get(f"{base_url}/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        wait_until("the door", answers)
        yield RunningDoor(there, base_url, server, browser)


@contextmanager
def breaking_proxy(to: str) -> Iterator[tuple[str, list[int]]]:
    """A proxy that passes the first request on and then says 500, as one that lost the answer; then it behaves.

    Yields its address and the statuses that it gave.
    """
    given: list[int] = []
    turn = threading.Lock()

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            passed = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            with turn:  # of two at once it is still the first whose answer is lost
                answer = httpx.post(to + self.path, content=body, headers=passed, timeout=60)
                status = answer.status_code if given else 500
                given.append(status)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", given
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
