"""Opening an installation, its keys and its lock; versions of the definitions."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mailwright.core.errors import Conflict, InvalidInput, NotFound
from mailwright.core.events import ClockMoved, Defined
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.core.sources import Quarantined, QuarantineFilter
from mailwright.runtime.installation import Installation, only_one, open_installation
from mailwright.runtime.jobs.job import JobContext
from mailwright.runtime.jobs.sources import source_jobs
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import Difference, apply, current_project, plan
from mailwright.runtime.settings import load_settings
from mailwright.runtime.write_keys import Sources, create_key

CLOCK = '[project]\nname = "Shop"\n[clock]\nkind = "virtual"\nstart = "2026-11-02T08:00:00Z"\n'


@contextmanager
def opened(folder: Path, text: str = CLOCK) -> Iterator[Installation]:
    (folder / "mailwright.toml").write_text(text)
    there = open_installation(load_settings(folder, {}))
    try:
        yield there
    finally:
        there.close()


def test_a_virtual_clock_stands_where_the_log_does(tmp_path: Path) -> None:
    for _ in range(2):  # opened again, nothing is appended again
        with opened(tmp_path) as there:
            assert there.clock.now() == parse_iso("2026-11-02T08:00:00Z")
            assert there.log.last()[0] == 1
    with opened(tmp_path) as there:
        there.log.append([ClockMoved()], parse_iso("2026-11-03T08:00:00Z"))
        assert there.clock.now() == parse_iso("2026-11-03T08:00:00Z")
        assert there.wall.now() != there.clock.now()


def test_the_clock_of_a_data_folder_is_fixed(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with (
        pytest.raises(Conflict, match=r"made with a virtual clock, but mailwright\.toml says system"),
        opened(tmp_path, '[project]\nname = "Shop"\n'),
    ):
        pass


def test_write_keys(tmp_path: Path) -> None:
    with opened(tmp_path) as there:
        server = create_key(there.records.sources, "shop", server=True, now=there.wall.now())
        browser = create_key(there.records.sources, "site", server=False, now=there.wall.now())
        sources = Sources(there.records.sources)
        assert (server[:3], sources[server].name, sources[server].kind) == ("sk_", "shop", "server")
        assert (browser[:3], sources[browser].name, sources[browser].kind) == ("pk_", "site", "browser")
        assert sources.get("sk_" + server[4:]) is None
        with pytest.raises(InvalidInput, match="1 to 64 characters"):
            create_key(there.records.sources, "", server=True, now=there.wall.now())
    stored = (tmp_path / "data" / "records.sqlite").read_bytes()
    assert b"shop" in stored
    assert server.encode() not in stored


def test_only_one_holds_a_lock_and_gives_it_back(tmp_path: Path) -> None:
    lock = tmp_path / "serve.lock"
    script = (
        "import sys; from pathlib import Path; from mailwright.runtime.installation import only_one\n"
        "with only_one(Path(sys.argv[1]), 'Mailwright'): print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Conflict, match=rf"Mailwright already runs on .*\(pid {holder.pid}\)"),
            only_one(lock, "Mailwright"),
        ):
            pass
        holder.kill()
        holder.wait()
    with only_one(lock, "Mailwright"):
        assert lock.read_text()


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    starter.write(folder)
    return folder


def test_plan_and_apply(project: Path) -> None:
    with opened(project) as there:
        with pytest.raises(NotFound, match="nothing was applied yet"):
            current_project(there)
        first = plan(there)
        assert {one.how for one in first.differences} == {"added"}
        assert Difference("segments.yaml", "customers", "added") in first.differences
        assert apply(there, first).version == 1
        assert plan(there).differences == []

        segments = project / "segments.yaml"
        segments.write_text(
            "# a comment changes nothing\n"
            + segments.read_text().replace("orders >= 1", "orders >= 2").replace("lapsed_30d:", "lapsed:")
        )
        journey = project / "journeys" / "come_back.yaml"
        journey.write_text(journey.read_text().replace("lapsed_30d", "lapsed"))
        second = plan(there)
        assert second.differences == [
            Difference("journeys/come_back.yaml", "", "changed"),
            Difference("segments.yaml", "customers", "changed"),
            Difference("segments.yaml", "lapsed", "added"),
            Difference("segments.yaml", "lapsed_30d", "removed"),
        ]
        assert apply(there, second).version == 2
        version, now = current_project(there)
        assert (version, now.segments["customers"].rule) == (2, "orders >= 2")
        told = [record.body for record in there.log.read(0, 10) if isinstance(record.body, Defined)]
        assert [body.version for body in told] == [1, 2]
        assert told[1].files["segments.yaml"] == segments.read_text()


def test_a_plan_that_was_overtaken_is_refused(project: Path) -> None:
    with opened(project) as there:
        old = plan(there)
        apply(there, old)
        with pytest.raises(Conflict):
            apply(there, old)
        assert there.records.definitions.current().version == 1


def test_settings_that_rules_do_not_read_make_no_version(project: Path) -> None:
    with opened(project) as there:
        apply(there, plan(there))
    with opened(project, CLOCK + "[door]\nport = 1\n") as there:
        assert plan(there).differences == []
    with opened(project, CLOCK.replace('"Shop"\n', '"Shop"\ntime_zone = "Asia/Tokyo"\n')) as there:
        assert plan(there).differences == [Difference("mailwright.toml", "", "changed")]


def test_files_where_nothing_looks_for_them(project: Path) -> None:
    (project / "segment.yaml").write_text("vip: {}\n")
    (project / "campaign").mkdir()
    (project / "campaign" / "x.yaml").write_text("title: x\n")
    (project / "templates" / "x.yaml").write_text("title: x\n")
    (project / ".git").mkdir()
    (project / ".git" / "x.yaml").write_text("hidden: true\n")
    (project / "models" / "bad.yaml").write_bytes(b"title: \xff\n")
    with opened(project) as there:
        (there.settings.data_folder / "kept.yaml").write_text("not: read\n")
        with pytest.raises(InvalidInput) as caught:
            plan(there)
    assert str(caught.value) == (
        "campaign/x.yaml: no definition is read from here\n"
        "    hint: did you mean 'campaigns'?\n"
        "models/bad.yaml: not UTF-8 text: byte 7 is 0xff\n"
        "    hint: save the file as UTF-8\n"
        "segment.yaml: no definition is read from here\n"
        "    hint: did you mean 'segments.yaml'?\n"
        "templates/x.yaml: no definition is read from here\n"
        "    hint: files in templates/ end with .mjml"
    )


def test_a_folder_without_definitions(tmp_path: Path) -> None:
    with opened(tmp_path) as there, pytest.raises(NotFound, match="holds no definitions"):
        plan(there)


def test_held_events_are_forgotten_after_their_time(tmp_path: Path) -> None:
    with opened(tmp_path) as there:
        now = there.clock.now()
        held = Quarantined(
            message_id="m1",
            source="shop",
            source_kind="server",
            event="Paid",
            received_at=Instant(now - 30 * DAY),
            reasons=[],
            body="sealed",
        )
        there.records.quarantine.hold([held, replace(held, message_id="m2", received_at=Instant(now - 31 * DAY))], 9)
        (job,) = source_jobs(Project(), there.settings)
        said = job.run(JobContext(there=there, project=Project(), now=now, stopping=lambda: False))
        assert said == "1 held events of more than 30 days were forgotten"
        assert [item.message_id for item in there.records.quarantine.find(QuarantineFilter(), 9)] == ["m1"]
