"""A shop's own pages, on another origin than the door, with the snippet installed in every way that there is."""

from __future__ import annotations

import io
import json
import wave
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import httpx
from live_shop import FILES, Live, live_shop, wait_for
from serving import free_socket, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mailwright.core.events import Event, Events
from mailwright.ingest.segment import Source
from mailwright.web.context import WebContext
from mailwright.web.visits import VISIT

if TYPE_CHECKING:
    from playwright.sync_api import Page


def stub(door: str, **options: Any) -> str:
    """The install line, as docs/how-to/install-the-snippet.md has it."""
    told = json.dumps({"key": "pk_live", **options})
    return f"""!function(w,d,u,o){{var m=w.mailwright=w.mailwright||function(){{(m.q=m.q||[]).push(arguments)}};
if(m.o||m.live)return;m.o=o;var s=d.createElement('script');s.async=1;s.src=u+'/snippet.js';d.head.appendChild(s)
}}(window,document,'{door}',{told});"""


def by_hand(to: Heard, **options: Any) -> str:
    """In the page's head, as text."""
    return f"<script>{stub(to.door, key=to.key, **options)}</script>"


def by_tag(to: Heard, **options: Any) -> str:
    """One tag without any inline script, for pages with a strict policy."""
    told = "".join(f' data-{name}="{str(value).lower()}"' for name, value in options.items())
    return f'<script async src="{to.door}/snippet.js" data-key="{to.key}"{told}></script>'


def by_container(to: Heard, **options: Any) -> str:
    """As a tag manager does it: a container that takes over the data layer and later injects a custom HTML tag."""
    tag = json.dumps(by_hand(to, **options)).replace("</", "<\\/")
    return f"""<script>(function(w){{
  w.dataLayer=w.dataLayer||[];w.dataLayer.push({{'gtm.start':Date.now(),event:'gtm.js'}});
  var push=w.dataLayer.push;w.dataLayer.push=function(){{return push.apply(w.dataLayer,arguments)}};
  setTimeout(function(){{
    var box=document.createElement('div');box.innerHTML={tag};
    var s=document.createElement('script');s.text=box.firstChild.text;document.body.appendChild(s);
  }},50);
}})(window)</script>"""


def both(to: Heard, **options: Any) -> str:
    """By a tag, by hand and through the tag manager, so that the script itself is loaded twice."""
    return by_tag(to, **options) + by_hand(to, **options) + by_container(to, **options)


INSTALLS = {"hand": by_hand, "tag": by_tag, "container": by_container, "both": both}


def clip(seconds: float = 1.6) -> bytes:
    """A sound that a <video> plays."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes([128]) * int(8000 * seconds))
    return file.getvalue()


@dataclass
class ShopPages:
    """Pages by path; every test puts its own. `base_url` is known once it is served."""

    base_url: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    _relays: dict[str, tuple[str, list[int]]] = field(default_factory=dict)

    def relay(self, to: Heard, *troubles: int) -> list[int]:
        """Pass on to its door what comes here with this key; the troubles that are left.

        Those are statuses that the calls get first: 502 after the door took them, others instead. Pages of other tests
        may still send something; theirs has another key.
        """
        _, left = self._relays[to.key] = to.door, list(troubles)
        return left

    def put(self, path: str, head: str, body: str = "<h1>Shop</h1>", title: str = "Shop") -> str:
        """The address of a page that is now there."""
        self.pages[path] = f"<!doctype html><html lang=en><head><title>{title}</title>{head}</head><body>{body}</body>"
        return self.base_url + path

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        if request.url.path == "/clip.wav":
            return Response(clip(), media_type="audio/wav", headers={"Accept-Ranges": "bytes"})
        if request.method == "POST":
            return await self._passed_on(request)
        page = self.pages.get(request.url.path)
        return HTMLResponse(page, headers=self.headers) if page else Response(status_code=404)

    async def _passed_on(self, request: Request) -> Response:
        body = await request.body()
        door, troubles = next((told for key, told in self._relays.items() if key.encode() in body), ("", []))
        trouble = troubles.pop(0) if troubles else 200
        if door and trouble in (200, 502):
            async with httpx.AsyncClient(timeout=60) as client:
                await client.post(door + request.url.path, content=body)
        return Response("{}", status_code=trouble)


@contextmanager
def shop_pages() -> Iterator[ShopPages]:
    """Pages behind a server of their own, on another host than the door's."""
    made, bound = ShopPages(), free_socket()
    made.base_url = f"http://localhost:{bound.getsockname()[1]}"
    with served(made.app(), bound):  # type: ignore[arg-type]
        yield made


@contextmanager
def snippet_door(folder: Path, files: Mapping[str, str] = {}) -> Iterator[Live]:
    """A door and engine that know the shop's host as one of ours, with more definitions."""

    def adapt(context: WebContext) -> WebContext:
        return replace(
            context, settings=replace(context.settings, shop_domains=("localhost",), allow_reserved_domains=True)
        )

    with live_shop(folder, {**FILES, **files}, adapt) as made:
        yield made


@dataclass
class Heard:
    """A test's own key at the door, and what came in by it; repeats left out as the engine does.

    Pages of earlier tests may still send something, by the keys of those.
    """

    live: Live
    key: str = field(default_factory=lambda: f"pk_{token_hex(8)}")

    def __post_init__(self) -> None:
        self.live.app.state.context.sources[self.key] = Source(self.key, "browser")

    @property
    def door(self) -> str:
        return self.live.base_url

    def all(self) -> list[Event]:
        records = self.live.world.log.read(0, 100_000)
        events = [event for record in records if isinstance(record.body, Events) for event in record.body.events]
        browsers = anonymous_ids(event for event in events if event.source == self.key)
        events = [event for event in events if event.source == self.key or self._joins(event, browsers)]
        return list({(event.source, event.message_id): event for event in reversed(events)}.values())[::-1]

    def _joins(self, event: Event, browsers: set[str]) -> bool:
        """Whether it is the door's own event that joins the visit of one of these browsers."""
        return event.name == VISIT and not browsers.isdisjoint(anonymous_ids([event]))

    def names(self) -> Counter[str]:
        return Counter(event.name if event.type == "track" else event.type for event in self.all())

    def named(self, name: str) -> list[Event]:
        return [event for event in self.all() if name == (event.name if event.type == "track" else event.type)]

    def until(self, *names: str) -> list[Event]:
        """Wait until each of these was heard; all events then."""
        wait_for(lambda: not (Counter(names) - self.names()), f"{Counter(names) - self.names()} not heard")
        return self.all()


def anonymous_ids(events: Iterable[Event]) -> set[str]:
    return {each.value for event in events for each in event.identifiers if each.kind == "anonymous_id"}


def data_layer(*pushes: dict[str, Any] | Sequence[Any]) -> str:
    """Script that pushes objects, or a `gtag` call for a list."""
    lines = ["window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}"]
    for push in pushes:
        told = json.dumps(push)
        lines.append(f"dataLayer.push({told})" if isinstance(push, dict) else f"gtag(...{told})")
    return f"<script>{';'.join(lines)}</script>"


def stored(page: Page) -> dict[str, str]:
    return page.evaluate("({...localStorage})")


def sent_all(page: Page) -> None:
    """Wait until the page knows that the door has everything."""
    page.wait_for_function("!Object.keys(localStorage).some(name => name.startsWith('mw.q'))")
