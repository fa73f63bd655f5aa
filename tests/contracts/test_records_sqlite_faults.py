"""What SqlRecords keeps when processes die and the disk is full."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from records_cases import LATER, LEASE, handing, queue, request, told
from sqlalchemy import text

from mailwright.core.errors import Transient
from mailwright.core.instants import Instant
from mailwright.core.messages import MessageState, Sent
from mailwright.stores.records.messages import message_id
from mailwright.stores.records_sql import SqlRecords

# Takes messages through every state, one after another, telling each step once it is acknowledged.
SENDER = """
import sys
sys.path.insert(0, sys.argv[2])
from records_cases import handing
from mailwright.core.instants import Instant
from mailwright.core.messages import Sent
from mailwright.stores.records_sql import SqlRecords

records = SqlRecords.open(sys.argv[1]).messages
now, later = Instant(10), Instant(2_000)
for message in records.claim(now, 1_000, "w", lease_now=Instant(1_000), lease_until=later):
    key, fence = message.send_key, message.fence
    print(key, "claimed", flush=True)
    assert records.handing([handing(key, fence)]) == [key]
    print(key, "handing", flush=True)
    assert records.dot([(key, fence)]) == [key]
    print(key, "dot", flush=True)
    records.result([(key, fence, Sent("250"))], now)
    print(key, "sent", flush=True)
"""


@pytest.mark.parametrize("n_lines", [1, 6, 11, 16, 21, 32])
def test_no_acknowledged_step_is_lost_by_kill_9(tmp_path, n_lines):
    path = tmp_path / "records.sqlite"
    with SqlRecords.open(path) as records:
        queue(records, *(request(f"k{n}") for n in range(200)))
    command = [sys.executable, "-c", SENDER, path, Path(__file__).parent]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(n_lines)]
    process.kill()
    # Not communicate(): it reads past what readline has already taken into its buffer, and would begin amid a line.
    lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.stdout.close()
    process.wait(60)
    told_states = dict(line.split() for line in lines)
    order = ["claimed", "handing", "dot", "sent"]
    with SqlRecords.open(path) as records:
        for key, state in told_states.items():
            found = records.messages.by_id(message_id(key)).state
            assert order.index(found) >= order.index(state)
        before = {one.send_key: one.state for one in records.messages.page(before=None, limit=1_000)}
        records.messages.claim(Instant(20), 0, "next", **LATER)
        after = {one.send_key: one.state for one in records.messages.page(before=None, limit=1_000)}
        names = [name for name, _ in told(records)]
    # At most the one hand-over under way is in doubt; all else is sent or waits again.
    expected = {"claimed": "queued", "handing": "queued", "dot": "unknown", "sent": "sent"}
    assert after == {key: MessageState(expected[state]) for key, state in before.items()}
    assert list(after.values()).count(MessageState.UNKNOWN) <= 1
    assert len(names) == sum(state in ("sent", "unknown") for state in after.values())


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        _fill_and_free(disk)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(records: SqlRecords) -> int:
    for n_put in range(5_000):
        try:
            records.meta.put(f"key {n_put}", "x" * 1_000)
        except Transient:
            return n_put
    raise AssertionError("the disk never filled up")


def _fill_and_free(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 1_500_000)
    with SqlRecords.open(disk / "records.sqlite") as records:
        n_put = _fill(records)
        assert records.meta.get(f"key {n_put - 1}") == "x" * 1_000
        assert records.meta.get(f"key {n_put}") is None
        with pytest.raises(Transient, match="no space left"):
            queue(records, *(request(f"k{n}") for n in range(5_000)))
        assert records.messages.open_count() == 0
        ballast.unlink()
        queue(records, request("k"))
        assert records.messages.open_count() == 1
        with records._database.read() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_threads_of_one_process_never_share_a_message(tmp_path):
    with SqlRecords.open(tmp_path / "records.sqlite") as records:
        queue(records, *(request(f"k{n}") for n in range(120)))

        def work(worker: int) -> list[str]:
            sent = []
            while claimed := records.messages.claim(Instant(10), 5, f"w{worker}", **LEASE):
                fences = [(one.send_key, one.fence) for one in claimed]
                ours = records.messages.handing([handing(*claim) for claim in fences])
                sent += records.messages.dot([claim for claim in fences if claim[0] in ours])
                records.messages.result([(*claim, Sent("250")) for claim in fences], Instant(11))
            return sent

        with ThreadPoolExecutor(4) as pool:
            sent = [key for keys in pool.map(work, range(4)) for key in keys]
        assert sorted(sent) == sorted(f"k{n}" for n in range(120))
        assert records.messages.open_count() == 0
        assert len(told(records)) == 120
