"""Engine, door and sender killed with SIGKILL at random moments: nothing lost, nothing doubled.

The oracles are outside the program: what the shop sent, and the ledger of the server that received the mail.
"""

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import SETTINGS, Served, Shop, identify, make_project, opened, order, serving  # noqa: E402

from mailwright.core.messages import FINAL_STATES  # noqa: E402
from mailwright.delivery.receiver import read_ledger  # noqa: E402

pytestmark = pytest.mark.slow

PEOPLE = 60
DAYS = ("2026-11-03", "2026-11-04", "2026-11-10", "2026-11-11")
TUESDAYS = ("2026-11-03", "2026-11-10")  # when the campaign goes out


@contextmanager
def receiver(folder: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "mailwright.delivery.receiver", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class Killer:
    """Kills a process a moment after a step has begun: at some steps by lot, and at those that send mail."""

    def __init__(self, served: Served, rng: random.Random) -> None:
        self._served = served
        self._rng = rng
        self._left = ["engine", "door", "sender"] * 2
        rng.shuffle(self._left)
        self.killed: list[str] = []

    def step(self, work: Callable[[], None], *, sends: bool = False) -> None:
        """Do `work`, perhaps with a kill in the middle of it."""
        name = self._choice(sends)
        if name is None:
            work()
            return
        timer = threading.Timer(self._rng.uniform(0, 0.15), self._served.kill, [name])
        timer.start()
        work()
        timer.join()
        self.killed.append(name)

    def _choice(self, sends: bool) -> str | None:
        if self._left and sends:
            return next((self._left.pop(n) for n, one in enumerate(self._left) if one != "door"), None)
        first = not self.killed  # whatever the lot says, the first step has a kill
        return self._left.pop() if self._left and (self._rng.random() < 0.3 or first) else None


def test_no_event_lost_or_doubled_and_no_mail_doubled(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    users = [f"user-{n}" for n in range(PEOPLE)]
    emails = [f"{user}@example.com" for user in users]
    with receiver(tmp_path / "received") as port:
        channel = f'[channel]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "off"\n'
        pace = "[engine]\ncheckpoint_s = 1\nhistory_s = 1\n"
        folder = make_project(tmp_path / "shop", SETTINGS + "lease_s = 3\n" + channel + pace)
        with serving(folder) as served, opened(folder) as there:
            shop = Shop(there, served)
            shop.consent(emails)
            killer = Killer(served, rng)
            calls = [identify(user, mail) for user, mail in zip(users, emails, strict=True)]
            killer.step(lambda: shop.batch(calls))
            for number, day in enumerate(DAYS):
                shop.move_clock(f"{day}T07:00:00Z")
                for part in range(4):
                    calls = [order(user, number) for user in users[part::4]]
                    killer.step(lambda calls=calls: shop.batch(calls))
                for hour in ("08", "09", "10"):
                    sends = hour == "09" and day in TUESDAYS
                    killer.step(lambda day=day, hour=hour: shop.tick(f"{day}T{hour}:00:00Z"), sends=sends)
            shop.tick("2026-11-11T11:00:00Z")
            print(f"seed {seed}: killed {killer.killed}")
            there.engine.flush_history()
            status = there.engine.status()
            told = there.history.query("SELECT source, message_id FROM events").to_pylist()
            offsets = there.history.query('SELECT "offset" AS place FROM events')["place"].to_pylist()
            messages = there.records.messages.page(before=None, limit=1_000)
    assert len(killer.killed) >= 3
    ours = Counter((row["source"], row["message_id"]) for row in told)
    assert [one for one, n in ours.items() if n > 1] == []
    assert sum(1 for source, _ in ours if source == "shop") == PEOPLE * (1 + len(DAYS))
    assert len(offsets) == len(set(offsets)) == status.n_events
    assert len(messages) == PEOPLE * len(TUESDAYS)
    assert {one.state for one in messages} <= FINAL_STATES
    delivered = Counter(line.message_id for line in read_ledger(tmp_path / "received"))
    assert [one for one, n in delivered.items() if n > 1] == []
    by_state = {f"<{one.send_key}@maple.example>": one.state for one in messages}
    surely = {one for one, state in by_state.items() if state == "sent"}
    doubtful = {one for one, state in by_state.items() if state == "unknown"}
    assert surely <= set(delivered) <= surely | doubtful
    assert surely | doubtful == set(by_state)
    outcomes: dict[str, set[str]] = {one.id: set() for one in messages}
    for message, _, outcome in (message_id.rpartition(":") for source, message_id in ours if source == "mailwright"):
        outcomes[message].add(outcome)
    # A mail whose lease ran out while its sender stood still is told as in doubt first, and then as what it became.
    assert all({one.state} <= outcomes[one.id] <= {one.state, "unknown"} for one in messages)
