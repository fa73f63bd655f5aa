"""A receiving SMTP server on this machine, for the demo and for tests: ``python -m mailwright.delivery.receiver``.

It is the oracle outside the program: every mail that it takes responsibility for is a file in its folder and a line
in ``ledger.jsonl`` *before* it answers 250, so a mail delivered twice leaves two lines, whatever the sender believes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput

LEDGER = "ledger.jsonl"
MAX_MAIL_BYTES = 32 * 1024 * 1024

_WRITERS = 8
_HEADERS = BytesHeaderParser()
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger: a mail that the server took responsibility for.

    Attributes:
        n: Counts from 1, also over restarts.
        message_id: The header's value; empty if there is none.
        file: Name of the mail's file in the folder.
    """

    n: int
    message_id: str
    mail_from: str
    rcpt_to: list[str]
    file: str


def read_ledger(folder: Path) -> Iterator[Delivery]:
    """The mails that were taken, in order. A last line cut off by a crash was never answered and is left out."""
    path = folder / LEDGER
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=Delivery)


class Mailbox:
    """A folder of mails with its ledger. `keep` returns when everything it was given is durable."""

    def __init__(self, folder: Path) -> None:
        """Open a folder, which need not exist, and take away what a crash left there without having been answered."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._n = max((line.n for line in read_ledger(folder)), default=0)
        self._forget_unanswered()
        self._ledger = os.open(folder / LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # Side by side, because a disk takes many waiting writes in about the time of one.
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="mailbox")

    def _forget_unanswered(self) -> None:
        path = self._folder / LEDGER
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        for mail in self._folder.glob("*.eml"):
            number, dash, _ = mail.name.partition("-")
            if dash and number.isdigit() and int(number) > self._n:
                mail.unlink()

    def keep(self, mails: list[tuple[bytes, str, list[str]]]) -> None:
        """Write (body, MAIL FROM, RCPT TO) each into a file, then their ledger lines, with one fsync of the ledger.

        Raises:
            OSError: If the disk is full; then none of them is kept.
        """
        lines = [self._line(self._n + place, *mail) for place, mail in enumerate(mails, 1)]
        list(self._writers.map(self._write, lines, [body for body, _, _ in mails]))
        _sync_folder(self._folder)
        self._append(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        self._n += len(mails)

    def _append(self, lines: bytes) -> None:
        size = os.fstat(self._ledger).st_size
        try:
            if os.write(self._ledger, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._ledger)
        except OSError:
            os.truncate(self._ledger, size)  # half a line would spoil the next one
            raise

    def _line(self, n: int, body: bytes, mail_from: str, rcpt_to: list[str]) -> Delivery:
        message_id = str(_HEADERS.parsebytes(body).get("Message-ID", "")).strip()
        stem = _UNSAFE.sub("-", message_id.strip("<>").partition("@")[0])[:64] or "mail"
        return Delivery(n=n, message_id=message_id, mail_from=mail_from, rcpt_to=rcpt_to, file=f"{n:07d}-{stem}.eml")

    def _write(self, line: Delivery, body: bytes) -> None:
        with (self._folder / line.file).open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the ledger."""
        self._writers.shutdown()
        os.close(self._ledger)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Handler:
    """What aiosmtpd calls. Mails that arrive while a write is under way share the next one."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._waiting: list[tuple[tuple[bytes, str, list[str]], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002
        """Answer 250 once the mail is durable, 452 if it cannot be stored."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mail = (envelope.original_content, envelope.mail_from or "", list(envelope.rcpt_tos))
        self._waiting.append((mail, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            await stored
        except OSError as error:
            return f"452 4.3.1 cannot store the mail: {error.strerror}"
        return "250 2.0.0 taken"

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._mailbox.keep, [mail for mail, _ in batch])
            except OSError as error:
                _settle([stored for _, stored in batch], error)
            else:
                _settle([stored for _, stored in batch], None)


def _settle(waiting: list[asyncio.Future[None]], error: OSError | None) -> None:
    for stored in waiting:
        if stored.done():
            continue
        if error:
            stored.set_exception(error)
        else:
            stored.set_result(None)


@contextlib.asynccontextmanager
async def receiving(
    folder: Path, host: str = "127.0.0.1", port: int = 0, listener: socket.socket | None = None
) -> AsyncIterator[int]:
    """Receive mail into `folder` while the block runs; yields the port, chosen by the system if `port` is 0.

    A `listener` that somebody has bound already is taken over, and `host` and `port` mean nothing then.

    Raises:
        InvalidInput: If the port is taken or the library for it is not installed.
    """
    try:
        from aiosmtpd.smtp import SMTP
    except ImportError:
        raise InvalidInput.one(
            "receiver.aiosmtpd", "the receiving server needs aiosmtpd", hint="pip install 'mailwright[demo]'"
        ) from None
    mailbox = Mailbox(folder)
    handler = Handler(mailbox)
    loop = asyncio.get_running_loop()

    def answer() -> Any:
        return SMTP(handler, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=MAX_MAIL_BYTES, loop=loop)

    try:
        where: dict[str, Any] = {"sock": listener} if listener else {"host": host, "port": port}
        server = await loop.create_server(answer, **where)
    except OSError as error:
        mailbox.close()
        raise InvalidInput.one(
            "receiver.port", f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another port with --port"
        ) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        mailbox.close()


async def _serve(folder: Path, host: str, port: int, listener: socket.socket | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with receiving(folder, host, port, listener) as chosen:
        sys.stdout.write(f"{chosen}\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run the server until SIGTERM; the first line on standard output is the port."""
    parser = argparse.ArgumentParser(prog="mailwright.delivery.receiver", description="Receive mail into a folder.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--fd", type=int, help="a listening socket that whoever starts this hands over")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the mails and ledger.jsonl")
    options = parser.parse_args(arguments)
    try:
        listener = None if options.fd is None else socket.socket(fileno=options.fd)
        asyncio.run(_serve(options.folder, options.host, options.port, listener))
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
