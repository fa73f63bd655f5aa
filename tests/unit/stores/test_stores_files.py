import os
import signal
import subprocess
import sys

import pytest

from mailwright.core.errors import Permanent, Transient
from mailwright.stores.files import write_durably


def test_bytes_are_there_and_nothing_else(tmp_path):
    path = tmp_path / "a" / "b" / "model"
    write_durably(path, b"first")
    write_durably(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["model"]


def test_a_folder_that_is_a_file_is_permanent(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "taken").mkdir()
    with pytest.raises(Permanent, match="taken"):
        write_durably(tmp_path / "taken", b"x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "taken"]


def test_a_full_disk_is_transient_and_leaves_the_old_file(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        write_durably(disk / "model", b"old")
        with pytest.raises(Transient, match="no space left"):
            write_durably(disk / "model", b"x" * 100_000)
        assert (disk / "model").read_bytes() == b"old"
        assert [entry.name for entry in disk.iterdir()] == ["model"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


# Runs write_durably and dies by SIGKILL directly before its n-th system call of those that matter.
DIES = """
import os, signal, sys
from pathlib import Path
from mailwright.stores.files import write_durably

count = 0

def dies_before(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)

for name in ("open", "fsync", "replace", "close"):
    dies_before(name)
write_durably(Path(sys.argv[1]), b"new" * 1000)
print("done")
"""


def test_a_kill_at_any_step_leaves_the_old_or_the_new_bytes(tmp_path):
    path = tmp_path / "model"
    seen = set()
    for step in range(1, 30):
        write_durably(path, b"old")
        process = subprocess.run([sys.executable, "-c", DIES, path, str(step)], capture_output=True, text=True)
        seen.add(path.read_bytes())
        if process.returncode == 0:
            assert process.stdout == "done\n"
            break
        assert process.returncode == -signal.SIGKILL
    assert step > 4
    assert process.returncode == 0
    assert seen == {b"old", b"new" * 1000}


def test_the_file_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def call(*args, name=name, real=real):
            target = os.readlink(f"/proc/self/fd/{args[0]}") if name == "fsync" else str(args[1])
            calls.append((name, os.path.basename(target)))
            return real(*args)

        monkeypatch.setattr(os, name, call)
    write_durably(tmp_path / "model", b"x")
    assert [name for name, _ in calls] == ["fsync", "replace", "fsync"]
    assert calls[0][1].startswith(".model.")
    assert calls[1:] == [("replace", "model"), ("fsync", tmp_path.name)]
