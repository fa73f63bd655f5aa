"""A receiving SMTP server that misbehaves at a chosen stage; its `taken` is the oracle outside the program."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

GOOD = {"greeting": "220 hi", "ehlo": "250-hi\r\n250 SIZE 0", "mail": "250 ok", "rcpt": "250 ok", "data": "354 go",
        "final": "250 taken", "rset": "250 ok", "quit": "221 bye"}  # fmt: skip


class FaultySmtp:
    """`faults`: stage -> a reply, or ``hang``, ``drop`` (close without a reply) or ``half`` (close within a reply).

    At the stage ``final`` the mail is taken before the fault, as a server does that fsyncs and then loses the line.
    `after` lets that many mails through first on every connection. `hangs` is called when it hangs: the client waits
    for its answer by then, except for the greeting.
    """

    def __init__(
        self, faults: dict[str, str], after: int = 0, offers: str = "", hangs: Callable[[], None] = lambda: None
    ) -> None:
        self.faults = faults
        self.after = after
        self.hangs = hangs
        self.replies = {**GOOD, **({"ehlo": f"250-hi\r\n{offers}"} if offers else {})}
        self.taken: list[bytes] = []
        self.commands: list[str] = []
        self.n_connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._over = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        self._open.add(writer)
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, EOFError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        n_mails, go_on = 0, await self._answer("greeting", writer, 0)
        while go_on:
            line = (await reader.readuntil(b"\r\n")).decode()
            self.commands.append(line.strip())
            stage = line.split(None, 1)[0].lower()
            go_on = await self._answer(stage, writer, n_mails)
            if stage == "data" and go_on and self.replies_to(stage, n_mails).startswith("3"):
                body = await self._body(reader, writer, n_mails)
                if body is None:
                    return
                self.taken.append(body)
                go_on = await self._answer("final", writer, n_mails)
                n_mails += 1

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n_mails: int) -> bytes | None:
        if self.faults.get("body") == "drop" and n_mails >= self.after:
            await reader.readuntil(b"\r\n")
            writer.transport.abort()
            return None
        lines = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def replies_to(self, stage: str, n_mails: int) -> str:
        fault = self.faults.get(stage) if n_mails >= self.after else None
        return fault or self.replies[stage]

    async def _answer(self, stage: str, writer: asyncio.StreamWriter, n_mails: int) -> bool:
        reply = self.replies_to(stage, n_mails)
        if reply == "hang":
            self.hangs()
            await self._over.wait()
        if reply in ("drop", "half"):
            writer.write(b"25" if reply == "half" else b"")
            return False
        writer.write(reply.encode() + b"\r\n")
        return stage != "quit"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port it listens on, while the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self._over.set()
            if self._tasks:  # to hear what the clients said before they hung up
                await asyncio.wait([task for task in self._tasks if task], timeout=20)
            for writer in self._open:
                writer.transport.abort()
            await asyncio.gather(*(task for task in self._tasks if task))
