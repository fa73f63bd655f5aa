"""The mailbox channel: mail as files in a folder, for an installation without an SMTP server."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailwright.core.errors import InvalidInput
from mailwright.core.messages import Deferred, Envelope, Outcome, Sent, Unknown

_WRITERS = 8
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


def _write_aside(target: Path, data: bytes) -> Path:
    # A name of its own: a stopped process that wakes up must not touch the file of the one that took over.
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _publish(aside: Path, target: Path) -> None:
    os.replace(aside, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class MailboxChannel:
    """Writes each mail as ``<send_key>.eml``. The rename is its final dot.

    The name is the send key, so a mail that was handed over twice against all rules would still be one file.

    Raises:
        InvalidInput: On creation, if the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput.one("mailbox.folder", f"the mailbox folder {folder} cannot be made: {error}") from error
        # Side by side, because a disk takes many waiting writes in about the time of one.
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="mailbox")

    async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
        """See `mailwright.core.ports.Channel`."""
        if not _SAFE_NAME.fullmatch(envelope.send_key):
            raise InvalidInput.one("mailbox.name", f"{envelope.send_key!r} cannot be a file name")
        target = self._folder / f"{envelope.send_key}.eml"
        loop = asyncio.get_running_loop()
        try:
            aside = await loop.run_in_executor(self._writers, _write_aside, target, envelope.body)
        except OSError as error:
            return Deferred(f"mailbox: {error}")
        try:
            if not await before_final():
                return Deferred("broken off before the file was put in place: the claim was lost")
            await loop.run_in_executor(self._writers, _publish, aside, target)
        except OSError as error:
            return Unknown(f"mailbox: {error}")
        finally:
            aside.unlink(missing_ok=True)
        return Sent(target.name)

    async def close(self) -> None:
        """End the threads that write."""
        self._writers.shutdown()
