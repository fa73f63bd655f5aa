"""Jobs: run when due, once each, remembered, and never in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailwright.core.errors import Conflict, Transient
from mailwright.core.events import ClockMoved
from mailwright.core.instants import DAY, HOUR, Instant, parse_iso
from mailwright.core.schedules import Schedule
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.jobs import Job, JobContext
from mailwright.runtime.jobs.registry import jobs_of
from mailwright.runtime.jobs.runs import Runner, ask_for_run, asked_for, newest_run, unended
from mailwright.runtime.jobs.worker import Worker, rest_of
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Installation]:
    starter.write(tmp_path / "shop")
    found = open_installation(load_settings(tmp_path / "shop", {}))
    apply(found, plan(found))
    try:
        yield found
    finally:
        found.close()


SELDOM = "500 weeks"
"""So that no planned time passes while a test runs."""


def job(name: str, run: Callable[[JobContext], str], every: str = "1 hour") -> Job:
    return Job(name=name, title="tries it", schedule=Schedule(every=every), run=run)


def ran(there: Installation, one: Job) -> None:
    Runner(there, lambda: False).run(one, Project(), there.wall.now())


def test_a_run_is_remembered_with_what_it_said(there: Installation) -> None:
    assert newest_run(there.records.meta, "count") is None
    ran(there, job("count", lambda context: f"counted in {context.there.settings.project.name}"))
    found = newest_run(there.records.meta, "count")
    assert found is not None
    assert (found.said, found.error, found.failures) == (f"counted in {there.settings.project.name}", "", 0)
    assert found.started_at <= found.ended_at

    ran(there, job("count", lambda context: ""))
    found = newest_run(there.records.meta, "count")
    assert found is not None
    assert found.said.startswith("counted in"), "nothing to say hides no news"


@pytest.mark.parametrize(
    ("failure", "said"),
    [(Transient("source.down", "the source is down", "wait"), "the source is down"), (KeyError("x"), "KeyError: 'x'")],
)
def test_a_failure_is_remembered_and_counted_until_a_run_succeeds(
    there: Installation, failure: Exception, said: str
) -> None:
    def fails(context: JobContext) -> str:
        raise failure

    ran(there, job("count", lambda context: "all well"))
    for failures in (1, 2):
        ran(there, job("count", fails))
        found = newest_run(there.records.meta, "count")
        assert found is not None
        assert (found.error, found.failures, found.said) == (said, failures, "all well")
    ran(there, job("count", lambda context: "well again"))
    found = newest_run(there.records.meta, "count")
    assert found is not None
    assert (found.error, found.failures) == ("", 0)


def test_a_job_runs_only_once_at_a_time(there: Installation) -> None:
    def again(context: JobContext) -> str:
        with pytest.raises(Conflict, match="the job count already runs"):
            ran(there, job("count", again))
        return "refused itself"

    ran(there, job("count", again))
    found = newest_run(there.records.meta, "count")
    assert found is not None
    assert found.said == "refused itself"


def looked(there: Installation, worker: Worker) -> None:
    with ThreadPoolExecutor(2) as pool:
        worker.look(pool)


def test_the_worker_runs_what_is_due_once_for_each_planned_time_also_after_a_restart(there: Installation) -> None:
    runs: list[str] = []
    jobs = {
        name: job(name, lambda context, name=name: runs.append(name) or "", SELDOM)
        for name in ("audit", "import:orders")
    }
    for _ in range(2):
        worker = Worker(there, lambda project: jobs)
        looked(there, worker)
        looked(there, worker)
    assert sorted(runs) == ["audit", "import:orders"]


def test_a_long_run_holds_up_no_other_and_is_not_started_twice(there: Installation) -> None:
    begun, go_on = threading.Event(), threading.Event()
    runs: list[str] = []

    def long(context: JobContext) -> str:
        runs.append("long")
        begun.set()
        assert go_on.wait(120)
        return "done"

    jobs = {
        "long": job("long", long, "1 second"),
        "quick": job("quick", lambda _: runs.append("quick") or "", "1 second"),
    }
    worker = Worker(there, lambda project: jobs)
    with ThreadPoolExecutor(2) as pool:
        worker.look(pool)
        assert begun.wait(60)
        while runs.count("quick") < 2:
            wait(list(worker._running.values()), 0.05)
            worker.look(pool)
        go_on.set()
    assert runs.count("long") == 1


def test_a_run_is_told_that_the_worker_wants_to_end(there: Installation) -> None:
    told: list[bool] = []
    worker = Worker(there, lambda project: {"look": job("look", lambda context: told.append(context.stopping()) or "")})
    worker.stop()
    looked(there, worker)
    assert told == [True]


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_was_stopped_or_killed_is_due_again_at_once(there: Installation, killed: bool) -> None:
    runs: list[str] = []

    def long(context: JobContext) -> str:
        runs.append("again" if runs else "cut off")
        if killed and len(runs) == 1:
            raise SystemExit  # nothing of the run is remembered after this, as when the process is gone
        return "half of it" if context.stopping() else "all of it"

    jobs = {"long": job("long", long, SELDOM)}
    worker = Worker(there, lambda project: jobs)
    if not killed:
        worker.stop()
    looked(there, worker)
    assert unended(there.records.meta, "long") is not None
    assert newest_run(there.records.meta, "long") is None
    for _ in range(2):
        looked(there, Worker(there, lambda project: jobs))
    assert runs == ["cut off", "again"]
    assert unended(there.records.meta, "long") is None
    found = newest_run(there.records.meta, "long")
    assert found is not None
    assert (found.said, found.by) == ("all of it", "")


def test_a_job_that_does_not_ask_whether_to_stop_has_ended_when_it_returns(there: Installation) -> None:
    worker = Worker(there, lambda project: {"short": job("short", lambda context: "done")})
    worker.stop()
    looked(there, worker)
    assert unended(there.records.meta, "short") is None


def test_of_a_job_that_is_due_every_few_seconds_no_beginning_is_kept(there: Installation) -> None:
    quick = job("quick", lambda context: f"stop: {context.stopping()}", "10 seconds")
    Runner(there, lambda: True).run(quick, Project(), there.wall.now())
    assert there.records.meta.get("job-begun.quick") is None
    assert newest_run(there.records.meta, "quick") is not None


def test_of_a_frequent_job_that_somebody_ran_nothing_stays_begun(there: Installation) -> None:
    quick, meta = job("quick", lambda context: "done", "10 seconds"), there.records.meta
    runner = Runner(there, lambda: False)
    runner.run(quick, Project(), there.wall.now(), by="ada")
    assert unended(meta, "quick") is None
    runner.run(quick, Project(), there.wall.now())
    assert unended(meta, "quick") is None


def test_the_worker_runs_what_somebody_asks_for_once_and_says_who_it_was(there: Installation) -> None:
    runs: list[str] = []
    jobs = {
        name: job(name, lambda context, name=name: runs.append(name) or "", SELDOM) for name in ("audit", "quality")
    }
    worker, meta = Worker(there, lambda project: jobs), there.records.meta
    looked(there, worker)
    runs.clear()
    for _ in range(2):
        ask_for_run(meta, "audit", there.wall.now(), "ada")
    asked = asked_for(meta, "audit")
    assert asked is not None
    assert asked.by == "ada"
    looked(there, worker)
    looked(there, worker)
    assert runs == ["audit"]
    assert asked_for(meta, "audit") is None
    found = newest_run(meta, "audit")
    assert found is not None
    assert found.by == "ada"


@pytest.mark.parametrize(("every", "by"), [(SELDOM, "ada"), ("10 seconds", "ada"), ("10 seconds", "")])
@pytest.mark.parametrize("written", [1, 2, 3])
def test_a_run_that_was_asked_for_survives_a_kill_after_any_write(
    there: Installation, monkeypatch: pytest.MonkeyPatch, every: str, by: str, written: int
) -> None:
    meta, runs = there.records.meta, list[str]()
    one = job("audit", lambda context: runs.append("run") or "", every)
    ask_for_run(meta, "audit", there.wall.now(), "ada")
    put, left = type(meta).put, written

    def dies(self: Any, key: str, value: str) -> None:
        nonlocal left
        if key.startswith("job"):
            put(self, key, value)
            left -= 1
        if left == 0:
            raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(type(meta), "put", dies)
        with suppress(SystemExit):
            Runner(there, lambda: False).run(one, Project(), there.wall.now(), by)
    assert runs or asked_for(meta, "audit") or unended(meta, "audit")
    if asked_for(meta, "audit") is None and unended(meta, "audit") is None:
        assert newest_run(meta, "audit") is not None


def test_what_is_asked_for_while_the_job_runs_elsewhere_runs_when_that_has_ended(there: Installation) -> None:
    runs: list[str] = []
    worker, meta = Worker(there, lambda project: jobs), there.records.meta

    def asks(context: JobContext) -> str:
        runs.append("run")
        if len(runs) == 1:
            ask_for_run(meta, "audit", there.wall.now(), "ada")
            looked(there, worker)
        return ""

    jobs = {"audit": job("audit", asks, SELDOM)}
    ran(there, jobs["audit"])
    assert runs == ["run"]
    looked(there, worker)
    assert runs == ["run", "run"]


# --- a virtual clock -------------------------------------------------------------------------------------------------

START = parse_iso("2030-05-01T12:00:00Z")


@pytest.fixture
def virtual(tmp_path: Path) -> Iterator[Installation]:
    starter.write(tmp_path / "shop")
    clock = {"MAILWRIGHT__CLOCK__KIND": "virtual", "MAILWRIGHT__CLOCK__START": "2030-05-01T12:00:00Z"}
    found = open_installation(load_settings(tmp_path / "shop", clock))
    apply(found, plan(found))
    try:
        yield found
    finally:
        found.close()


class Ticks:
    """An engine that has written the effects of a tick at `at`, or is away."""

    def __init__(self, at: Instant) -> None:
        self.at: Instant | None = at

    def status(self) -> Any:
        if self.at is None:
            raise Transient("engine.away", "the engine does not answer", "wait")
        return SimpleNamespace(ticked_at=self.at or None)

    def close(self) -> None:
        pass


def test_days_of_jobs_run_by_the_ticks_of_a_virtual_clock_alone(virtual: Installation) -> None:
    engine = Ticks(Instant(0))
    there = replace(virtual, engine=engine)  # type: ignore[arg-type]
    runs: list[Instant] = []
    jobs = {"count": job("count", lambda context: runs.append(context.now) or "", "1 day")}
    worker = Worker(there, lambda project: jobs)
    looked(there, worker)
    assert (runs, rest_of(there.records.meta)) == ([], (0, 0)), "before the first tick nothing is due"
    for hours in range(0, 72, 6):
        there.log.append([ClockMoved()], Instant(START + hours * HOUR))
        looked(there, worker)
        engine.at = Instant(START + hours * HOUR)
        looked(there, worker)
        looked(there, worker)
        assert rest_of(there.records.meta) == (1, engine.at)
    assert runs == [START, *(Instant(START + 12 * HOUR + days * DAY) for days in range(3))]
    newest = newest_run(there.records.meta, "count")
    assert newest is not None
    assert newest.started_at == newest.ended_at == runs[-1]


@pytest.mark.parametrize("away", [False, True])
def test_a_job_that_waits_runs_at_its_first_planned_time_after_the_first_look_once_whatever_is_killed(
    virtual: Installation, away: bool
) -> None:
    engine = Ticks(START)
    there = replace(virtual, engine=engine)  # type: ignore[arg-type]
    runs: list[Instant] = []
    monthly = Schedule(daily_at="06:00", on=1, time_zone="UTC")

    def change(context: JobContext) -> str:
        runs.append(context.now)
        if len(runs) == 1:
            raise SystemExit  # as when the process is gone
        return "changed"

    jobs = {"audit": Job(name="audit", title="tries it", schedule=monthly, run=change, waits=True)}
    due = parse_iso("2030-06-01T06:00:00Z")

    def look(at: Instant) -> None:
        engine.at = at
        there.log.append([ClockMoved()], at)
        looked(there, Worker(there, lambda project: jobs))  # each time a worker that has just started

    look(START)
    look(Instant(START + DAY))
    assert runs == [], "nothing is changed before its first planned time"
    if not away:
        look(Instant(due - 1))
        assert runs == []
        look(due)
        assert runs == [due]
    later = Instant(due + 3 * DAY)
    for _ in range(4):
        look(later)
    assert runs == ([later] * 2 if away else [due, later]), "one run cut off, and one whole"


def test_which_jobs_wait_for_their_first_planned_time(there: Installation) -> None:
    assert [job.name for job in jobs_of(Project(), there.settings).values() if job.waits] == ["audit"]


def test_while_a_job_runs_or_the_engine_is_away_the_worker_is_not_at_rest(virtual: Installation) -> None:
    engine = Ticks(START)
    there = replace(virtual, engine=engine)  # type: ignore[arg-type]
    go_on = threading.Event()
    jobs = {"long": job("long", lambda context: "done" if go_on.wait(120) else "late")}
    worker = Worker(there, lambda project: jobs)
    with ThreadPoolExecutor(1) as pool:
        worker.look(pool)
        worker.look(pool)
        assert rest_of(there.records.meta) == (0, 0)
        go_on.set()
    engine.at = None
    looked(there, worker)
    assert rest_of(there.records.meta) == (0, 0)
    engine.at = START
    looked(there, worker)
    assert rest_of(there.records.meta) == (1, START)
