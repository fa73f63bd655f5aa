"""Sees a version on its way through: starts the job that folds its past, and tells the log when that is done."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mailwright.core.events import Installed
from mailwright.core.facts import Installing
from mailwright.runtime.engine.backfill import Job, Report, Start
from mailwright.runtime.engine.installing import Underway

_log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


class Installer:
    """One job at a time, for the version that is on its way; a failed one is tried again."""

    def __init__(self, start: Start, append: Callable[[Installed], int], steady: Callable[[], float]) -> None:
        """Take the parts.

        Args:
            start: Starts a job.
            append: Appends to the log and returns the record's number.
            steady: Seconds on a clock that never jumps.
        """
        self._start = start
        self._append = append
        self._steady = steady
        self._version: tuple[int, int] | None = None  # (version, number of its Defined record)
        self._forget()

    def _forget(self) -> None:
        self._job: Job | None = None
        self._report = Report()
        self._told: int | None = None  # number of the Installed record
        self._failure = ""
        self._attempts = 0
        self._wait_s = FIRST_RETRY_S
        self._again_s = 0.0

    def look(self, underway: Underway | None, number: int) -> None:
        """Do what is due now; `number` is the last record that was folded.

        Raises:
            Transient: If the log cannot be written; the next call tries again.
        """
        version = (underway.version, underway.defined) if underway else None
        if version != self._version:
            self.stop()
            self._forget()
            self._version = version
        if underway is None:
            return
        if self._told is not None:
            if number >= self._told:  # and yet it is still on its way
                self._retry("what the job stored could not be read")
        elif self._job is None:
            if self._steady() >= self._again_s:
                self._begin(underway)
        elif self._report.blob:
            body = Installed(version=underway.version, defined=underway.defined, blob=self._report.blob)
            self._told = self._append(body)
            _log.info("version %d: its past is folded", underway.version)
        elif self._report.failure:
            self._retry(self._report.failure)

    def _begin(self, underway: Underway) -> None:
        _log.info("version %d: folding the past of %d leaves", underway.version, len(underway.order.leaves))
        self._report = Report()

        def tell(report: Report) -> None:
            self._report = report

        self._job = self._start(underway.order, tell)

    def _retry(self, failure: str) -> None:
        self.stop()
        _log.warning("version %s is not in force yet: %s; next try in %.0f s", self._version, failure, self._wait_s)
        self._failure, self._told, self._report = failure, None, Report()
        self._attempts += 1
        self._again_s = self._steady() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_RETRY_S)

    def stop(self) -> None:
        """End the job, if there is one."""
        if self._job is not None:
            self._job.stop()
            self._job = None

    def status(self) -> Installing | None:
        """What is on its way, for people to see."""
        if self._version is None:
            return None
        report, failed = self._report, self._job is None and bool(self._failure)
        return Installing(
            version=self._version[0],
            phase="failed" if failed else report.phase,
            done=report.done,
            whole=report.whole,
            failure=self._failure,
            attempts=self._attempts,
        )
