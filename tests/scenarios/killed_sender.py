"""A sender process that kills itself with SIGKILL at the n-th passing of a point; for test_scenario_sender_killed."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "delivery"))

from delivery_shop import FixedClock, Shop

from mailwright.core.instants import SECOND, Instant
from mailwright.core.messages import Envelope, Outcome
from mailwright.delivery.channels.smtp import SmtpChannel
from mailwright.delivery.channels.smtp_connection import SmtpSettings
from mailwright.delivery.sender import Sender, SendingSettings
from mailwright.privacy.keys import KeyRing
from mailwright.stores.records_sql import SqlRecords

CALLS = ("claim", "refuse", "handing", "dot", "result")
POINTS = [f"{when} {call}" for call in CALLS for when in ("before", "after")] + ["before final", "after final"]


class Reaper:
    """Counts passings and kills at the chosen one."""

    def __init__(self, point: str, n: int) -> None:
        self.point, self.left = point, n

    def passes(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class ReapedMessages:
    """MessageRecords with a kill point before and after each call."""

    def __init__(self, inner: object, reaper: Reaper) -> None:
        self._inner, self._reaper = inner, reaper

    def __getattr__(self, name: str) -> object:
        call = getattr(self._inner, name)
        if name not in CALLS:
            return call

        def watched(*args: object, **more: object) -> object:
            self._reaper.passes(f"before {name}")
            answer = call(*args, **more)
            self._reaper.passes(f"after {name}")
            return answer

        return watched


class ReapedChannel:
    """SMTP with a kill point on both sides of the final dot; `unmarked` leaves the mark out, as a negative control."""

    def __init__(self, inner: SmtpChannel, reaper: Reaper, unmarked: bool) -> None:
        self._inner, self._reaper, self._unmarked = inner, reaper, unmarked

    async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
        async def mark() -> bool:
            ours = True if self._unmarked else await before_final()
            self._reaper.passes("before final")
            return ours

        outcome = await self._inner.send(envelope, mark)
        self._reaper.passes("after final")
        return outcome

    async def close(self) -> None:
        await self._inner.close()


async def send_all(options: argparse.Namespace) -> None:
    shop = Shop(KeyRing.open(options.folder / "keys"))
    for person in range(1, options.people + 1):
        shop.add(person)
    reaper = Reaper(options.point, options.n)
    smtp = SmtpChannel(SmtpSettings(host="127.0.0.1", port=options.port, tls="off", connections=4))
    with SqlRecords.open(options.folder / "records.sqlite") as records:
        sender = Sender(
            messages=ReapedMessages(records.messages, reaper),
            preparation=shop.preparation(records.consents),
            channel=ReapedChannel(smtp, reaper, options.unmarked),
            clock=FixedClock(),
            # Each round is far enough after the one before for its leases to have lapsed.
            lease_clock=FixedClock(Instant(options.round * 10_000 * SECOND)),
            settings=SendingSettings(worker=f"round {options.round}", connections=4, batch=40),
        )
        while await sender.run_once():
            pass
        await smtp.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--round", type=int, required=True)
    parser.add_argument("--point", default="")
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--unmarked", action="store_true")
    asyncio.run(send_all(parser.parse_args()))
