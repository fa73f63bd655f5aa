"""The worker process: runs every job when it is due, on the project's clock.

A virtual clock moves at the ticks of its driver. After each, the worker runs what has become due and says in Records
that it is at rest; a driver that wants jobs waits for that (`rest_of`) before it goes on, so that nothing depends on
who was faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from mailwright.core.errors import Conflict, MailwrightError, NotFound, Transient
from mailwright.core.instants import Instant
from mailwright.core.ports import Clock, MetaRecords
from mailwright.runtime.clock_watch import parted
from mailwright.runtime.clocks import TickClock
from mailwright.runtime.installation import Installation
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.jobs.registry import jobs_of
from mailwright.runtime.jobs.runs import Asked, JobRun, Runner, asked_for, bell, first_seen, newest_run, unended
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import current_project

_log = logging.getLogger(__name__)

AT_ONCE = 4
"""Jobs that run side by side: a long import holds up no follower of the log."""

LOOK_S = {"system": 1.0, "virtual": 0.05}
"""Seconds between two looks at what is due. A virtual clock's driver waits for the jobs, so there it is short."""

_REST = "jobs.rest"


class Worker:
    """Runs what is due until it is stopped."""

    def __init__(
        self,
        there: Installation,
        jobs: Callable[[Project], dict[str, Job]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Take the installation.

        Args:
            there: Where.
            jobs: Gives the jobs of a project; by default all that are registered.
            clock: What is due by; by default the machine's or, where time is virtual, that of ticks.
        """
        self._there = there
        self._kind = there.settings.clock.kind
        self._clock: Clock = clock or (TickClock(there.engine) if self._kind == "virtual" else there.clock)
        self._jobs = jobs or (lambda project: jobs_of(project, there.settings))
        self._stop = threading.Event()
        self._runner = Runner(there, self._stop.is_set)
        self._running: dict[str, Future[JobRun]] = {}
        self._planned: dict[str, Instant] = {}
        self._known: tuple[int, Project, dict[str, Job]] = (0, Project(), {})
        self._rest = ""
        self._bell = ""
        self._asked: dict[str, Asked] = {}

    def stop(self) -> None:
        """End `run` once the jobs that run have come to a stop."""
        self._stop.set()

    def run(self) -> None:
        """Look for what is due, again and again, until `stop`."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job") as pool:
            while not self._stop.wait(LOOK_S[self._kind]):
                try:
                    self.look(pool)
                except MailwrightError as error:
                    _log.warning("no job was started: %s", error.message)

    def look(self, pool: ThreadPoolExecutor) -> None:
        """Start what is due and does not run yet."""
        self._running = {name: run for name, run in self._running.items() if not run.done()}
        if parted(self._there.records.meta):
            return
        try:
            now = self._clock.now()
        except Transient:  # the engine starts, or starts again: its time stands still
            return
        project, jobs = self._current()
        if not now:
            return
        self._listen(jobs)
        for job in jobs.values():
            planned = job.schedule.planned(now, project.zone)
            if job.name not in self._running and (job.name in self._asked or self._is_due(job, planned, now)):
                self._planned[job.name] = planned
                asked = self._asked.pop(job.name, None)
                self._running[job.name] = pool.submit(self._run, job, project, planned, asked)
        if self._kind == "virtual" and not self._running:
            self._tell_rest(now)

    def _tell_rest(self, now: Instant) -> None:
        rest = f"{self._known[0]} {now}"
        if rest != self._rest:
            self._there.records.meta.put(_REST, rest)
            self._rest = rest

    def _listen(self, jobs: Mapping[str, Job]) -> None:
        """Note what somebody has asked for since the last look."""
        meta = self._there.records.meta
        rung = bell(meta)
        if rung != self._bell:
            found = {name: asked for name in jobs if (asked := asked_for(meta, name))}
            self._asked, self._bell = self._asked | found, rung

    def _is_due(self, job: Job, planned: Instant, now: Instant) -> bool:
        """Whether its planned time has passed; at the first look also, whether its last run was stopped or killed."""
        if job.name not in self._planned:
            self._planned[job.name] = self._done_until(job, now)
        return self._planned[job.name] < planned

    def _done_until(self, job: Job, now: Instant) -> Instant:
        """After which planned time it is due next, as Records tell."""
        meta = self._there.records.meta
        if unended(meta, job.name):
            return Instant(-1)
        if last := newest_run(meta, job.name):
            return last.planned_at
        return first_seen(meta, job.name, now) if job.waits else Instant(-1)

    def _run(self, job: Job, project: Project, planned: Instant, asked: Asked | None) -> JobRun:
        try:
            run = self._runner.run(job, project, planned, asked.by if asked else "")
        except Conflict as error:  # somebody runs it by hand: that is this run, but for one that is asked for
            _log.info("%s", error.message)
            if asked:
                self._asked[job.name] = asked
            return JobRun(planned_at=planned, started_at=planned, ended_at=planned)
        if run.error:
            _log.warning("the job %s failed: %s", job.name, run.error)
        return run

    def _current(self) -> tuple[Project, dict[str, Job]]:
        """The newest definitions and their jobs, read again only when another version was applied."""
        newest = self._there.records.definitions.current()
        if newest is not None and newest.version != self._known[0]:
            try:
                version, project = current_project(self._there)
            except NotFound:
                return self._known[1:]
            self._known = (version, project, self._jobs(project))
        return self._known[1:]


def rest_of(meta: MetaRecords) -> tuple[int, Instant]:
    """On a virtual clock: at which version of the definitions, and up to which tick's instant, all jobs have run."""
    version, _, at = (meta.get(_REST) or "0 0").partition(" ")
    return int(version), Instant(int(at))


def run_worker(there: Installation, on_ready: Callable[[Callable[[], None]], None]) -> None:
    """Run the jobs of an installation until stopped; `on_ready` gets the function that stops it."""
    worker = Worker(there)
    on_ready(worker.stop)
    worker.run()
    there.close()
