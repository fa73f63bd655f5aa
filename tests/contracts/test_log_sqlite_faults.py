"""What SqliteEventLog keeps when processes die, bytes rot and the disk is full."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from mailwright.core.errors import Corrupt, MailwrightError, Permanent, Transient
from mailwright.core.events import Defined, Events, Tick
from mailwright.core.instants import Instant
from mailwright.stores.log_sqlite import SqliteEventLog

APPENDER = Path(__file__).with_name("appender.py")


def start_appender(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(APPENDER), str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(path: Path) -> dict[int, str]:
    with SqliteEventLog(path) as log:
        records = log.read(0, 1_000_000)
    return {record.number: record.body.events[0].message_id for record in records if isinstance(record.body, Events)}


def acknowledged(output: str) -> dict[int, str]:
    # A line without its newline was cut by the kill.
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {int(number): message_id for number, message_id in lines}


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "log.sqlite"
    processes = [start_appender(path, name, 150) for name in ("a", "b", "c")]
    acks = {}
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0
        acks |= acknowledged(output)
    assert len(acks) == 450
    assert stored(path) == acks
    assert sorted(acks) == list(range(1, 451))


OPENS = """
import sys
import time
from pathlib import Path
from mailwright.core.events import Tick
from mailwright.core.instants import Instant
from mailwright.stores.log_sqlite import SqliteEventLog
print("ready", flush=True)
sys.stdin.readline()
for n in range(60):
    with SqliteEventLog(Path(sys.argv[1]) / str(n) / "log.sqlite") as log:
        log.append([Tick()], Instant(1))
"""


def test_processes_may_make_and_open_the_log_at_once(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", OPENS, tmp_path], **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=240)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    for n in range(60):
        with SqliteEventLog(tmp_path / str(n) / "log.sqlite") as log:
            assert log.last() == (4, 1)


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path = tmp_path / "log.sqlite"
    acks = {}
    for round_ in range(8):
        process = start_appender(path, f"r{round_}", 1_000_000)
        lines = [process.stdout.readline() for _ in range(7 * round_ + 1)]
        process.kill()
        # Not communicate(): it reads past what readline has already taken into its buffer, and would begin amid a line.
        rest = process.stdout.read()
        process.stdout.close()
        process.wait(240)
        acks |= acknowledged("".join(lines) + rest)
    found = stored(path)
    assert len(acks) >= sum(7 * round_ + 1 for round_ in range(8))
    assert acks.items() <= found.items()
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.parametrize("size", [50, 3_000], ids=["raw", "compressed"])
def test_a_rotten_record_is_corrupt_and_what_stands_before_it_is_read(tmp_path, size):
    path = tmp_path / "log.sqlite"
    texts = ["".join(chr(97 + (n * n + k) % 26) for n in range(size)) for k in range(3)]
    with SqliteEventLog(path) as log:
        log.append([Defined(k, {"a": text}) for k, text in enumerate(texts)], Instant(1))
    rot(
        path, "UPDATE record SET data = CAST(substr(data, 1, 30) || x'00' || substr(data, 32) AS BLOB) WHERE number = 2"
    )
    with SqliteEventLog(path) as log:
        assert [record.body.files["a"] for record in log.read(0, 1)] == texts[:1]
        with pytest.raises(Corrupt, match="record 2"):
            log.read(0, 10)
        assert [record.number for record in log.read(2, 10)] == [3]


@pytest.mark.parametrize("change", ["at = 2", "codec = 1 - codec", "number = 4", "checksum = checksum + 1"])
def test_a_changed_field_is_corrupt(tmp_path, change):
    path = tmp_path / "log.sqlite"
    with SqliteEventLog(path) as log:
        log.append([Tick(), Tick(), Tick()], Instant(1))
    rot(path, f"UPDATE record SET {change} WHERE number = 3")
    with SqliteEventLog(path) as log, pytest.raises(Corrupt):
        log.read(0, 10)


def test_a_missing_record_is_corrupt(tmp_path):
    path = tmp_path / "log.sqlite"
    with SqliteEventLog(path) as log:
        log.append([Tick()] * 3, Instant(1))
    rot(path, "DELETE FROM record WHERE number = 2")
    with SqliteEventLog(path) as log, pytest.raises(Corrupt, match="2 to 2 are missing"):
        log.read(0, 10)


def rot(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    assert connection.changes() == 1
    connection.close()


def test_no_flipped_byte_of_the_file_ever_gives_altered_records(tmp_path):
    path = tmp_path / "log.sqlite"
    with SqliteEventLog(path) as log:
        log.append([Defined(k, {"a": "rule " * 40}) for k in range(20)], Instant(1))
        whole = log.read(0, 100)
    good = path.read_bytes()
    outcomes = {"same": 0, "refused": 0}
    for place in range(0, len(good), 37):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        outcomes[_read_flipped(path, whole)] += 1
    assert outcomes["refused"] > 20
    assert outcomes["same"] > 20


def _read_flipped(path, whole) -> str:
    try:
        with SqliteEventLog(path) as log:
            records = log.read(0, 100)
    except MailwrightError:
        return "refused"
    assert records == whole
    return "same"


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(Corrupt, match=r"log\.sqlite is damaged"):
        SqliteEventLog(path)


def fill(log: SqliteEventLog) -> int:
    """Append until the disk is full; how many were acknowledged."""
    n_acknowledged = 0
    while n_acknowledged < 5_000:
        try:
            log.append([Defined(n_acknowledged, {"a": incompressible(n_acknowledged)})], Instant(1))
        except Transient:
            return n_acknowledged
        n_acknowledged += 1
    raise AssertionError("the disk never filled up")


def incompressible(seed: int) -> str:
    import random

    return random.Random(seed).randbytes(2_000).hex()


def test_a_full_database_refuses_and_goes_on_when_there_is_room(tmp_path):
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        log._writes.execute("PRAGMA max_page_count = 60").fetchall()
        n_acknowledged = fill(log)
        assert log.last()[0] == n_acknowledged
        with pytest.raises(Transient, match="no space left"):
            log.append([Tick()] * 3_000, Instant(1))
        assert log.last()[0] == n_acknowledged
        log._writes.execute("PRAGMA max_page_count = 6000").fetchall()
        assert log.append([Tick()], Instant(1)) == [n_acknowledged + 1]
        assert len(log.read(0, 10_000)) == n_acknowledged + 1


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    with SqliteEventLog(small_disk / "log.sqlite") as log:
        n_acknowledged = fill(log)
        assert n_acknowledged > 10
        assert len(log.read(0, 10_000)) == n_acknowledged
        ballast.unlink()
        assert log.append([Tick()], Instant(1)) == [n_acknowledged + 1]
    with SqliteEventLog(small_disk / "log.sqlite") as log:
        assert len(log.read(0, 10_000)) == n_acknowledged + 1


def test_too_much_waiting_is_refused_at_once(tmp_path):
    other = apsw.Connection(str(tmp_path / "log.sqlite"))
    with SqliteEventLog(tmp_path / "log.sqlite", max_waiting_bytes=5_000, busy_timeout_ms=600_000) as log:
        for _ in range(3):
            before = log.last()[0]
            other.execute("BEGIN IMMEDIATE")
            try:
                taken, refused = _put_while_nothing_is_written(log)
            finally:
                other.execute("ROLLBACK")
            # Four wait; the writer holds what it took before them, which is one or as many as waited when it woke.
            assert 4 < len(taken) <= 8
            assert refused == {"log.busy"}
            assert [future.result() for future in taken] == [[before + n] for n in range(1, len(taken) + 1)]
    other.close()


def _put_while_nothing_is_written(log):
    """Put events of a thousand bytes until the log refuses though its writer has begun; what it took, and the codes."""
    taken, refused = [], set()
    while len(taken) < 100 and not (refused and len(taken) > 4):
        try:
            taken.append(log.put([Defined(len(taken), {"a": incompressible(len(taken))[:1_000]})], Instant(1)))
        except Transient as error:
            refused.add(error.code)
            time.sleep(0.01)  # the writer may not have taken its first yet
    return taken, refused


def test_a_log_that_stays_locked_is_transient(tmp_path):
    other = apsw.Connection(str(tmp_path / "log.sqlite"))
    with SqliteEventLog(tmp_path / "log.sqlite", busy_timeout_ms=20) as log:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="locked"):
            log.append([Tick()], Instant(1))
        other.execute("ROLLBACK")
        assert log.append([Tick()], Instant(1)) == [1]
    other.close()


def test_a_closed_log_takes_nothing(tmp_path):
    log = SqliteEventLog(tmp_path / "log.sqlite")
    log.close()
    with pytest.raises(Permanent, match="closed"):
        log.append([Tick()], Instant(1))


def test_after_an_unexpected_error_nothing_is_acknowledged_any_more(tmp_path):
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        log.append([Tick()], Instant(1))
        with pytest.raises(Permanent):
            log.append([Tick()], Instant(2**70))
        with pytest.raises(Permanent, match="restart"):
            log.append([Tick()], Instant(2))
        assert log.last() == (1, 1)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync", "fsync", "pwrite64"])
def test_a_disk_that_reports_an_error_acknowledges_nothing_that_it_did_not_keep(tmp_path, call):
    path = tmp_path / "log.sqlite"
    SqliteEventLog(path).close()
    inject = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=5+"]
    command = [*inject, sys.executable, str(APPENDER), str(path), "a", "40"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    acks = acknowledged(ran.stdout)
    if call != "fsync":  # SQLite syncs its WAL by fdatasync; fsync serves folders alone
        assert ran.returncode != 0
        assert len(acks) < 40
        assert "MailwrightError" in ran.stderr or "Permanent" in ran.stderr or "Transient" in ran.stderr
    assert acks.items() <= stored(path).items()
