"""Plays the demo's shop into a running installation, on its virtual clock. Every step can be broken off and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice

from mailwright.core.errors import Transient
from mailwright.core.events import PLACES, ClockMoved, Tick
from mailwright.core.instants import HOUR, Instant
from mailwright.core.ports import Consent
from mailwright.runtime.demo.door_client import DoorClient
from mailwright.runtime.demo.reader import Reader
from mailwright.runtime.demo.shop import CONSENT_WORDING, CUT_AT, END_AT, Call, Shop, address, identify
from mailwright.runtime.installation import Installation

PATIENCE_S = 300.0
HOURS = (END_AT - CUT_AT) // HOUR

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.004, 0.05
"""Between two looks at whether a tick's effects have come to rest; growing, so that looking does not slow the work."""

WITHDRAWN_EVERY = 29
"""One household in so many has taken its consent back: about 3.4 percent."""

Advance = Callable[[int], None]
"""Told how many more are done."""


class Driver:
    """Drives one demo. `check` is called while waiting, so that a dead process is restarted or told of."""

    def __init__(self, installation: Installation, door: DoorClient, check: Callable[[], None]) -> None:
        self._there = installation
        self._door = door
        self._check = check

    # --- history ---

    def tell_people(self, shop: Shop, done: Advance) -> None:
        """Identify every household and record its consent, and the withdrawal of some."""
        households = shop.households()
        for n in self._door.calls((identify(number, traits) for number, traits in households), history=True):
            done(n)
        hashes = {number: self._there.sealer.hash("email", address(number)) for number, _ in households}
        year = Instant(CUT_AT - 300 * 24 * HOUR)
        given = [self._consent(hashes[number], True, year) for number, _ in households]
        taken = [
            self._consent(hashes[number], False, Instant(CUT_AT - 30 * 24 * HOUR))
            for number, _ in households
            if number % WITHDRAWN_EVERY == 0
        ]
        self._there.records.consents.record([*given, *taken])

    @staticmethod
    def _consent(address_hash: str, granted: bool, at: Instant) -> Consent:
        return Consent(
            address_hash=address_hash,
            purpose="marketing",
            granted=granted,
            at=at,
            source="demo",
            wording=CONSENT_WORDING if granted else "",
        )

    def tell_products(self, shop: Shop, done: Advance) -> None:
        """Send the catalog."""
        for n in self._door.items(shop.items()):
            done(n)

    def tell_past(self, calls: Sequence[tuple[Instant, Call]], done: Advance) -> None:
        """Import what happened before the cut, from where an earlier run stopped."""
        meta = self._there.records.meta
        already = int(meta.get("demo.imported") or 0)
        done(already)
        for n in self._door.calls((call for _, call in islice(calls, already, None)), history=True):
            already += n
            meta.put("demo.imported", str(already))
            done(n)

    # --- live ---

    def play(self, calls: Sequence[tuple[Instant, Call]], reader: Reader, done: Advance) -> None:
        """Play the last four weeks hour by hour: move the clock, tell what happened, react to mail, tick, wait."""
        meta = self._there.records.meta
        played = int(meta.get("demo.hours") or 0)
        done(played)
        place = 0
        reader.look()
        reader.skip(Instant(CUT_AT + played * HOUR))
        for hour in range(1, HOURS + 1):
            at = Instant(CUT_AT + hour * HOUR)
            start = place
            while place < len(calls) and calls[place][0] <= at:
                place += 1
            if hour <= played:
                continue
            self._there.log.append([ClockMoved()], at)
            for _ in self._door.calls((call for _, call in calls[start:place]), history=False):
                pass
            self._door.react(reader.due(at))
            self.tick(at)
            reader.look()
            meta.put("demo.hours", str(hour))
            done(1)

    def tick(self, at: Instant) -> None:
        """Append a tick and wait until everything that it set in motion has come to rest.

        Raises:
            Transient: If it does not within five minutes.
        """
        (number,) = self._there.log.append([Tick()], at)
        started, pause_s = time.monotonic(), SHORTEST_PAUSE_S
        while not self._at_rest(number * PLACES):
            if time.monotonic() - started > PATIENCE_S:
                raise Transient("demo.stuck", f"the tick at record {number} did not come to rest in {PATIENCE_S:.0f} s")
            self._check()
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    def _at_rest(self, offset: int) -> bool:
        records = self._there.records
        return (
            records.engine.applied() >= offset
            and records.messages.due_count(self._there.clock.now()) == 0
            and records.outbox.pending_count() == 0
        )


def calls_by_time(shop: Shop) -> tuple[list[tuple[Instant, Call]], list[tuple[Instant, Call]]]:
    """All calls of the shop by time, split at the cut: (what was before, what is played live)."""
    before: list[tuple[Instant, Call]] = []
    after: list[tuple[Instant, Call]] = []
    for pair in merge(shop.orders(), shop.campaigns(), shop.redemptions(), key=lambda pair: pair[0]):
        if pair[0] <= CUT_AT:
            before.append(pair)
        elif pair[0] <= END_AT:
            after.append(pair)
    return before, after
