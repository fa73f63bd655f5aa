"""Starts and watches the processes of one installation: door, engine, sender, worker. Stops each by its own pid."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailwright.core.errors import Conflict, Corrupt, Transient
from mailwright.runtime.settings import environment_with

_log = logging.getLogger(__name__)

STOP_S = 20.0
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits between a process's death and its next start. One that dies once more soon after is given up."""

CORRUPT_EXIT = 6
"""How a process ends that found stored bytes damaged. It is not started again: that would spread them."""

STEADY_S = 60.0
"""A process that ran for so long has its earlier deaths forgiven."""


@dataclass(slots=True)
class Child:
    """One watched process. Its standard input is a pipe that we hold: when we die, it reads the end and stops.

    `quiet` throws its standard output away; errors are always shown.
    """

    name: str
    command: Sequence[str]
    pass_fds: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started_s: float = 0.0
    again_s: float | None = None

    def start(self) -> None:
        """Start, or start again."""
        self._forget()
        self.started_s, self.again_s = time.monotonic(), None
        self.process = subprocess.Popen(
            list(self.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if self.quiet else None,
            pass_fds=self.pass_fds,
            env=environment_with(self.environment),
        )

    def stop(self) -> None:
        """Ask it to end, wait, and kill it by its pid if it does not."""
        process = self.process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                _log.warning("%s (pid %d) did not stop in %.0f s: killed", self.name, process.pid, STOP_S)
                process.kill()
                process.wait()
        self._forget()

    def _forget(self) -> None:
        """Close our end of the pipe to a process that has ended."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket for the door, taken before anything starts.

    Raises:
        Conflict: If the port is in use or may not be taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            "door.port",
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "stop what uses it, or choose another port: `--port 0` takes a free one",
        ) from error
    listener.listen(1024)
    listener.set_inheritable(True)
    return listener


class Supervisor:
    """Keeps the given processes alive until `stop`."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = list(children)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start every process."""
        for child in self._children:
            child.start()

    def watch(self, until: Callable[[], bool] = lambda: False, every_s: float = 0.2) -> None:
        """Restart what dies, until `stop` or until `until` is true."""
        while not self._stopping.wait(every_s) and not until():
            self.check()

    def check(self) -> None:
        """Restart each process that has ended, after its wait; never blocks.

        Raises:
            Corrupt: If one found its data damaged.
            Transient: If one died more often than there are waits: something is wrong that a restart will not mend.
        """
        for child in self._children:
            if child.process is None or child.process.poll() is None or self._stopping.is_set():
                continue
            now = time.monotonic()
            if child.again_s is None:
                child.again_s = now + self._wait(child, now - child.started_s)
            elif now >= child.again_s:
                child.start()

    @staticmethod
    def _wait(child: Child, lived_s: float) -> float:
        """How long a process that has just been found dead waits for its next start."""
        returncode = child.process.returncode if child.process else None
        if returncode == CORRUPT_EXIT:
            raise Corrupt(
                "serve.corrupt", f"the {child.name} found damaged data and stopped", "its lines above say where"
            )
        if lived_s >= STEADY_S:
            child.deaths = 0
        if child.deaths >= len(RESTART_S):
            raise Transient(
                "serve.dying",
                f"the {child.name} ended {child.deaths + 1} times, last with {returncode}",
                "its last lines above say why",
            )
        wait_s = RESTART_S[child.deaths]
        child.deaths += 1
        _log.warning("%s ended with %s, starts again in %.1f s", child.name, returncode, wait_s)
        return wait_s

    def stop(self) -> None:
        """Stop all, in reverse order of start."""
        self._stopping.set()
        for child in reversed(self._children):
            child.stop()


def children(
    project: Path,
    listener: socket.socket,
    *,
    base_url: str,
    environment: Mapping[str, str] | None = None,
    jobs: bool = False,
) -> list[Child]:
    """The processes of an installation, engine first: with `jobs` the worker too. `environment` adds to ours."""
    added = environment or {}
    base = [sys.executable, "-m", "mailwright"]
    fd = listener.fileno()
    worker = [Child("worker", [*base, "worker", "--project", str(project)], environment=added)] if jobs else []
    return [
        Child("engine", [*base, "engine", "--project", str(project)], environment=added),
        Child(
            "door", [*base, "door", "--project", str(project), "--fd", str(fd), "--base-url", base_url], (fd,), added
        ),
        Child("sender", [*base, "sender", "--project", str(project), "--base-url", base_url], environment=added),
        *worker,
    ]


def stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` once, on SIGTERM, on SIGINT, or when the supervisor's pipe on standard input ends."""
    once = threading.Event()

    def end(*_: object) -> None:
        if not once.is_set():
            once.set()
            stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)

    def read() -> None:
        while os.read(0, 4096):
            pass
        end()

    threading.Thread(target=read, name="parent", daemon=True).start()
