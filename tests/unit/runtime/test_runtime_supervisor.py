"""Real processes under the supervisor: restarted when they die, ended when it ends, by whatever cause."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import wait_for  # noqa: E402

from mailwright.core.errors import Conflict, Transient  # noqa: E402
from mailwright.runtime.supervisor import RESTART_S, Child, Supervisor, listen  # noqa: E402

CHILD = """
import sys, threading
from pathlib import Path
from mailwright.runtime.supervisor import stop_with_parent
done = threading.Event()
stop_with_parent(done.set)
Path(sys.argv[1]).open("a").write("up\\n")
while not done.wait(0.05): pass
Path(sys.argv[1]).open("a").write("down\\n")
"""


def child(told: Path) -> Child:
    return Child(told.name, [sys.executable, "-c", CHILD, str(told)])


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_dies_starts_again_and_all_end_at_the_stop(tmp_path: Path) -> None:
    one, two = child(tmp_path / "one"), child(tmp_path / "two")
    supervisor = Supervisor([one, two])
    supervisor.start()
    try:
        wait_for(lambda: lines(tmp_path / "one") and lines(tmp_path / "two"), "both come up")
        first, other = one.process.pid, two.process.pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: supervisor.check() or lines(tmp_path / "one") == ["up", "up"], "one comes up again")
        assert one.process.pid != first
        assert two.process.pid == other
    finally:
        supervisor.stop()
    assert lines(tmp_path / "one") == ["up", "up", "down"]
    assert lines(tmp_path / "two") == ["up", "down"]
    assert one.process.returncode == two.process.returncode == 0


def test_a_check_does_not_wait_for_the_restart_of_another(tmp_path: Path) -> None:
    dying, one = Child("dying", [sys.executable, "-c", "raise SystemExit(3)"]), child(tmp_path / "one")
    supervisor = Supervisor([dying, one])
    supervisor.start()
    try:

        def until_given_up() -> None:
            while True:
                supervisor.check()
                dying.again_s = dying.again_s and 0.0  # as if the waits were over

        with pytest.raises(Transient, match=rf"the dying ended {len(RESTART_S) + 1} times, last with 3"):
            until_given_up()
        assert one.deaths == 0
    finally:
        supervisor.stop()


def test_early_deaths_of_what_then_ran_steadily_are_forgiven(tmp_path: Path) -> None:
    one = child(tmp_path / "one")
    supervisor = Supervisor([one])
    supervisor.start()
    try:
        wait_for(lambda: lines(tmp_path / "one"), "it comes up")
        one.deaths = len(RESTART_S)
        one.started_s -= 61
        one.process.kill()
        one.process.wait()
        supervisor.check()
        assert one.deaths == 1
    finally:
        supervisor.stop()


def test_one_that_ignores_the_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwright.runtime.supervisor.STOP_S", 0.2)
    stubborn = Child("stubborn", [sys.executable, "-c", STUBBORN, str(tmp_path / "told")])
    supervisor = Supervisor([stubborn])
    supervisor.start()
    wait_for(lambda: lines(tmp_path / "told"), "it comes up")
    supervisor.stop()
    assert stubborn.process.returncode == -signal.SIGKILL


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write("up")
time.sleep(1000)
"""


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "one"
    parent = textwrap.dedent(f"""
        import sys
        from mailwright.runtime.supervisor import Child, Supervisor
        one = Child("one", [sys.executable, "-c", {CHILD!r}, {str(told)!r}])
        supervisor = Supervisor([one]); supervisor.start()
        print(one.process.pid, flush=True)
        supervisor.watch()
    """)
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        wait_for(lambda: lines(told), "the child comes up")
        process.kill()
        process.wait()
    wait_for(lambda: gone(pid), "the child ends")
    assert lines(told) == ["up", "down"]


def test_a_port_in_use() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(Conflict, match=f"cannot listen on 127.0.0.1:{port}: Address already in use") as caught:
            listen("127.0.0.1", port)
    assert "--port 0" in caught.value.hint


def test_a_socket_is_handed_to_the_child() -> None:
    script = "import socket, sys; print(socket.socket(fileno=int(sys.argv[1])).getsockname()[1])"
    with listen("127.0.0.1", 0) as listener:
        fd = listener.fileno()
        told = subprocess.run(
            [sys.executable, "-c", script, str(fd)], pass_fds=(fd,), capture_output=True, text=True, check=True
        )
        assert int(told.stdout) == listener.getsockname()[1]
        assert socket.create_connection(listener.getsockname()).close() is None
