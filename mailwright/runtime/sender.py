"""The sender process: claims, decides, renders, hands over; beside it the pump from Records' outbox to the log."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from mailwright.core.errors import Transient
from mailwright.core.ports import Channel
from mailwright.delivery.channels.mailbox import MailboxChannel
from mailwright.delivery.channels.smtp import SmtpChannel
from mailwright.delivery.channels.smtp_connection import SmtpSettings
from mailwright.delivery.compose import Composer
from mailwright.delivery.gate import SenderIdentity
from mailwright.delivery.links import MailLinks
from mailwright.delivery.prepare import Preparation
from mailwright.delivery.pump import pump
from mailwright.delivery.sender import Sender, SendingSettings
from mailwright.privacy.tokens import Tokens
from mailwright.runtime.installation import Installation
from mailwright.runtime.material import MaterialSource
from mailwright.runtime.settings import Settings

_log = logging.getLogger(__name__)

IDLE_S = {"system": 0.25, "virtual": 0.02}
"""Pause when there is nothing to do. A virtual clock's driver waits for every outcome, so there it is short."""

RETRY_S = 1.0


def run_sender(installation: Installation, base_url: str, on_ready: Callable[[Callable[[], None]], None]) -> None:
    """Send and pump until stopped; `on_ready` is called once with the function that stops it."""
    asyncio.run(_run(installation, base_url, on_ready))


async def _run(installation: Installation, base_url: str, on_ready: Callable[[Callable[[], None]], None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        loop.call_soon_threadsafe(stop.set)

    on_ready(end)
    sender = make_sender(installation, base_url)
    pumping = asyncio.create_task(_pump(installation, stop))
    await sender.run(stop)
    await pumping


async def _pump(installation: Installation, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            moved = await asyncio.to_thread(pump, installation.records.outbox, installation.log, installation.clock)
            pause = 0.0 if moved else IDLE_S[installation.settings.clock.kind]
        except Transient as error:
            _log.warning("outcomes wait: %s", error.message)
            pause = RETRY_S
        await asyncio.sleep(pause)


def make_sender(installation: Installation, base_url: str) -> Sender:
    """A sender over an installation's stores and channel."""
    settings = installation.settings
    identity = sender_identity(settings, base_url)
    return Sender(
        messages=installation.records.messages,
        preparation=Preparation(
            engine=installation.engine,
            consents=installation.records.consents,
            sealer=installation.sealer,
            composer=composer(installation, base_url),
            material=MaterialSource(installation),
            identity=identity,
            opt_ins=installation.records.opt_ins,
        ),
        channel=make_channel(settings),
        clock=installation.clock,
        lease_clock=installation.wall,
        settings=SendingSettings(
            worker=f"sender-{os.getpid()}",
            connections=settings.sender.connections,
            lease_s=settings.sender.lease_s,
            max_attempts=settings.sender.max_attempts,
            idle_s=IDLE_S[settings.clock.kind],
        ),
    )


def composer(installation: Installation, base_url: str) -> Composer:
    """What decides and renders, for the sender, `rerender` and previews alike."""
    return Composer(
        sealer=installation.sealer,
        links=MailLinks(Tokens(installation.keys), base_url),
        identity=sender_identity(installation.settings, base_url),
    )


def sender_identity(settings: Settings, base_url: str) -> SenderIdentity:
    """Who writes."""
    sender = settings.sender
    return SenderIdentity(
        from_name=sender.from_name,
        from_address=sender.from_address,
        postal_address=sender.postal_address,
        base_url=base_url,
        allow_reserved_domains=sender.allow_reserved_domains,
        reply_to=sender.reply_to,
    )


def make_channel(settings: Settings) -> Channel:
    """How mail leaves this installation."""
    channel = settings.channel
    if channel.kind == "mailbox":
        return MailboxChannel(settings.data_folder / channel.folder)
    return SmtpChannel(
        SmtpSettings(
            host=channel.host,
            port=channel.port,
            tls=channel.tls,
            username=channel.user,
            password=channel.password,
            connections=settings.sender.connections,
        )
    )
