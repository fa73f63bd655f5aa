"""For benches: a project on disk with its own processes, and a load generator as a process beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailwright.runtime.engine.socket import EngineClient
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings
from mailwright.runtime.supervisor import Child, children, listen
from mailwright.runtime.write_keys import create_key

PATIENCE_S = 60.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SETTINGS = """\
[project]
name = "Bench"
time_zone = "UTC"

[sender]
from_name = "Bench"
from_address = "hello@bench.example"
postal_address = "1 Bench Street"
allow_reserved_domains = true
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A project with some of its processes running. `key` is a server's write key."""

    folder: Path
    there: Installation
    port: int
    key: str
    processes: dict[str, Child]

    def cpu_s(self, name: str) -> float:
        """Processor seconds that a process has used so far."""
        process = self.processes[name].process
        assert process is not None
        words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / _TICKS_PER_S

    def engine(self) -> EngineClient:
        """A client of the engine's reads; one thread's."""
        return EngineClient(self.there.settings.data_folder / "engine.sock")


@contextmanager
def served(names: Sequence[str], files: dict[str, str] | None = None) -> Iterator[Served]:
    """The starter project, with `files` in place of its own, and the named processes until the block ends."""
    with tempfile.TemporaryDirectory(prefix="bench-") as kept, ExitStack() as stack:
        folder = Path(kept) / "project"
        starter.write(folder)
        (folder / "mailwright.toml").write_text(_SETTINGS)
        for path, text in (files or {}).items():
            (folder / path).write_text(text)
        there = open_installation(load_settings(folder))
        stack.callback(there.close)
        apply(there, plan(there))
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        port = listener.getsockname()[1]
        key = create_key(there.records.sources, "bench", server=True, now=there.wall.now())
        started = {
            child.name: child
            for child in children(folder, listener, base_url=f"http://127.0.0.1:{port}")
            if child.name in names
        }
        for child in started.values():
            stack.callback(child.stop)
            child.start()
        if "door" in names:
            _until_it_answers(port)
        yield Served(folder, there, port, key, started)


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/track", method="OPTIONS")
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the door did not answer")


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw. `latencies_ms` are those that a share of the requests, as text, does not exceed."""

    n_events: int
    seconds: float
    latencies_ms: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Events acknowledged per second."""
        return self.n_events / self.seconds

    def latency_ms(self, share: float) -> float:
        """The latency that `share`, one of `bench._load.SHARES`, of the requests do not exceed."""
        return self.latencies_ms[str(share)]


class Generator:
    """Sends to the door from a process of its own, in a straight line from `__init__` to `result`."""

    def __init__(
        self,
        on: Served,
        *,
        seconds: float,
        batch: int,
        connections: int,
        rate: float = 0.0,
        people: int = 500_000,
        event_bytes: int = 0,
    ) -> None:
        """Start.

        Args:
            on: Where to.
            seconds: For how long.
            batch: Events per request; 1: single calls of /v1/track.
            connections: Requests at a time.
            rate: Events per second; 0: as many as it can.
            people: Among whom the events are spread evenly.
            event_bytes: Size of each event; 0: small ones, about 330 bytes.
        """
        asked = {"port": on.port, "key": on.key, "seconds": seconds, "batch": batch}
        asked |= {"connections": connections, "rate": rate, "people": people}
        asked["event_bytes"] = event_bytes
        command = [sys.executable, "-m", "bench._load", json.dumps(asked)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])

    def result(self) -> Load:
        """Wait for its end."""
        out, _ = self._process.communicate()
        assert self._process.returncode == 0, "the load generator failed"
        told = json.loads(out)
        return Load(told["n_events"], told["seconds"], told["latencies_ms"])
