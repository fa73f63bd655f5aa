"""The definition protocol over real stores: the job, its failures, restarts, and the stream that goes on meanwhile."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import (  # noqa: E402
    FILES,
    MORE_FILES,
    STORY,
    World,
    at,
    defined,
    event,
    fold,
    records,
    view,
    wait_for,
    world,
)

from mailwright.core.errors import Transient  # noqa: E402
from mailwright.core.events import Defined, Events, Installed, Tick  # noqa: E402
from mailwright.core.facts import Installing  # noqa: E402
from mailwright.runtime.engine import installer, reads  # noqa: E402
from mailwright.runtime.engine.loop import Engine  # noqa: E402
from mailwright.runtime.project.in_force import in_force  # noqa: E402
from mailwright.stores.log_sqlite import SqliteEventLog  # noqa: E402


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "FIRST_RETRY_S", 0.05)


def version(engine: Engine) -> int:
    """The version in force; 0 while the engine reads its log again."""
    try:
        return engine.ask(lambda state: state.version).result(30)
    except Transient:
        return 0


def installing(engine: Engine) -> Installing | None:
    """What is on its way, once the engine answers."""
    try:
        return engine.ask(reads.status).result(30).installing
    except Transient:
        return None


def as_from_the_start(engine: Engine, there: World) -> None:
    """One more tick, and all is as if the new version had been there from the start."""
    there.append([(9.1, Tick())])
    early = [(0.0, defined(MORE_FILES)), *STORY[1:], (9.1, Tick())]
    assert view(there.caught_up(engine)) == view(fold(records(early))[0])


def test_from_defined_to_installed(there: World) -> None:
    there.append([*STORY[:8], (1.2, defined(MORE_FILES, 2)), *STORY[8:]])
    with there.running(there.engine()) as engine:
        wait_for(lambda: version(engine) == 2, "it is never in force")
        assert installing(engine) is None
        as_from_the_start(engine, there)
    assert [type(record.body) for record in there.log.read(0, 100)].count(Installed) == 1
    assert there.failures == []


def test_the_stream_goes_on_meanwhile(there: World) -> None:
    go = threading.Event()
    job = there.backfill
    there.backfill = lambda order, tell: go.wait(120) and job(order, tell)
    there.append([*STORY[:6], (1.0, defined(MORE_FILES, 2))])
    with there.running(there.engine()) as engine:
        wait_for(lambda: installing(engine), "nothing is on its way")
        there.append(STORY[6:])
        state = there.caught_up(engine)
        assert view(state) == view(fold(records(STORY))[0])  # by the old version, transitions and all
        assert len(there.stored.definitions.versions()) == 0
        assert installing(engine) == Installing(version=2, phase="waiting")
        go.set()
        wait_for(lambda: version(engine) == 2, "it is never in force")
        as_from_the_start(engine, there)
    assert there.failures == []


def test_a_failed_job_is_seen_and_tried_again(there: World) -> None:
    job, tries = there.backfill, []

    def fails_twice(order: object, tell: object) -> str:
        tries.append(order)
        if len(tries) < 3:
            raise Transient("history.disk_full", "no space left to write History")
        return job(order, tell)

    seen: list[Installing] = []
    there.backfill = fails_twice
    there.append([*STORY, (9.0, defined(MORE_FILES, 2))])
    with there.running(there.engine()) as engine:

        def is_in_force() -> bool:
            found = installing(engine)
            if found and found.failure:
                seen.append(found)
            return version(engine) == 2

        wait_for(is_in_force, "it is never in force")
        as_from_the_start(engine, there)
    assert len(tries) == 3
    assert seen
    assert "no space left" in seen[0].failure
    assert {one.attempts for one in seen} <= {1, 2}
    assert {one.phase for one in seen} <= {"failed", "waiting", "folding", "storing"}


def test_a_restart_on_the_way_takes_the_job_up_again(there: World) -> None:
    job = there.backfill
    never = threading.Event()
    there.backfill = lambda order, tell: never.wait(120) and ""
    there.append([*STORY[:6], (1.0, defined(MORE_FILES, 2)), *STORY[6:9]])
    with there.running(there.engine(checkpoint_events=1)) as engine:
        wait_for(lambda: installing(engine), "nothing is on its way")
        there.caught_up(engine)
    there.append(STORY[9:])
    there.backfill = job
    with there.running(there.engine(checkpoint_events=1)) as engine:
        wait_for(lambda: version(engine) == 2, "it is never in force")
        as_from_the_start(engine, there)
    never.set()
    assert there.failures == []


def test_a_restart_between_the_blob_and_its_record_makes_another(there: World) -> None:
    """The job was done, the log refused the record, the engine died: the job is done again, nothing is doubled."""
    real = there.log

    class Full:
        def append(self, bodies: list, now: int) -> list[int]:
            if isinstance(bodies[0], Installed):
                raise Transient("log.disk_full", "no space left")
            return real.append(bodies, now)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    there.append([*STORY, (9.0, defined(MORE_FILES, 2))])
    there.log = Full()  # type: ignore[assignment]
    with there.running(there.engine()) as engine:
        wait_for(lambda: (found := installing(engine)) and not found.failure, "nothing is on its way")
        wait_for(lambda: list((there.folder / "blobs").rglob("?" * 64)), "no blob")
        assert version(engine) == 1
    assert isinstance(real, SqliteEventLog)
    there.log = real
    with there.running(there.engine()) as engine:
        wait_for(lambda: version(engine) == 2, "it is never in force")
        as_from_the_start(engine, there)
    assert len(list((there.folder / "blobs").rglob("?" * 64))) == 1


def test_a_lost_blob_is_made_again(there: World) -> None:
    there.append([*STORY, (9.0, defined(MORE_FILES, 2))])
    with there.running(there.engine()) as engine:
        wait_for(lambda: version(engine) == 2, "it is never in force")
    for path in (there.folder / "blobs").rglob("?" * 64):
        path.unlink()
    with there.running(there.engine()) as engine:
        wait_for(lambda: version(engine) == 2, "it is never in force again")
        as_from_the_start(engine, there)
    assert there.failures == []


def test_senders_follow_the_version_that_is_in_force(there: World) -> None:
    from mailwright.core.ports import DefinitionVersion

    for number, files in ((1, FILES), (2, MORE_FILES)):
        there.stored.definitions.store(
            DefinitionVersion(version=number, applied_at=at(0), digest=str(number), files=files)
        )
    assert in_force(there.stored.definitions, there.stored.meta).version == 2  # nobody has told otherwise
    go, job = threading.Event(), there.backfill
    there.backfill = lambda order, tell: go.wait(120) and job(order, tell)
    there.append(
        [(0, Defined(1, FILES)), (0.1, Events([event(1, "ada")])), (0.2, Tick()), (0.3, defined(MORE_FILES, 2))]
    )
    with there.running(there.engine()) as engine:
        wait_for(lambda: installing(engine), "nothing is on its way")
        assert in_force(there.stored.definitions, there.stored.meta).version == 1
        go.set()
        wait_for(lambda: version(engine) == 2, "it is never in force")
        assert in_force(there.stored.definitions, there.stored.meta).version == 2
