"""Running one job, and what is remembered of its newest run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from mailwright.core.errors import MailwrightError
from mailwright.core.instants import Instant
from mailwright.core.ports import MetaRecords
from mailwright.runtime.installation import Installation, only_one
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project

_log = logging.getLogger(__name__)


class JobRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest run of a job.

    Attributes:
        planned_at: For which planned time.
        started_at: When it began; `ended_at` when it was done, both on the project's clock.
        said: What was done; that of the newest run that did something stays while later ones have nothing to say.
        error: Why it failed; empty if it did not.
        failures: How many runs have failed since the last that did not.
    """

    planned_at: Instant
    started_at: Instant
    ended_at: Instant
    said: str = ""
    error: str = ""
    failures: int = 0


def newest_run(meta: MetaRecords, name: str) -> JobRun | None:
    """The newest run of a job; None if there was none."""
    told = meta.get(f"job.{name}")
    return None if told is None else msgspec.json.decode(told, type=JobRun)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs of one installation, one at a time each, in whatever process."""

    there: Installation
    stopping: Callable[[], bool]

    def run(self, job: Job, project: Project, planned_at: Instant) -> JobRun:
        """Run a job now; a failure is in the answer.

        Raises:
            Conflict: If the job runs already, here or in another process.
        """
        there, meta = self.there, self.there.records.meta
        lock = there.settings.data_folder / "jobs" / f"{sha256(job.name.encode()).hexdigest()[:16]}.lock"
        with only_one(lock, f"the job {job.name}", there.settings.folder):
            last, started_at = newest_run(meta, job.name), there.clock.now()
            said, error = self._outcome(job, project)
            run = JobRun(
                planned_at=planned_at,
                started_at=started_at,
                ended_at=there.clock.now(),
                said=said or (last.said if last else ""),
                error=error,
                failures=(last.failures if last else 0) + 1 if error else 0,
            )
            meta.put(f"job.{job.name}", msgspec.json.encode(run).decode())
        return run

    def _outcome(self, job: Job, project: Project) -> tuple[str, str]:
        """What it said, and why it failed."""
        context = JobContext(there=self.there, project=project, now=self.there.clock.now(), stopping=self.stopping)
        try:
            return job.run(context), ""
        except MailwrightError as failure:
            error = failure.message
        except Exception as failure:  # noqa: BLE001 whatever a job can raise, the worker and the other jobs go on
            _log.exception("the job %s failed", job.name)
            error = f"{type(failure).__name__}: {failure}"
        _log.warning("the job %s failed: %s", job.name, error)
        return "", error
