"""The disk fills up while Mailwright serves: it pauses, loses nothing, and goes on when there is room again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import (  # noqa: E402
    SETTINGS,
    Shop,
    identify,
    make_project,
    opened,
    order,
    serving,
    wait_until,
)

from mailwright.core.errors import Transient  # noqa: E402
from mailwright.core.events import Tick  # noqa: E402
from mailwright.core.instants import parse_iso  # noqa: E402
from mailwright.core.ports import EventLog  # noqa: E402

pytestmark = pytest.mark.slow

PEOPLE = 400
PACE = "[engine]\ncheckpoint_s = 1\nhistory_s = 1\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "shop" / "data"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk needs root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room, also where something was removed meanwhile; removing the file that is returned makes some."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast


TRUNCATE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=10)
busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
raise SystemExit(busy)
"""


def leave_no_slack(database: Path) -> None:
    """Empty its write-ahead log, which otherwise has room for more although the disk is full.

    In a process of its own: two SQLite libraries in one would undo each other's locks.
    """
    command = [sys.executable, "-c", TRUNCATE, str(database)]
    wait_until("the write-ahead log is emptied", lambda: subprocess.run(command, check=False).returncode == 0)


def append_somehow(log: EventLog, ballast: Path, at: str) -> None:
    """Append a tick, with as little room for it as there must be."""
    while True:
        try:
            log.append([Tick()], parse_iso(at))
        except Transient:
            os.truncate(ballast, ballast.stat().st_size - 4096)
        else:
            return


def test_serve_pauses_and_recovers(disk: Path) -> None:
    folder = make_project(disk.parent, SETTINGS + PACE)
    users = [f"user-{n}" for n in range(PEOPLE)]
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.consent([f"{user}@example.com" for user in users])
        shop.batch([identify(user, f"{user}@example.com") for user in users])
        shop.batch([order(user, 1) for user in users])
        shop.tick("2026-11-02T09:00:00Z")
        pids = served.children()

        leave_no_slack(disk / "records.sqlite")
        ballast = fill(disk)
        append_somehow(there.log, ballast, "2026-11-03T09:00:00Z")  # the campaign falls due: much to write
        wait_until("the engine pauses", lambda: fill(disk) and "paused at " in served.told())
        taken, status = 0, 200
        while status == 200:  # the log may have room left inside its files
            fill(disk)
            calls = [order(user, 2 + taken) for user in users]
            answer = httpx.post(f"{served.base_url}/v1/batch", json={"batch": calls}, auth=(shop.key, ""), timeout=30)
            status = answer.status_code
            taken += status == 200
        assert status == 503
        assert answer.json()["error"]["code"] == "log.disk_full"
        assert "Retry-After" in answer.headers
        assert served.children() == pids
        assert shop.get("/v1/segments/customers")["size"] == PEOPLE  # reads go on

        ballast.unlink()
        shop.batch([order(user, 2 + taken) for user in users])
        shop.tick("2026-11-03T09:01:00Z")
        assert served.children() == pids
        there.engine.flush_history()
        found = there.history.query("SELECT count(*) AS n FROM events WHERE name = 'Order Completed'")["n"].to_pylist()
        assert found == [PEOPLE * (taken + 2)]
        assert len(list((disk / "mailbox").glob("*.eml"))) == PEOPLE
        assert "Traceback" not in served.told()
    assert served.process.returncode == 0
