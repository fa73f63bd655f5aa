"""The newest transitions for everybody who follows them: one reader of the engine per door, however many follow.

A follower is a cursor and nothing more: it asks for the page behind its cursor when there is one. Nothing is queued
for it, so one that reads slowly costs no memory and loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from mailwright.core.errors import Transient
from mailwright.core.ports import EngineReads, History
from mailwright.core.transitions import START, Cursor, SegmentChange, TransitionPage
from mailwright.reports.transitions import transitions_after
from mailwright.web.errors import TooMany

_log = logging.getLogger(__name__)

KEPT = 20_000
"""Transitions in memory: a follower behind them reads on its own from the engine or from History."""

PAGE = 500
LOOKED_THROUGH = 5_000
EVERY_S = 0.1
"""How often the engine is asked while somebody follows; ticks are no closer together."""

RETRY_S = 1.0
MOST_FOLLOWERS = 500


class Tail:
    """All of it runs on one event loop, but for `close_soon`."""

    def __init__(self, engine: EngineReads, history: History, *, kept: int = KEPT) -> None:
        self._engine = engine
        self._history = history
        self._kept = kept
        self._forget()
        self._followers = 0
        self._reader: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._moved = asyncio.Event()
        self.closed = False

    def _forget(self) -> None:
        self._rows: list[SegmentChange] = []
        self._since = self._upto = START
        self._reading = False

    # --- followers ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Be a follower for the length of a block.

        Raises:
            TooMany: If there are `MOST_FOLLOWERS` already.
        """
        if self._followers >= MOST_FOLLOWERS:
            message = f"{self._followers} programs follow transitions already"
            raise TooMany("transition.followers", message, "close one, or come back later")
        self._followers += 1
        self._loop = asyncio.get_running_loop()
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers and self._reader is not None:
                self._reader.cancel()
                self._reader = None
                self._forget()

    async def newest(self) -> Cursor:
        """The place behind everything that has happened so far."""
        page = await asyncio.to_thread(self._engine.transitions, None, [], 1)
        return page.cursor

    async def page(self, after: Cursor, segments: Collection[str] | None, limit: int = PAGE) -> TransitionPage:
        """What comes after `after`, in order, at most `limit`; of these segments alone if given."""
        if not self._reading or after < self._since:
            names = None if segments is None else sorted(segments)
            return await asyncio.to_thread(transitions_after, self._engine, self._history, after, names, limit)
        first = bisect_right(self._rows, after, key=lambda change: change.cursor)
        looked = self._rows[first : first + LOOKED_THROUGH]
        found = [each for each in looked if segments is None or each.segment in segments][:limit]
        if len(found) == limit:
            return TransitionPage(changes=found, cursor=found[-1].cursor, more=True)
        if first + len(looked) < len(self._rows):
            return TransitionPage(changes=found, cursor=looked[-1].cursor, more=True)
        return TransitionPage(changes=found, cursor=max(after, self._upto))

    async def follow(self, after: Cursor, segments: Collection[str] | None) -> AsyncGenerator[TransitionPage]:
        """Pages without end: those that hold something, and every now and then an empty one with a newer cursor."""
        while not self.closed:
            page = await self.page(after, segments)
            after = page.cursor
            yield page
            if not page.more:
                await self.moved(after)

    async def moved(self, after: Cursor) -> None:
        """Wait until there may be something after `after`."""
        if self._reading and self._upto > after:  # it came just now, or History does not hold it yet: no busy waiting
            await asyncio.sleep(EVERY_S)
        while not self.closed and (not self._reading or self._upto <= after):
            await self._moved.wait()

    # --- the one reader ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            wait_s = EVERY_S
            try:
                if not self._reading:
                    self._since = self._upto = await self.newest()
                    self._reading = True
                if await self._read_on():
                    wait_s = 0.0
            except Transient as error:  # the engine starts anew, say: followers keep their cursors and wait
                _log.info("transitions wait: %s", error.message)
                wait_s = RETRY_S
            except Exception:  # noqa: BLE001 whatever it is, those who wait must not wait for ever
                _log.exception("transitions cannot be read")
                wait_s = RETRY_S
            self._wake()
            await asyncio.sleep(wait_s)

    async def _read_on(self) -> bool:
        """Read what is new; whether there is more."""
        page = await asyncio.to_thread(transitions_after, self._engine, self._history, self._upto, None, PAGE * 4)
        self._add(page.changes)
        self._upto = page.cursor
        return page.more

    def _add(self, changes: Sequence[SegmentChange]) -> None:
        self._rows += changes
        if len(self._rows) > self._kept + self._kept // 4:
            cut = len(self._rows) - self._kept
            self._since = self._rows[cut - 1].cursor
            del self._rows[:cut]

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def close_soon(self) -> None:
        """End all waiting, from any thread: the door stops."""
        self.closed = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all waiting with it
                self._loop.call_soon_threadsafe(self._wake)
