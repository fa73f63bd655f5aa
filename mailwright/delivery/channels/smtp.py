"""The SMTP channel: a pool of open connections; the stage of a failure decides what the failure means.

    before the final dot    4xx, time out, lost connection -> Deferred;  5xx to MAIL, RCPT or DATA -> Failed
    after the final dot     2xx -> Sent, 4xx -> Deferred, 5xx -> Failed;  anything that is no reply -> Unknown

A server that does not let us in at all (greeting, EHLO, STARTTLS, AUTH) says nothing about one mail, so even its 5xx
is Deferred: a relay with a wrong certificate must not turn a whole campaign into failures.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable

from mailwright.core.errors import InvalidInput
from mailwright.core.messages import Deferred, Envelope, Failed, Outcome, Sent, Unknown
from mailwright.delivery.channels.smtp_connection import SmtpConnection, SmtpSettings, tls_context
from mailwright.delivery.channels.smtp_wire import BrokenStage, RefusedStage, Reply, Stage, Unsendable, wire_body

_ABOUT_THE_MAIL = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA})


class SmtpChannel:
    """Hands mail to one SMTP server. One per event loop; `send` may run as often in parallel as there are connections.

    Raises:
        InvalidInput: On creation, if TLS is off for a server that is not on this machine.
    """

    def __init__(self, settings: SmtpSettings) -> None:
        if settings.tls == "off" and not _is_loopback(settings.host):
            raise InvalidInput.one(
                "smtp.tls_off",
                f"smtp.tls is 'off' for {settings.host}, which is not this machine",
                hint="use 'required', or 'opportunistic' for a server without a certificate",
            )
        self._settings = settings
        self._context: ssl.SSLContext = tls_context(settings)
        self._free = asyncio.Semaphore(max(1, settings.connections))
        self._idle: list[SmtpConnection] = []

    async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
        """See `mailwright.core.ports.Channel`."""
        async with self._free:
            try:
                connection = await self._begin(envelope)
            except Unsendable as error:
                return Failed(str(error))
            except RefusedStage as error:
                return _refusal(error)
            except BrokenStage as error:
                return Deferred(str(error))
            return await self._transfer(connection, envelope, before_final)

    async def _begin(self, envelope: Envelope) -> SmtpConnection:
        """A connection that has answered DATA with 354. A kept one that turns out to be dead is replaced once."""
        while True:
            kept = self._take()
            connection = kept or await SmtpConnection.open(self._settings, self._context)
            try:
                await connection.begin(envelope.mail_from, envelope.rcpt_to, envelope.body)
            except (Unsendable, RefusedStage) as error:
                await self._after_refusal(connection, error)
                raise
            except BrokenStage as error:
                connection.abort()
                if kept and error.stage is Stage.MAIL:
                    continue
                raise
            except BaseException:
                connection.abort()
                raise
            return connection

    async def _transfer(
        self, connection: SmtpConnection, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]
    ) -> Outcome:
        try:
            outcome = await self._body_and_dot(connection, envelope, before_final)
        except BaseException:
            connection.abort()
            raise
        if isinstance(outcome, Sent):
            await self._keep(connection)
        else:
            connection.abort()
        return outcome

    async def _body_and_dot(
        self, connection: SmtpConnection, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]
    ) -> Outcome:
        try:
            await connection.write_body(wire_body(envelope.body))
        except BrokenStage as error:
            return Deferred(str(error))
        if connection.is_lost:
            return Deferred("body: the server closed the connection")
        if not await before_final():
            return Deferred("broken off before the final dot: the claim was lost")
        if connection.is_lost:  # the dot was never written, so this is still definite
            return Deferred("body: the server closed the connection")
        try:
            return _final(await connection.finish())
        except BrokenStage as error:
            return Unknown(str(error))

    async def _after_refusal(self, connection: SmtpConnection, error: Unsendable | RefusedStage) -> None:
        if isinstance(error, RefusedStage) and error.reply.code == 421:  # "closing transmission channel"
            connection.abort()
            return
        try:
            if isinstance(error, RefusedStage):
                await connection.reset()
            await self._keep(connection)
        except (RefusedStage, BrokenStage):
            connection.abort()

    def _take(self) -> SmtpConnection | None:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_clean and now_s - connection.used_at_s <= self._settings.idle_s:
                return connection
            connection.abort()
        return None

    async def _keep(self, connection: SmtpConnection) -> None:
        if connection.n_mails >= self._settings.mails_per_connection or not connection.is_clean:
            await connection.quit()
            return
        connection.used_at_s = asyncio.get_running_loop().time()
        self._idle.append(connection)

    async def close(self) -> None:
        """Say QUIT on every kept connection."""
        kept, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in kept))


def _refusal(error: RefusedStage) -> Outcome:
    permanent = error.reply.code >= 500 and error.stage in _ABOUT_THE_MAIL
    return Failed(str(error)) if permanent else Deferred(str(error))


def _final(reply: Reply) -> Outcome:
    match reply.code // 100:
        case 2:
            return Sent(str(reply))
        case 4:
            return Deferred(f"final: {reply}")
        case 5:
            return Failed(f"final: {reply}")
    return Unknown(f"final: unexpected reply {reply}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
