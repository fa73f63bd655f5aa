"""Group commit: what parallel tasks want written while a write is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from mailwright.core.errors import MailwrightError

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Turns many awaited writes into few transactions, one at a time, in a thread.

    A transaction costs one wait for the disk however much it holds, so the busier the sender, the fewer waits per mail.
    """

    def __init__(self, write: Callable[[Sequence[T]], Sequence[R]]) -> None:
        """`write` is one transaction; it answers item by item, in order."""
        self._write = write
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """The answer for `item` once it is durable; raises what the transaction raised."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                answers = await asyncio.to_thread(self._write, [item for item, _ in batch])
            except MailwrightError as error:
                for _, waiting in batch:
                    _settle(waiting, error)
            else:
                for (_, waiting), answer in zip(batch, answers, strict=True):
                    if not waiting.done():
                        waiting.set_result(answer)


def _settle(waiting: asyncio.Future[R], error: MailwrightError) -> None:
    if not waiting.done():  # its task may have been cancelled meanwhile
        waiting.set_exception(error)
