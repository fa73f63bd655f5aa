"""The door process: the application over an opened installation, on a socket that the supervisor holds."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from mailwright.ingest.context.addresses import networks
from mailwright.privacy.tokens import Tokens
from mailwright.runtime.collected import Collected
from mailwright.runtime.collector import calm
from mailwright.runtime.installation import Installation
from mailwright.runtime.jobs.registry import jobs_of
from mailwright.runtime.past_previews import PastPreviews
from mailwright.runtime.write_keys import Sources
from mailwright.web.app import create_app
from mailwright.web.context import WebContext, WebSettings
from mailwright.web.project import CurrentProject

KEEP_ALIVE_S = 75
"""An idle connection is kept so long: the libraries of the shops send every ten seconds or so."""

WS_BYTES = 4096
"""Longest message of a WebSocket's reader, who has nothing to say."""


def web_context(installation: Installation, base_url: str) -> WebContext:
    """What the application needs, out of an installation."""
    project = CurrentProject(installation.records.definitions, installation.wall)
    tokens = Tokens(installation.keys)
    return WebContext(
        log=installation.log,
        records=installation.records,
        engine=installation.engine,
        history=installation.history,
        blobs=installation.blobs,
        clock=installation.clock,
        lease_clock=installation.wall,
        sealer=installation.sealer,
        tokens=tokens,
        sources=Sources(installation.records.sources, tokens, installation.wall),
        project=project,
        settings=WebSettings(
            base_url=base_url,
            trusted_proxies=networks(installation.settings.door.trusted_proxies, "mailwright.toml"),
            allow_reserved_domains=installation.settings.sender.allow_reserved_domains,
            shop_domains=tuple(name.lower() for name in installation.settings.door.shop_domains),
        ),
        folding=PastPreviews(
            installation.history,
            installation.settings.data_folder / "history",
            installation.engine,
            installation.wall,
            lambda: project.rules,
        ),
        resolve=installation.resolve,
        mail_domains=installation.mail_domains,
        postal_places=installation.postal_codes,
        fetch=installation.fetch,
        collected=Collected(
            installation.records.sources,
            installation.clock,
            installation.log,
            tells=lambda: project.tracking_plan.violation_events,
        ),
        jobs=lambda: jobs_of(project.whole, installation.settings),
    )


def serve_door(
    installation: Installation, fd: int, base_url: str, on_ready: Callable[[Callable[[], None]], None]
) -> None:
    """Answer HTTP on the inherited socket `fd` until stopped; `on_ready` gets the function that stops it."""
    context = web_context(installation, base_url)
    context.ingest_rules  # noqa: B018 reads the definitions: a second that the first request need not wait
    if installation.postal_codes is not None:
        installation.postal_codes.open()  # a new table takes seconds, which no visitor need wait
    app = create_app(context)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        http="httptools",
        loop="uvloop",
        server_header=False,
        proxy_headers=False,  # else whoever connects from this machine could say who it is: see `trusted_proxies`
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="websockets-sansio",
        ws_max_size=WS_BYTES,
        ws_per_message_deflate=False,  # messages are small, and it would cost each connection its own memory
    )
    server = uvicorn.Server(config)
    # As a socket, not as `fd`: uvicorn takes a descriptor for a Unix socket and then knows neither whom it talks to nor
    # that small answers must not wait for an acknowledgement (Nagle: 44 ms an answer).
    listener = socket.socket(fileno=fd)

    def stop() -> None:
        server.should_exit = True
        app.state.tail.close_soon()  # else the door would wait for those who wait for a transition
        app.state.previews.close()

    on_ready(stop)
    calm()
    if context.collected is not None:
        context.collected.start()
    server.run(sockets=[listener])
    if context.collected is not None:
        context.collected.stop()
