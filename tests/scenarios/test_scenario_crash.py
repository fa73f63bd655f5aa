"""The engine killed at writes of all kinds, and the power taken away: nothing lost, nothing twice, the same in the end.

``MAILWRIGHT_CRASHES=200`` asks for more moments than the few of an ordinary run.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent / "crash")]

import power_loss  # noqa: E402
import workload  # noqa: E402

from mailwright.stores.log_sqlite import SqliteEventLog  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
MOMENTS = int(os.environ.get("MAILWRIGHT_CRASHES", "6"))
COMMAND = [sys.executable, str(Path(workload.__file__))]
WRITES = ("write", "pwrite64", "fsync", "fdatasync", "rename", "linkat", "unlink", "openat", "ftruncate")


def run(folder: Path) -> str:
    """The story told to its end, from wherever it is; what it says then."""
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    command = [*COMMAND, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, env=environment)
    assert ran.returncode == 0, f"{ran.returncode}: {ran.stderr}"
    return ended(ran.stdout)


def ended(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("told "))


def acked(output: str) -> int:
    """How many steps the log had acknowledged, as instants of the story: the newest one's."""
    numbers = [int(each) for each in re.findall(r"ack (\d+)", output)]
    return workload.story()[max(numbers)][0] if numbers else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What an undisturbed run says, and the record of all it asked of the system."""
    folder = tmp_path_factory.mktemp("undisturbed")
    workload.make_project(folder / "shop")
    trace = folder / "trace"
    output = power_loss.record([*COMMAND, str(folder / "shop")], trace)
    return ended(output), trace


def test_killed_at_writes_it_ends_the_same(tmp_path: Path, undisturbed: tuple[str, Path]) -> None:
    expected, trace = undisturbed
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    counts = Counter((call.name, call.thread) for call in power_loss.calls(trace) if call.name in WRITES)
    folder = tmp_path / "shop"
    workload.make_project(folder)
    killed = tries = 0
    while tries < MOMENTS or not killed:
        tries += 1
        # A thread counts its own calls. Which thread is at work differs from run to run: a run that ends is begun anew.
        (name, _), count = rng.choice(list(counts.items()))
        killing = f"inject={name}:signal=KILL:when={rng.randint(1, count)}"
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", "-e", killing]
        ran = subprocess.run([*inject, *COMMAND, str(folder)], capture_output=True, text=True, check=False, timeout=300)
        if ran.returncode:
            killed += 1
            assert "Error" not in ran.stderr, ran.stderr
        else:
            assert ended(ran.stdout) == expected
            shutil.rmtree(folder)
            workload.make_project(folder)
    assert run(folder) == expected


def test_whatever_the_disk_holds_after_a_power_loss_it_ends_the_same(
    tmp_path: Path, undisturbed: tuple[str, Path]
) -> None:
    expected, trace = undisturbed
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    done = list(power_loss.calls(trace))
    data = trace.parent / "shop" / "data"
    moments = sorted(rng.sample(range(len(done)), MOMENTS))
    disk, output = power_loss.Disk(data.parent), ""
    for number, call in enumerate(done):
        if call.name == "write" and call.args.startswith("1<"):
            output += power_loss.written(call)
        disk.apply(call)
        if moments and number == moments[0]:
            moments.pop(0)
            after_power_loss(tmp_path / f"at-{number}", disk, rng, data.parent, acked(output))
            shutil.copytree(tmp_path / f"at-{number}", tmp_path / "image")  # kept, if what follows fails
            assert run(tmp_path / f"at-{number}") == expected, f"power lost after call {number}"
            shutil.rmtree(tmp_path / f"at-{number}")
            shutil.rmtree(tmp_path / "image")


def after_power_loss(folder: Path, disk: power_loss.Disk, rng: random.Random, was: Path, newest: int) -> None:
    """Make `folder` one that the disk may hold now; what was acknowledged must be in its log."""
    workload.make_project(folder)
    for path, content in sorted(disk.draw(rng).items()):
        target = folder / Path(path).relative_to(was)
        if path.endswith((".yaml", ".toml", "-shm")):
            continue  # the user's own files; and an index that SQLite makes anew
        if content is None:
            target.mkdir(mode=0o700, exist_ok=True)
        else:
            target.write_bytes(content)
            target.chmod(0o600)
    if newest:
        with SqliteEventLog(folder / "data" / "log.sqlite") as log:
            assert log.last()[1] >= newest, "an acknowledged record is lost"
