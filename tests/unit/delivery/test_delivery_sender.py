"""The sender over real Records: every message ends in one visible state, whatever the channel and the engine do."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from delivery_shop import NOW, FixedClock, Shop, material, message, queue, request

from mailwright.core.errors import NotFound, Transient
from mailwright.core.instants import HOUR, MINUTE, SECOND, Instant
from mailwright.core.messages import Deferred, Envelope, Failed, MessageState, Outcome, Sent, Unknown
from mailwright.delivery.prepare import Preparation
from mailwright.delivery.sender import Sender, SendingSettings, release_leases, retry_at
from mailwright.stores.records_sql import SqlRecords


class ScriptedChannel:
    """A channel that answers by recipient; `handed` is what got as far as the final dot."""

    def __init__(self, outcomes: dict[str, Outcome] | None = None) -> None:
        self.outcomes = outcomes or {}
        self.handed: list[Envelope] = []
        self.lost: list[str] = []

    async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
        outcome = self.outcomes.get(envelope.rcpt_to, Sent("250 ok"))
        if isinstance(outcome, Deferred):
            return outcome
        if not await before_final():
            self.lost.append(envelope.send_key)
            return Deferred("claim lost")
        self.handed.append(envelope)
        return outcome

    async def close(self) -> None:
        pass


class Office:
    """A shop with Records and a sender."""

    def __init__(self, folder: Path, channel: object = None, **settings: object) -> None:
        self.shop = Shop()
        self.records = SqlRecords.open(folder / "records.sqlite")
        self.clock, self.wall = FixedClock(), FixedClock(Instant(1_000_000_000))
        self.channel = channel or ScriptedChannel()
        values = {"worker": "w1", "connections": 4, "idle_s": 0.001, "trouble_s": 0.001, **settings}
        self.settings = SendingSettings(**values)

    def sender(self, **parts: object) -> Sender:
        values = {
            "messages": self.records.messages,
            "preparation": self.shop.preparation(self.records.consents),
            "channel": self.channel,
            "clock": self.clock,
            "lease_clock": self.wall,
            "settings": self.settings,
        }
        return Sender(**{**values, **parts})

    def people(self, *persons: int, **changes: object) -> None:
        for person in persons:
            self.shop.add(person)
        self.shop.consent(self.records, *persons)
        queue(self.records, *(request(person, **changes) for person in persons))

    def once(self) -> int:
        async def work() -> int:
            return await self.sender().run_once()

        return asyncio.run(work())

    def states(self) -> dict[int, tuple[str, str | None]]:
        page = self.records.messages.page(before=None, limit=1000)
        return {int(one.person): (one.state.value, one.reason) for one in page}


@pytest.fixture
def office(tmp_path: Path):
    offices = []

    def make(channel: object = None, **settings: object) -> Office:
        offices.append(Office(tmp_path / str(len(offices)), channel, **settings))
        return offices[-1]

    yield make
    for one in offices:
        one.records.close()


def to(person: int) -> str:
    return f"household-{person}@example.com"


def test_a_batch_ends_as_the_channel_says(office) -> None:
    one = office(
        ScriptedChannel({to(2): Failed("550 no"), to(3): Unknown("final: lost"), to(4): Deferred("450 later")})
    )
    one.people(1, 2, 3, 4)
    assert one.once() == 4
    assert one.states() == {
        1: ("sent", "250 ok"),
        2: ("failed", "550 no"),
        3: ("unknown", "final: lost"),
        4: ("queued", "450 later"),
    }
    kept = next(m for m in one.records.messages.page(before=None, limit=9) if m.person == 1)
    assert one.records.messages.body(kept.id) == next(e.body for e in one.channel.handed if e.rcpt_to == to(1))
    assert kept.decision["definitions_version"] == 7


def test_the_gate_speaks_for_each(office) -> None:
    one = office()
    one.people(1, 2, 3, 4, 5, 6)
    one.shop.consent(one.records, 2, granted=False)
    one.records.consents.suppress({one.shop.hash(3): "complaint"}, NOW)
    one.shop.add(4, email=None)
    del one.shop.engine.people[5]
    queue(one.records, request(7), request(8, origin="campaign:gone"), request(9, send_by_at=Instant(NOW - 1)))
    one.shop.add(7)
    for person in (8, 9):
        one.shop.add(person)
        one.shop.consent(one.records, person)
    one.shop.engine.people[6].truths["campaign:weekly:audience"] = False
    one.once()
    assert one.states() == {
        1: ("sent", "250 ok"),
        2: ("suppressed", "no_consent"),
        3: ("suppressed", "on_suppression_list"),
        4: ("suppressed", "no_address"),
        5: ("suppressed", "no_person"),
        6: ("suppressed", "left_audience"),
        7: ("suppressed", "no_consent"),
        8: ("cancelled", "no_definition"),
        9: ("expired", "expired"),
    }
    assert [envelope.rcpt_to for envelope in one.channel.handed] == [to(1)]
    for refused in one.records.messages.page(before=None, limit=100, state=MessageState.SUPPRESSED):
        assert refused.decision["outcome"]["reason"] == refused.reason


def test_one_broken_mail_does_not_hold_up_the_batch(office) -> None:
    one = office()
    one.people(1, 2)
    one.shop.add(1, first_name="x" * 1_000_000)
    one.once()
    assert one.states() == {1: ("suppressed", "template"), 2: ("sent", "250 ok")}


def test_a_deferred_mail_comes_back_and_in_the_end_fails_or_expires(office) -> None:
    one = office(ScriptedChannel({to(1): Deferred("450 later"), to(2): Deferred("450 later")}), max_attempts=3)
    one.people(1)
    one.people(2, send_by_at=Instant(NOW + 45 * MINUTE))
    one.once()
    assert one.once() == 0
    rounds = 0
    while one.records.messages.open_count():
        one.clock.at = Instant(one.clock.at + 10 * MINUTE)
        rounds += one.once() > 0
        assert one.clock.at < NOW + 24 * HOUR
    assert one.states() == {
        1: ("failed", "given up after 3 attempts: 450 later"),
        2: ("expired", "expired"),
    }


def test_the_engine_out_of_reach_loses_and_doubles_nothing(office) -> None:
    one = office()
    one.people(1, 2)
    one.shop.engine.is_out = True

    async def work() -> None:
        sender = one.sender()
        with pytest.raises(Transient):
            await sender.run_once()
        one.shop.engine.is_out = False
        assert await sender.run_once() == 2

    asyncio.run(work())
    assert set(one.states().values()) == {("sent", "250 ok")}
    assert len(one.channel.handed) == 2


def test_what_was_held_too_long_is_left_to_lapse(office) -> None:
    one = office()
    one.people(1)
    one.shop.engine.is_out = True

    async def work() -> None:
        sender = one.sender()
        with pytest.raises(Transient):
            await sender.run_once()
        one.shop.engine.is_out = False
        one.wall.at = Instant(one.wall.at + 61 * SECOND)
        assert await sender.run_once() == 0
        one.wall.at = Instant(one.wall.at + 900 * SECOND)
        assert await sender.run_once() == 1

    asyncio.run(work())
    assert one.states()[1][0] == "sent"


def test_a_mail_that_waited_too_long_is_gated_again(office) -> None:
    """Consent withdrawn while the first mail of the batch hangs stops the second."""

    class SlowFirst(ScriptedChannel):
        async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
            outcome = await super().send(envelope, before_final)
            if len(self.handed) == 1:
                one.wall.at = Instant(one.wall.at + 60 * SECOND)
                one.shop.consent(one.records, 1, 2, granted=False)
            return outcome

    one = office(SlowFirst(), connections=1)
    one.people(1, 2)
    one.once()
    assert one.states()[2] == ("queued", "waited too long for its turn: looked at again")
    one.once()
    assert one.states() == {1: ("sent", "250 ok"), 2: ("suppressed", "no_consent")}


def test_a_claim_that_lapsed_is_not_handed_over(office) -> None:
    """A sender that was stopped between render and dot finds its fence too old."""

    class Sleeper(ScriptedChannel):
        async def send(self, envelope: Envelope, before_final: Callable[[], Awaitable[bool]]) -> Outcome:
            later = Instant(one.wall.at + 1000 * SECOND)
            one.records.messages.claim(NOW, 10, "w2", lease_now=later, lease_until=Instant(later + SECOND))
            return await super().send(envelope, before_final)

    one = office(Sleeper())
    one.people(1)
    one.once()
    assert one.channel.handed == []
    assert len(one.channel.lost) == 1
    assert one.states()[1][0] == "claimed"


def test_what_a_killed_sender_held_can_be_released_at_once(office) -> None:
    """Claimed or handing goes back to be sent; after the mark nobody knows."""
    one = office()
    one.people(1, 2, 3)
    later = Instant(one.wall.at + 900 * SECOND)
    claimed = one.records.messages.claim(NOW, 9, "killed", lease_now=one.wall.at, lease_until=later)
    prepared = one.shop.preparation(one.records.consents).prepare(claimed, NOW)
    handings = [ready.handing for ready in prepared.ready]
    one.records.messages.handing(handings[:2])
    one.records.messages.dot([(handings[0].send_key, handings[0].fence)])
    assert one.once() == 0
    release_leases(one.records.messages, NOW)
    assert one.once() == 2
    assert [state for _, (state, _) in sorted(one.states().items())] == ["unknown", "sent", "sent"]


def test_an_error_that_is_no_trouble_ends_the_run_after_what_is_under_way(office) -> None:
    one = office(batch=1)
    one.people(1, 2)
    asked = []

    def material_once() -> object:
        asked.append(1)
        if len(asked) > 1:
            raise NotFound("definition.not_applied", "nothing was applied yet")
        return one.shop.material

    one.shop.preparation = lambda consents: Preparation(
        engine=one.shop.engine, consents=consents, sealer=one.shop.sealer, composer=one.shop.composer,
        material=material_once, identity=one.shop.identity,
    )  # fmt: skip

    async def work() -> None:
        await one.sender().run(asyncio.Event())

    with pytest.raises(NotFound):
        asyncio.run(work())
    assert sorted(state for state, _ in one.states().values()) == ["claimed", "sent"]


def test_a_claim_lost_while_preparing_does_not_reach_the_channel(office) -> None:
    one = office()
    one.people(1)
    real = one.shop.preparation(one.records.consents)

    class SlowPreparation:
        def prepare(self, messages: object, now: Instant) -> object:
            prepared = real.prepare(messages, now)
            release_leases(one.records.messages, NOW)
            return prepared

    async def work() -> None:
        await one.sender(preparation=SlowPreparation()).run_once()

    asyncio.run(work())
    assert one.states()[1][0] == "queued"
    assert one.channel.handed == one.channel.lost == []


class Faulty:
    """Records' messages that fail a number of times at one call."""

    def __init__(self, inner: object, call: str, times: int) -> None:
        self._inner, self._call, self.times = inner, call, times

    def __getattr__(self, name: str) -> object:
        if name != self._call or self.times == 0:
            return getattr(self._inner, name)
        self.times -= 1

        def fail(*args: object, **more: object) -> None:
            raise Transient("records.locked", "the database is locked")

        return fail


class Patient:
    """Records' messages; leases run out while nothing is to be claimed, and not while a mail is on its way."""

    def __init__(self, inner: object, wall: FixedClock) -> None:
        self._inner, self._wall = inner, wall

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def claim(self, *args: object, **more: object) -> object:
        claimed = self._inner.claim(*args, **more)
        if not claimed:
            self._wall.at = Instant(self._wall.at + 10 * SECOND)
        return claimed


@pytest.mark.parametrize("call", ["claim", "refuse", "handing", "dot", "result"])
def test_records_out_of_reach_for_a_while(call: str, office) -> None:
    one = office(first_retry_s=0)
    one.people(1, 2, 3)
    one.shop.consent(one.records, 3, granted=False)

    async def work() -> None:
        sender = one.sender(messages=Faulty(Patient(one.records.messages, one.wall), call, 3))
        stop = asyncio.Event()
        running = asyncio.create_task(sender.run(stop))
        while one.records.messages.open_count():
            await asyncio.sleep(0.001)
        stop.set()
        await running

    asyncio.run(work())
    assert Counter(state for state, _ in one.states().values()) == {"sent": 2, "suppressed": 1}
    assert len(one.channel.handed) == 2


def test_run_sends_all_and_stops_when_asked(office) -> None:
    one = office(batch=7)
    one.people(*range(1, 60))

    async def work() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(one.sender().run(stop))
        while one.records.messages.open_count():
            await asyncio.sleep(0.001)
        stop.set()
        await running

    asyncio.run(work())
    assert len({envelope.rcpt_to for envelope in one.channel.handed}) == len(one.channel.handed) == 59


def test_two_senders_share_the_work_without_doubles(office) -> None:
    one = office(batch=5)
    one.people(*range(1, 40))

    async def work() -> None:
        senders = [one.sender(), one.sender()]
        while one.records.messages.open_count():
            await asyncio.gather(*(sender.run_once() for sender in senders))

    asyncio.run(work())
    assert Counter(envelope.rcpt_to for envelope in one.channel.handed) == {to(person): 1 for person in range(1, 40)}


def test_marks_of_parallel_connections_share_commits(office) -> None:
    one = office(connections=16)
    one.people(*range(1, 33))
    commits = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(one.records.messages, name)

        def dot(self, claims: object) -> list[str]:
            commits.append(len(claims))
            return one.records.messages.dot(claims)

    async def work() -> None:
        await one.sender(messages=Counting()).run_once()

    asyncio.run(work())
    assert sum(commits) == 32
    assert len(commits) < 32
    assert max(commits) > 1


def test_blanks_around_an_address_are_no_part_of_it(office) -> None:
    one = office()
    one.people(1)
    one.shop.add(1, email=" household-1@example.com\n")
    one.shop.consent(one.records, 1)
    one.once()
    assert [envelope.rcpt_to for envelope in one.channel.handed] == [to(1)]


def test_no_template_at_all_suppresses_and_does_not_stop(office) -> None:
    one = office()
    one.people(1)
    one.shop.material = material("---\nsubject: x\n---\n<mjml><mj-body><mj-text>no</mj-text></mj-body></mjml>")
    one.once()
    assert one.states()[1] == ("suppressed", "template")


# --- back-off --------------------------------------------------------------------------------------------------------


def test_back_off_doubles_to_its_limit_with_jitter() -> None:
    settings = SendingSettings(worker="w")
    far = Instant(NOW + 1000 * HOUR)
    waits = [(retry_at(NOW, message(send_by_at=far, attempts=n), settings) - NOW) / MINUTE for n in range(10)]
    for n, wait in enumerate(waits):
        nominal = min(30 * 2**n, 240)
        assert 0.8 * nominal <= wait <= 1.2 * nominal
    others = {retry_at(NOW, message(n, send_by_at=far), settings) for n in range(50)}
    assert len(others) > 40
    assert retry_at(NOW, message(send_by_at=far), settings) == retry_at(NOW, message(send_by_at=far), settings)


def test_back_off_never_passes_the_send_by_time() -> None:
    settings = SendingSettings(worker="w")
    soon = Instant(NOW + MINUTE)
    assert retry_at(NOW, message(send_by_at=soon), settings) == soon + 1
    assert retry_at(NOW, message(send_by_at=Instant(NOW - 5)), settings) == NOW
