"""Running one job, and what is remembered of its newest run."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from mailwright.core.errors import MailwrightError
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import MetaRecords
from mailwright.runtime.installation import Installation, only_one
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project

_log = logging.getLogger(__name__)

_BELL = "jobs.bell"


class JobRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest run of a job.

    Attributes:
        planned_at: For which planned time.
        started_at: When it began; `ended_at` when it was done, both on the project's clock.
        said: What was done; that of the newest run that did something stays while later ones have nothing to say.
        error: Why it failed; empty if it did not.
        failures: How many runs have failed since the last that did not.
        by: Who asked for it; empty: it was due.
        id: Of the beginning that this is the end of; empty for frequent jobs, of which no beginning is kept.
    """

    planned_at: Instant
    started_at: Instant
    ended_at: Instant
    said: str = ""
    error: str = ""
    failures: int = 0
    by: str = ""
    id: str = ""


class Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that began; fields as in `JobRun`. It is over once the newest run has its id."""

    id: str
    planned_at: Instant
    started_at: Instant
    by: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a job to run now; `at` by the machine's clock."""

    at: Instant
    by: str


def unended(meta: MetaRecords, name: str) -> Begun | None:
    """The run of a job that began and has not ended: it goes on, or its process was stopped or killed."""
    told = meta.get(f"job-begun.{name}")
    if not told:
        return None
    begun, last = msgspec.json.decode(told, type=Begun), newest_run(meta, name)
    return None if last and last.id == begun.id else begun


def ask_for_run(meta: MetaRecords, name: str, at: Instant, by: str) -> None:
    """Ask the worker to run a job now; twice before it begins is once."""
    meta.put(f"job-asked.{name}", msgspec.json.encode(Asked(at=at, by=by)).decode())
    meta.put(_BELL, secrets.token_hex(8))


def asked_for(meta: MetaRecords, name: str) -> Asked | None:
    """Who asked for a run that has not begun; None if nobody."""
    told = meta.get(f"job-asked.{name}")
    return msgspec.json.decode(told, type=Asked) if told else None


def bell(meta: MetaRecords) -> str:
    """Another text whenever somebody has asked for a run."""
    return meta.get(_BELL) or ""


def newest_run(meta: MetaRecords, name: str) -> JobRun | None:
    """The newest run of a job; None if there was none."""
    told = meta.get(f"job.{name}")
    return None if told is None else msgspec.json.decode(told, type=JobRun)


def first_seen(meta: MetaRecords, name: str, now: Instant) -> Instant:
    """When the worker first saw a job: `now` at its first look, and that moment ever after, also after a crash."""
    key = f"job-first-seen.{name}"
    told = meta.get(key)
    if not told:
        meta.put(key, str(now))
    return Instant(int(told)) if told else now


class _Stop:
    """Whether to stop, and whether a job that asked was told so."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self.told = False

    def __call__(self) -> bool:
        self.told = self.told or self._stopping()
        return self.told


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs of one installation, one at a time each, in whatever process."""

    there: Installation
    stopping: Callable[[], bool]

    def run(self, job: Job, project: Project, planned_at: Instant, by: str = "") -> JobRun:
        """Run a job now; a failure is in the answer. `by` is who asked for it; empty: it is due.

        One that was told to stop has not ended: it is due again as soon as there is a worker.

        Raises:
            Conflict: If the job runs already, here or in another process.
        """
        there, meta = self.there, self.there.records.meta
        lock = there.settings.data_folder / "jobs" / f"{sha256(job.name.encode()).hexdigest()[:16]}.lock"
        with only_one(lock, f"the job {job.name}", there.settings.folder):
            last, started_at = newest_run(meta, job.name), there.clock.now()
            asked = meta.get(f"job-asked.{job.name}")
            begun = self._begin(job, planned_at, started_at, by)
            if begun:
                self._answered(job, asked)
            stop = _Stop(self.stopping)
            said, error = self._outcome(job, project, stop)
            run = JobRun(
                planned_at=planned_at,
                started_at=started_at,
                ended_at=there.clock.now(),
                said=said or (last.said if last else ""),
                error=error,
                failures=(last.failures if last else 0) + 1 if error else 0,
                by=by,
                id=begun,
            )
            if not (begun and stop.told):
                meta.put(f"job.{job.name}", msgspec.json.encode(run).decode())
            if not begun:
                self._answered(job, asked)
        return run

    def _answered(self, job: Job, asked: str | None) -> None:
        """What was asked for before the run is done, or begun so that a kill cannot lose it; later asking stays."""
        meta = self.there.records.meta
        if asked and meta.get(f"job-asked.{job.name}") == asked:
            meta.put(f"job-asked.{job.name}", "")

    def _begin(self, job: Job, planned_at: Instant, started_at: Instant, by: str) -> str:
        """Remember that a run began and give its id; empty for one that is due again soon whatever becomes of it."""
        meta = self.there.records.meta
        if job.schedule.daily_at is None and job.schedule.every_micros < MINUTE and not by:
            if meta.get(f"job-begun.{job.name}"):  # of a run that somebody asked for
                meta.put(f"job-begun.{job.name}", "")
            return ""
        begun = Begun(id=secrets.token_hex(8), planned_at=planned_at, started_at=started_at, by=by)
        meta.put(f"job-begun.{job.name}", msgspec.json.encode(begun).decode())
        return begun.id

    def _outcome(self, job: Job, project: Project, stop: Callable[[], bool]) -> tuple[str, str]:
        """What it said, and why it failed."""
        context = JobContext(there=self.there, project=project, now=self.there.clock.now(), stopping=stop)
        try:
            return job.run(context), ""
        except MailwrightError as failure:
            error = failure.message
        except Exception as failure:  # noqa: BLE001 whatever a job can raise, the worker and the other jobs go on
            _log.exception("the job %s failed", job.name)
            error = f"{type(failure).__name__}: {failure}"
        return "", error
