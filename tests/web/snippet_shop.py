"""A shop's own pages, on another origin than the door, with the snippet installed in every way that there is."""

from __future__ import annotations

import io
import json
import wave
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from live_shop import Live, wait_for
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mailwright.core.events import Event, Events

KEY = "pk_live"


def stub(door: str, **options: Any) -> str:
    """The install line, as docs/how-to/install-the-snippet.md has it."""
    told = json.dumps({"key": KEY, **options})
    return f"""!function(w,d,u,o){{var m=w.mailwright=w.mailwright||function(){{(m.q=m.q||[]).push(arguments)}};
if(m.o||m.live)return;m.o=o;var s=d.createElement('script');s.async=1;s.src=u+'/snippet.js';d.head.appendChild(s)
}}(window,document,'{door}',{told});"""


def by_hand(door: str, **options: Any) -> str:
    """In the page's head, as text."""
    return f"<script>{stub(door, **options)}</script>"


def by_tag(door: str, **options: Any) -> str:
    """One tag without any inline script, for pages with a strict policy."""
    told = "".join(f' data-{name}="{str(value).lower()}"' for name, value in options.items())
    return f'<script async src="{door}/snippet.js" data-key="{KEY}"{told}></script>'


def by_container(door: str, **options: Any) -> str:
    """As a tag manager does it: a container that takes over the data layer and later injects a custom HTML tag."""
    tag = json.dumps(f"<script>{stub(door, **options)}</script>").replace("</", "<\\/")
    return f"""<script>(function(w){{
  w.dataLayer=w.dataLayer||[];w.dataLayer.push({{'gtm.start':Date.now(),event:'gtm.js'}});
  var push=w.dataLayer.push;w.dataLayer.push=function(){{return push.apply(w.dataLayer,arguments)}};
  setTimeout(function(){{
    var box=document.createElement('div');box.innerHTML={tag};
    var s=document.createElement('script');s.text=box.firstChild.text;document.body.appendChild(s);
  }},50);
}})(window)</script>"""


def both(door: str, **options: Any) -> str:
    """By a tag, by hand and through the tag manager, so that the script itself is loaded twice."""
    return by_tag(door, **options) + by_hand(door, **options) + by_container(door, **options)


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
    door: str = ""
    troubles: list[int] = field(default_factory=list)
    """Statuses that calls to the door get first when they come through here: 502 after it took them, others instead."""

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
        trouble = self.troubles.pop(0) if self.troubles else 200
        if trouble in (200, 502):
            async with httpx.AsyncClient() as client:
                await client.post(self.door + request.url.path, content=await request.body())
        return Response("{}", status_code=trouble)


@dataclass
class Heard:
    """What the door took from browsers since this was made, repeats left out as the engine does."""

    live: Live
    after: int = 0

    def __post_init__(self) -> None:
        self.after = self.live.world.log.last()[0]

    def all(self) -> list[Event]:
        records = self.live.world.log.read(self.after, 10_000)
        events = [event for record in records if isinstance(record.body, Events) for event in record.body.events]
        return list({(event.source, event.message_id): event for event in reversed(events)}.values())[::-1]

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
