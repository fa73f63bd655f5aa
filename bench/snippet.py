"""What the snippet costs a page: its times to "content ready" and to "load" in Chromium, with and without it in turns.

The page is a shop's: 60 KB of markup, a style sheet, ten pictures. Each load is a new browser profile, so nothing is
cached. Times are the browser's own (Navigation Timing), medians.
"""

from __future__ import annotations

import gzip
import http.server
import shutil
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from bench._served import served
from mailwright.runtime.write_keys import create_key
from mailwright.web.templating import BUNDLE

ROUNDS = 21
LIMIT_BYTES = 3 * 1024
_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(20_000)
_STYLE = b"p { margin: 0.5em }\n" * 500
_BODY = (
    "".join(
        f'<p>Product {n}, a good one for every day</p><img src="/picture-{n}.png" width="9" height="9">'
        for n in range(10)
    )
    + "<p>Words about this shop and its goods.</p>" * 1_400
)
_TIMES = """() => {
  const told = performance.getEntriesByType('navigation')[0]
  return [told.domContentLoadedEventEnd, told.loadEventEnd]
}"""


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what was measured beside it in the same run."""
    with served(["door"]) as door:
        key = create_key(door.there.records.sources, "pages", server=False, now=door.there.wall.now())
        source = f"http://127.0.0.1:{door.port}/snippet.js"
        line = f'<script async src="{source}" data-key="{key}" data-consent="implied"></script>'
        with _shop({"/without": "", "/with": line}) as base:
            times = _measured(base)
    on = f"a page of 60 KB with ten pictures, Chromium, fresh profile each, {ROUNDS} loads each in turns, same machine"
    first = len(gzip.compress((BUNDLE / "snippet.js").read_bytes(), 9))
    whole = first + len(gzip.compress((BUNDLE / "snippet-shop.js").read_bytes(), 9))
    (ready, load), (ready_without, load_without) = times["/with"], times["/without"]
    parts = f"limit {LIMIT_BYTES:,}; with the shop's part {whole:,}"
    return [
        _row("bytes that every page loads", "gzip", first, "bytes", parts),
        _row("content ready with it", on, ready, "ms", f"without it {ready_without:.0f} ms"),
        _row("load event with it", on, load, "ms", f"without it {load_without:.0f} ms"),
    ]


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    return {"what": f"snippet: {what}", "on": on, "figure": round(figure), "unit": unit, "beside": beside}


def _measured(base: str) -> dict[str, tuple[float, float]]:
    """Page -> median milliseconds to content ready and to load."""
    found: dict[str, list[tuple[float, float]]] = {"/without": [], "/with": []}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        for _ in range(ROUNDS):
            for path, times in found.items():
                page = browser.new_context().new_page()
                page.goto(base + path, wait_until="load")
                page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
                times.append(tuple(page.evaluate(_TIMES)))
                page.context.close()
        browser.close()
    return {
        path: (statistics.median(one for one, _ in times), statistics.median(one for _, one in times))
        for path, times in found.items()
    }


@contextmanager
def _shop(pages: dict[str, str]) -> Iterator[str]:
    """The address of a server of these pages, by path the tags in their head."""

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            head = f'<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/s.css">{pages.get(self.path)}'
            kind, body = "text/html", (head + _BODY).encode()
            if self.path not in pages:
                kind, body = ("text/css", _STYLE) if self.path.endswith(".css") else ("image/png", _PICTURE)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
