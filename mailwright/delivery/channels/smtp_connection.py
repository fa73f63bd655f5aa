"""One SMTP connection, driven stage by stage so that the stage of every failure is known."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from mailwright.delivery.channels.smtp_wire import (
    MAX_REPLY_BYTES,
    BrokenStage,
    RefusedStage,
    Reply,
    Stage,
    StageTimeouts,
    Unsendable,
    parse_reply,
    wire_path,
)

_BLOCK_BYTES = 64 * 1024

Tls = Literal["required", "opportunistic", "implicit", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """Where and how to hand mail over.

    Attributes:
        tls: ``required``: STARTTLS with a verified certificate, or nothing is sent. ``implicit``: TLS from the first
            byte (port 465), verified. ``opportunistic``: STARTTLS if offered, not verified. ``off``: loopback only.
        username: Log in with this name; empty for no log-in. Never told over a connection without TLS, except loopback.
        connections: How many stay open and are used in parallel, at least 1.
        mails_per_connection: After so many a connection is replaced by a new one; many servers stop at 100 or more.
        idle_s: A connection unused for longer is not trusted any more; servers close idle ones after 5 minutes.
        local_name: What we call ourselves in EHLO.
        ca_file: Certificates to trust instead of the system's; empty for those of the system.
    """

    host: str
    port: int = 25
    tls: Tls = "required"
    username: str = ""
    password: str = field(default="", repr=False)
    connections: int = 8
    mails_per_connection: int = 500
    idle_s: float = 60
    local_name: str = "localhost"
    ca_file: str = ""
    timeouts: StageTimeouts = field(default_factory=StageTimeouts)


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """The TLS context of a policy; only ``opportunistic`` goes without verification."""
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.tls == "opportunistic":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def _within(stage: Stage, seconds: float) -> AsyncIterator[None]:
    """Turn every way in which a stage can break into BrokenStage."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BrokenStage(stage, f"no answer within {seconds:g} s") from error
    except (OSError, EOFError, ssl.SSLError) as error:
        raise BrokenStage(stage, str(error) or type(error).__name__) from error


class SmtpConnection:
    """A connection after EHLO, TLS and log-in, ready for one transaction at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: SmtpSettings) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._unread = bytearray()
        self._offers: dict[str, str] = {}
        self.used_at_s = 0.0
        self.n_mails = 0

    @classmethod
    async def open(cls, settings: SmtpSettings, context: ssl.SSLContext) -> SmtpConnection:
        """Connect and come as far as MAIL.

        Raises:
            RefusedStage: If the server refuses us.
            BrokenStage: If it does not answer, or the TLS policy cannot be kept.
        """
        async with _within(Stage.CONNECT, settings.timeouts.connect_s):
            wrapped = context if settings.tls == "implicit" else None
            reader, writer = await asyncio.open_connection(settings.host, settings.port, ssl=wrapped)
        connection = cls(reader, writer, settings)
        try:
            await connection._greet(context)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _greet(self, context: ssl.SSLContext) -> None:
        self._expect(Stage.GREETING, await self._read(Stage.GREETING, self._settings.timeouts.greeting_s), 2)
        await self._ehlo()
        if self._settings.tls in ("required", "opportunistic"):
            await self._start_tls(context)
        if self._settings.username:
            await self._log_in()

    async def _ehlo(self) -> None:
        reply = await self._command(Stage.EHLO, f"EHLO {self._settings.local_name}", 2)
        words = [line.split(None, 1) for line in reply.text.splitlines()[1:]]
        self._offers = {parts[0].upper(): parts[1] if len(parts) > 1 else "" for parts in words if parts}

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if "STARTTLS" not in self._offers:
            if self._settings.tls == "required":
                raise BrokenStage(Stage.STARTTLS, "the server offers no STARTTLS, and TLS is required")
            return
        await self._command(Stage.STARTTLS, "STARTTLS", 2)
        if self._unread:  # said in clear by somebody in between, to be taken as said inside TLS
            raise BrokenStage(Stage.STARTTLS, "data between the reply to STARTTLS and the handshake")
        async with _within(Stage.STARTTLS, self._settings.timeouts.command_s):
            await self._writer.start_tls(context, server_hostname=self._settings.host)
        await self._ehlo()

    async def _log_in(self) -> None:
        name, password = self._settings.username, self._settings.password
        methods = self._offers.get("AUTH", "").upper().split()
        if self._settings.tls != "off" and self._writer.get_extra_info("ssl_object") is None:
            raise BrokenStage(Stage.AUTH, "log-in is not possible: the connection has no TLS")
        if "PLAIN" in methods:
            await self._command(Stage.AUTH, f"AUTH PLAIN {_base64(f'{chr(0)}{name}{chr(0)}{password}')}", 2)
        elif "LOGIN" in methods:
            await self._command(Stage.AUTH, "AUTH LOGIN", 3)
            await self._command(Stage.AUTH, _base64(name), 3)
            await self._command(Stage.AUTH, _base64(password), 2)
        else:
            raise BrokenStage(Stage.AUTH, f"the server offers none of PLAIN and LOGIN but {methods}")

    async def begin(self, mail_from: str, rcpt_to: str, body: bytes) -> None:
        """MAIL, RCPT (one per transaction) and DATA, up to the server's 354.

        Raises:
            Unsendable: If this server cannot be given this message.
            RefusedStage: On a refusal; BrokenStage: on anything else.
        """
        sender, sender_utf8 = wire_path(mail_from)
        recipient, recipient_utf8 = wire_path(rcpt_to)
        parameters = self._parameters(body, utf8=sender_utf8 or recipient_utf8)
        await self._command(Stage.MAIL, f"MAIL FROM:<{sender}>{parameters}", 2)
        await self._command(Stage.RCPT, f"RCPT TO:<{recipient}>", 2)
        await self._command(Stage.DATA, "DATA", 3, self._settings.timeouts.data_s)

    def _parameters(self, body: bytes, *, utf8: bool) -> str:
        chosen = ""
        if "SIZE" in self._offers:
            limit = self._offers["SIZE"]
            if limit.isdigit() and 0 < int(limit) < len(body):
                raise Unsendable(f"the mail has {len(body)} bytes and the server takes at most {limit}")
            chosen += f" SIZE={len(body)}"
        if not body.isascii():
            chosen += self._offered("8BITMIME", "BODY=8BITMIME", "the mail has 8-bit text")
        if utf8:
            chosen += self._offered("SMTPUTF8", "SMTPUTF8", "the address is not ASCII")
        return chosen

    def _offered(self, extension: str, parameter: str, why: str) -> str:
        if extension not in self._offers:
            raise Unsendable(f"{why}, which needs {extension}, and the server does not offer it")
        return f" {parameter}"

    async def write_body(self, wire: bytes) -> None:
        """Send the body without its final dot; `wire` comes from `wire_body`."""
        view = memoryview(wire)
        for start in range(0, len(wire), _BLOCK_BYTES):
            async with _within(Stage.BODY, self._settings.timeouts.block_s):
                self._writer.write(view[start : start + _BLOCK_BYTES])
                await self._writer.drain()

    async def finish(self) -> Reply:
        """Send the final dot and return the reply, whatever its code. BrokenStage means: nobody knows."""
        async with _within(Stage.FINAL, self._settings.timeouts.command_s):
            self._writer.write(b".\r\n")
            await self._writer.drain()
        reply = await self._read(Stage.FINAL, self._settings.timeouts.final_s)
        self.n_mails += 1
        return reply

    async def reset(self) -> None:
        """Leave a transaction that was refused before DATA."""
        await self._command(Stage.RSET, "RSET", 2)

    @property
    def is_lost(self) -> bool:
        """Whether the other side has hung up already, as far as this side has heard."""
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    @property
    def is_clean(self) -> bool:
        """Whether there is no reply left over that would be taken for the answer to the next command."""
        return not self._unread and not self.is_lost

    async def quit(self) -> None:
        """Say goodbye, without waiting for an answer."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(b"QUIT\r\n")
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), timeout=1)

    def abort(self) -> None:
        """Break off at once: what was not ended by the dot is not delivered."""
        transport = self._writer.transport
        transport.abort()

    async def _command(self, stage: Stage, line: str, expected: int, seconds: float | None = None) -> Reply:
        limit = self._settings.timeouts.command_s if seconds is None else seconds
        async with _within(stage, limit):
            self._writer.write(line.encode("utf-8") + b"\r\n")
            await self._writer.drain()
        return self._expect(stage, await self._read(stage, limit), expected)

    def _expect(self, stage: Stage, reply: Reply, hundred: int) -> Reply:
        if reply.code // 100 == hundred:
            return reply
        if reply.code >= 400:
            raise RefusedStage(stage, reply)
        raise BrokenStage(stage, f"unexpected reply {reply}")

    async def _read(self, stage: Stage, seconds: float) -> Reply:
        async with _within(stage, seconds):
            lines = [await self._line()]
            while lines[-1][3:4] == b"-" and sum(map(len, lines)) < MAX_REPLY_BYTES:
                lines.append(await self._line())
        reply = parse_reply(lines)
        if reply is None:
            raise BrokenStage(stage, f"not an SMTP reply: {b''.join(lines)[:200]!r}")
        return reply

    async def _line(self) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > MAX_REPLY_BYTES:
                raise EOFError("a reply without an end")
            data = await self._reader.read(8192)
            if not data:
                raise EOFError("the server closed the connection")
            self._unread += data
        line = bytes(self._unread[: end + 1])
        del self._unread[: end + 1]
        return line


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")
