"""A project in a folder of its own, and ``mailwright serve`` on it in real processes."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from mailwright.cli.main import run
from mailwright.core.errors import Transient
from mailwright.core.events import PLACES, ClockMoved, Tick
from mailwright.core.instants import Instant, parse_iso
from mailwright.core.ports import Consent
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings
from mailwright.runtime.write_keys import create_key

PATIENCE_S = 240.0

SETTINGS = """\
[project]
name = "Maple Grove"
time_zone = "UTC"

[clock]
kind = "virtual"
start = "2026-11-02T08:00:00Z"

[sender]
from_name = "Maple Grove"
from_address = "hello@maple.example"
postal_address = "1 Grove Street, Mapleton"
allow_reserved_domains = true
"""


def wait_until(what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """The first true answer of `holds`; fails after `patience_s` seconds without one."""
    deadline = time.monotonic() + patience_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {patience_s:.0f} s"
        threading.Event().wait(0.02)
    return answer


def mailwright(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command line, in this process: another needs seconds of processor before it does anything."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    log = logging.getLogger("mailwright")
    level, code = log.level, 0
    try:
        with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ, {"COLUMNS": "200", **(env or {})}):
            run(args)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        log.setLevel(level)
    told = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(args, code, *told)


def done(*args: str) -> str:
    """Standard output of a run that must succeed."""
    ran = mailwright(*args)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def make_project(folder: Path, settings: str = SETTINGS, more: Mapping[str, str] | None = None) -> Path:
    """The starter project with these settings and `more` files by name, applied."""
    starter.write(folder)
    for name, text in {"mailwright.toml": settings, **(more or {})}.items():
        (folder / name).write_text(text)
    with opened(folder) as there:
        apply(there, plan(there))
    return folder


@contextmanager
def opened(folder: Path) -> Iterator[Installation]:
    """The project's stores, opened in this process beside those that serve."""
    there = open_installation(load_settings(folder))
    try:
        yield there
    finally:
        there.close()


@dataclass
class Served:
    """A running ``mailwright serve``."""

    folder: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        found = re.search(r"serves at (http://\S+?)\. Log in", "".join(self.lines))
        assert found, self.told()
        return found[1]

    def told(self) -> str:
        """Everything it has printed."""
        return "".join(self.lines) + "".join(self.errors)

    def children(self) -> dict[str, int]:
        """Name -> pid of its processes that live."""
        found: dict[str, int] = {}
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in listed.split():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if "mailwright" in words:
                    found[words[words.index("mailwright") + 1]] = int(pid)
        return found

    def kill(self, name: str) -> None:
        """End one process with SIGKILL, if it is there at the moment."""
        try:
            pid = self.children().get(name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            pass

    def ready(self) -> bool:
        """Whether door and engine answer."""
        assert self.process.poll() is None, self.told()
        try:
            return "Ctrl-C" in self.told() and httpx.get(f"{self.base_url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def alive(pid: int) -> bool:
    """Whether a process of that pid runs (and is no zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def serving(
    folder: Path, env: Mapping[str, str] | None = None, *, ready: bool = True, jobs: bool = False
) -> Iterator[Served]:
    """Serve the project on a free port until the block ends; then all of its processes must be gone.

    Without `jobs` there is no worker: the test runs what it wants.
    """
    command = [sys.executable, "-m", "mailwright", "serve", "--port", "0", "--project", str(folder)]
    command += [] if jobs else ["--no-jobs"]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", **(env or {})}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        served = Served(folder, process)
        readers = [
            threading.Thread(target=lambda to=to, pipe=pipe: to.extend(pipe))
            for to, pipe in ((served.lines, process.stdout), (served.errors, process.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            if ready:
                wait_until("serve is ready", served.ready)
            yield served
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(PATIENCE_S)
            for reader in readers:
                reader.join(PATIENCE_S)


# --- a shop as a client of the door ----------------------------------------------------------------------------------


class Shop:
    """Tells the door what happens, and moves the project's virtual clock."""

    def __init__(self, there: Installation, served: Served) -> None:
        self.there = there
        self.served = served
        self.key = create_key(there.records.sources, "shop", server=True, now=there.wall.now())
        self.base_url = served.base_url

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post until the door answers; what is sent twice counts once, by its message id."""

        def answer() -> httpx.Response | None:
            try:
                found = httpx.post(self.base_url + path, json=body, auth=(self.key, ""), timeout=60)
            except httpx.TransportError:
                return None
            return None if found.status_code in (429, 503) else found

        found: httpx.Response = wait_until("the door takes it", answer)
        assert found.status_code == 200, found.text
        return found.json()

    def get(self, path: str) -> dict[str, Any]:
        """Ask the API with the key until door and engine answer."""

        def answer() -> httpx.Response | None:
            try:
                found = httpx.get(self.base_url + path, auth=(self.key, ""), timeout=60)
            except httpx.TransportError:
                return None
            return None if found.status_code == 503 else found

        found: httpx.Response = wait_until("the API answers", answer)
        assert found.status_code == 200, found.text
        return found.json()

    def batch(self, calls: list[dict[str, Any]]) -> None:
        told = self.post("/v1/batch", {"batch": calls})
        assert told["refused"] == []
        assert told["accepted"] == len(calls)

    def consent(self, emails: list[str]) -> None:
        """Grant marketing mail."""
        rows = [
            Consent(
                address_hash=self.there.sealer.hash("email", email),
                purpose="marketing",
                granted=True,
                at=self.there.clock.now(),
                source="form",
                wording="Yes, send me offers.",
            )
            for email in emails
        ]
        self.there.records.consents.record(rows)

    def move_clock(self, to: str) -> None:
        """Move the clock without a tick."""
        self.there.log.append([ClockMoved()], parse_iso(to))

    def tick(self, at: str) -> None:
        """Let time come to `at`, and wait until everything that it set in motion has come to rest."""
        (number,) = self.there.log.append([Tick()], Instant(parse_iso(at)))
        records = self.there.records
        wait_until(
            f"the tick at {at} comes to rest",
            lambda: (
                records.engine.applied() >= number * PLACES
                and records.messages.open_count() == 0
                and records.outbox.pending_count() == 0
                and self.folded()
            ),
        )

    def folded(self) -> bool:
        """Whether the engine has folded all of the log, with what became of the mails; only then may it be asked."""
        try:
            return self.there.engine.status().offset >= self.there.log.last()[0] * PLACES
        except Transient:  # it was started anew and reads its log again
            return False


def identify(user: str, email: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "messageId": f"identify-{user}", "userId": user, "traits": {"email": email, **traits}}


def order(user: str, number: int, total: float = 20.0, at: str | None = None) -> dict[str, Any]:
    call = {
        "type": "track",
        "messageId": f"order-{user}-{number}",
        "userId": user,
        "event": "Order Completed",
        "properties": {
            "order_id": f"{user}-{number}",
            "total": total,
            "products": [{"product_id": "p1", "quantity": 1, "price": total}],
        },
    }
    return {**call, "timestamp": at} if at else call
