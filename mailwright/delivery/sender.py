"""The sender: claims messages, prepares them, hands them over, and writes down what became of them.

    claim -> gate, decide, render -> commit refusals and bodies -> MAIL RCPT DATA -> commit `dot`
      -> final dot -> commit the result

Every arrow is a durable commit, so a crash at any moment leaves a message either provably not delivered (it is claimed
again) or, between the dot's mark and its result, *unknown*: visible, and never sent again by itself.

A lease (15 minutes) is not renewed. It only has to outlast one hand-over, whose longest stage, the final dot, ends
after 10 minutes (RFC 5321 4.5.3.2.6), and nothing is handed over that has waited for more than a minute since its
claim. A lease that lapses all the same does no harm: the fence refuses a late mark, and a late result still corrects
`unknown`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mailwright.core.errors import Transient
from mailwright.core.instants import SECOND, Instant
from mailwright.core.messages import Deferred, Failed, Message, Outcome
from mailwright.core.ports import Channel, Clock, MessageRecords
from mailwright.delivery.compose import Ready
from mailwright.delivery.group_commit import GroupCommit
from mailwright.delivery.prepare import Preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings:
    """How the sender works.

    Attributes:
        worker: Names this process in claims.
        batch: Messages per claim, at most; fewer while the receiving server is slow.
        connections: Hand-overs at the same time.
        lease_s: Seconds for which a claim is ours.
        stale_s: Seconds after its claim from which a message is not handed over but given back, so that consent,
            suppression, audience and values are looked at again: a withdrawal binds within this time.
        max_attempts: Hand-overs before a message that is always deferred is failed.
        first_retry_s: Wait after the first deferral (RFC 5321 4.5.4.1 asks for at least 30 minutes); it doubles with
            every further one up to `longest_retry_s`, give or take a fifth.
        idle_s: Pause when there is nothing to do.
        trouble_s: Pause when the engine, Records or the receiving server is out of reach; doubles up to a minute.
    """

    worker: str
    batch: int = 200
    connections: int = 8
    lease_s: float = 900
    stale_s: float = 60
    max_attempts: int = 8
    first_retry_s: float = 1800
    longest_retry_s: float = 4 * 3600
    idle_s: float = 0.2
    trouble_s: float = 1


LONGEST_PAUSE_S = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A batch of messages of ours and until when."""

    messages: Sequence[Message]
    stale_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A prepared batch: how many messages were claimed for it, and those that are to be handed over."""

    n_claimed: int
    ready: Sequence[Ready]
    stale_at: Instant


def retry_at(now: Instant, message: Message, settings: SendingSettings) -> Instant:
    """When a message that was deferred is tried again: at the latest just after its send-by time, to be expired.

    `message` is as claimed: its `attempts` do not count the one that was deferred now.
    The jitter comes from a hash of the send key and the attempt, so that mails deferred together come back apart.
    """
    doubled = settings.first_retry_s * 2 ** min(message.attempts, 30)
    digest = hashlib.sha256(f"{message.send_key}:{message.attempts}".encode()).digest()
    jitter = 0.8 + 0.4 * int.from_bytes(digest[:4], "big") / 2**32
    wait_s = min(doubled, settings.longest_retry_s) * jitter
    return Instant(min(now + int(wait_s * SECOND), max(message.send_by_at + 1, now)))


class Sender:
    """One sender. Several may run over the same Records, in any number of processes."""

    def __init__(
        self,
        *,
        messages: MessageRecords,
        preparation: Preparation,
        channel: Channel,
        clock: Clock,
        lease_clock: Clock,
        settings: SendingSettings,
    ) -> None:
        """Take the parts. `clock` is the project's, maybe virtual; `lease_clock` is always the system's."""
        self._messages = messages
        self._preparation = preparation
        self._channel = channel
        self._clock = clock
        self._lease_clock = lease_clock
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.connections)
        self._marks = GroupCommit(self._write_marks)
        self._results = GroupCommit(self._write_results)
        self._held: Claimed | None = None
        # Slow start: twice as many after each batch that was handed over in time, half after one that was not.
        self._size = min(settings.batch, 4 * settings.connections)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then finish what is under way. The next batch is prepared during a hand-over."""
        under_way: asyncio.Task[bool] | None = None
        pause_s = self._settings.trouble_s
        try:
            while not stop.is_set():
                batch, reached = await self._next_or_trouble(), True
                if under_way:
                    reached = await under_way
                    under_way = None
                if batch:
                    under_way = asyncio.create_task(self._hand_over(batch))
                if batch and reached:
                    pause_s = self._settings.trouble_s
                    await _wait(stop, 0 if batch.n_claimed else self._settings.idle_s)
                else:
                    await _wait(stop, pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            if under_way:
                await under_way
            await self._channel.close()

    async def _next_or_trouble(self) -> Batch | None:
        try:
            return await asyncio.to_thread(self._next)
        except Transient as error:
            _log.warning("sending waits: %s", error.message)
            return None

    async def run_once(self) -> int:
        """Claim one batch, bring every message of it to its next state, and return how many were claimed.

        Raises:
            Transient: If the engine or Records cannot be reached; what was claimed is kept for the next call.
        """
        batch = await asyncio.to_thread(self._next)
        await self._hand_over(batch)
        return batch.n_claimed

    def _next(self) -> Batch:
        claimed = self._held_still() or self._claim()
        self._held = claimed
        now = self._clock.now()
        prepared = self._preparation.prepare(claimed.messages, now)
        if prepared.refusals:
            self._messages.refuse(prepared.refusals, now)
        ours = set(self._messages.handing([one.handing for one in prepared.ready])) if prepared.ready else set()
        self._held = None
        return Batch(
            n_claimed=len(claimed.messages),
            ready=[one for one in prepared.ready if one.handing.send_key in ours],
            stale_at=claimed.stale_at,
        )

    def _held_still(self) -> Claimed | None:
        """What an earlier call claimed and could not prepare, unless it has waited too long."""
        held = self._held
        return held if held and held.messages and self._lease_clock.now() < held.stale_at else None

    def _claim(self) -> Claimed:
        lease_now = self._lease_clock.now()
        lease_until = Instant(lease_now + int(self._settings.lease_s * SECOND))
        messages = self._messages.claim(
            self._clock.now(), self._size, self._settings.worker, lease_now=lease_now, lease_until=lease_until
        )
        return Claimed(messages=messages, stale_at=Instant(lease_now + int(self._settings.stale_s * SECOND)))

    async def _hand_over(self, batch: Batch) -> bool:
        """Hand a batch over; False if nothing at all got further than a deferral, so that a pause is in order."""
        outcomes = await asyncio.gather(*(self._hand_one_over(one, batch.stale_at) for one in batch.ready))
        late = self._lease_clock.now() >= batch.stale_at
        self._size = max(1, self._size // 2) if late else min(2 * self._size, self._settings.batch)
        return not outcomes or not all(isinstance(outcome, Deferred) for outcome in outcomes)

    async def _hand_one_over(self, one: Ready, stale_at: Instant) -> Outcome:
        async with self._slots:
            if self._lease_clock.now() >= stale_at:
                outcome: Outcome = Deferred("waited too long for its turn: looked at again", self._clock.now())
            else:
                outcome = self._settled(one.message, await self._channel.send(one.envelope, lambda: self._mark(one)))
        await self._write_down(one, outcome)
        return outcome

    def _settled(self, message: Message, outcome: Outcome) -> Outcome:
        """A deferral with its next instant, or as a failure when it was the last one allowed."""
        if not isinstance(outcome, Deferred):
            return outcome
        if message.attempts + 1 >= self._settings.max_attempts:
            return Failed(f"given up after {message.attempts + 1} attempts: {outcome.reply}")
        until_at = outcome.until_at or retry_at(self._clock.now(), message, self._settings)
        return Deferred(outcome.reply, until_at)

    async def _mark(self, one: Ready) -> bool:
        try:
            return await self._marks.submit((one.handing.send_key, one.handing.fence))
        except Transient:  # not durable for sure: break the hand-over off while that is still possible
            return False

    async def _write_down(self, one: Ready, outcome: Outcome) -> None:
        """Write an outcome, however long Records is out of reach: it exists nowhere else."""
        pause_s = self._settings.trouble_s
        while True:
            try:
                await self._results.submit((one.handing.send_key, one.handing.fence, outcome))
                return
            except Transient:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _write_marks(self, claims: Sequence[tuple[str, int]]) -> Sequence[bool]:
        ours = set(self._messages.dot(claims))
        return [send_key in ours for send_key, _ in claims]

    def _write_results(self, results: Sequence[tuple[str, int, Outcome]]) -> Sequence[None]:
        self._messages.result(results, self._clock.now())
        return [None] * len(results)


def release_leases(messages: MessageRecords, now: Instant) -> None:
    """End every lease at once, so that what a killed sender held is sent, or shown as unknown, without a wait.

    Only while no sender runs over these Records: a supervisor calls it before it starts its senders. A sender that runs
    all the same is kept from handing over by its fence, but its mail is then rendered and counted a second time.
    """
    far = Instant(2**62)
    messages.claim(now, 0, "nobody", lease_now=far, lease_until=far)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
