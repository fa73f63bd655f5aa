"""Jobs: run when due, once each, remembered, and never in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from mailwright.core.errors import Conflict, Transient
from mailwright.core.schedules import Schedule
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.jobs import Job, JobContext
from mailwright.runtime.jobs.runs import Runner, newest_run
from mailwright.runtime.jobs.worker import Worker
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
        name: job(name, lambda context, name=name: runs.append(name) or "", "1 week")
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
        assert go_on.wait(30)
        return "done"

    jobs = {
        "long": job("long", long, "1 second"),
        "quick": job("quick", lambda _: runs.append("quick") or "", "1 second"),
    }
    worker = Worker(there, lambda project: jobs)
    with ThreadPoolExecutor(2) as pool:
        worker.look(pool)
        assert begun.wait(30)
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
