"""The past of a definition, folded from History into a blob: the job itself, and the child process that does it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal, Protocol

import msgspec

from mailwright.core.errors import MailwrightError
from mailwright.core.ports import Blobs, History
from mailwright.rules.fold import Fold
from mailwright.runtime.engine.installing import Order, packed_past
from mailwright.runtime.past import Past
from mailwright.runtime.project.load import load_project

POLL_S = 0.2


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a job is.

    Attributes:
        phase: See `mailwright.core.facts.Installing`.
        done: Events folded, of `whole`.
        blob: What came of it, at the end.
        failure: Why there will be none, at the end.
    """

    phase: Literal["waiting", "folding", "storing"] = "waiting"
    done: int = 0
    whole: int = 0
    blob: str = ""
    failure: str = ""


Tell = Callable[[Report], None]


def backfill(order: Order, history: History, blobs: Blobs, tell: Tell) -> str:
    """Wait until History holds the past of a definition, fold the missing leaves over it, and store what came of it.

    Returns:
        The name of the blob.
    """
    tell(Report())
    while history.offset("events") < order.upto:
        time.sleep(POLL_S)
    whole = _count(history, order)
    fold = _filled(order, Past(history), whole, tell)
    tell(Report(phase="storing", done=whole, whole=whole))
    return blobs.put(packed_past(fold.freeze()))


def _filled(order: Order, past: Past, whole: int, tell: Tell) -> Fold:
    rules = load_project(order.files).rules

    def progress(done: int) -> None:
        tell(Report(phase="folding", done=done, whole=whole))

    if order.counted_at is not None:
        return past.fill(rules, order.counted_at, order.upto, leaves=order.leaves, progress=progress)
    # There was no tick yet: every event waits for one.
    fold = Fold.of_leaves(rules, past.catalog_at(order.upto), order.leaves)
    fold.ingest(list(past.arrivals(order.upto, graph=past.graph_at(order.upto))))
    return fold


def _count(history: History, order: Order) -> int:
    rows = history.query('SELECT count(*) AS n FROM events WHERE "offset" <= $upto', {"upto": order.upto})
    return int(rows["n"][0].as_py())


# --- who does it -----------------------------------------------------------------------------------------------------


class Job(Protocol):
    """A job under way; it tells how far it is by the `Tell` it was started with."""

    def stop(self) -> None:
        """End it, done or not, and wait until it has ended."""
        ...


Start = Callable[[Order, Tell], Job]


class ChildJob:
    """The job in a child process of low priority; it ends with us, since it reads the end of our pipe."""

    def __init__(self, project: Path, order: Order, tell: Tell) -> None:
        """Start; `tell` is called from a thread."""
        idle = ["ionice", "-c", "3"] if shutil.which("ionice") else []
        command = [*idle, sys.executable, "-m", "mailwright", "backfill", "--project", str(project)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin, "it is a pipe"  # noqa: S101
        assert self._process.stdout, "it is a pipe"  # noqa: S101
        self._orders, self._reports = self._process.stdin, self._process.stdout
        self._tell = tell
        self._thread = threading.Thread(target=self._follow, args=(order,), name="backfill", daemon=True)
        self._thread.start()

    def _follow(self, order: Order) -> None:
        ended = False
        try:
            self._orders.write(msgspec.json.encode(order) + b"\n")
            self._orders.flush()
            for line in self._reports:
                report = msgspec.json.decode(line, type=Report)
                ended = bool(report.blob or report.failure)
                self._tell(report)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            self._tell(Report(failure=f"the job cannot be followed: {error}"))
            return
        code = self._process.wait()
        if not ended:
            self._tell(Report(failure=f"the job ended with {code} before it was done"))

    def stop(self) -> None:
        """See `Job.stop`."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._orders, self._reports):
            with contextlib.suppress(OSError):
                pipe.close()


def run_job(orders: IO[bytes], reports: IO[bytes], history: History, blobs: Blobs) -> None:
    """The child's side: one order from `orders`, reports to `reports`, the last with a blob or a failure."""

    def tell(report: Report) -> None:
        reports.write(msgspec.json.encode(report) + b"\n")
        reports.flush()

    order = msgspec.json.decode(orders.readline(), type=Order)
    threading.Thread(target=_end_with, args=(orders,), name="engine", daemon=True).start()
    try:
        tell(Report(blob=backfill(order, history, blobs, tell)))
    except MailwrightError as error:
        tell(Report(failure=error.message))
    except Exception as error:  # noqa: BLE001 the engine says it and tries again
        tell(Report(failure=f"{type(error).__name__}: {error}"))


def _end_with(orders: IO[bytes]) -> None:
    """The engine holds the other end: when it is gone, nobody waits for what we do."""
    while orders.read(4096):
        pass
    os._exit(1)
