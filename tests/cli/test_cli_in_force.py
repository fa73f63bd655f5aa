"""`apply` waits until its version is in force; `status` and `clock` say how things stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwright.cli.in_force import wait_until_in_force
from mailwright.cli.main import app
from mailwright.core.errors import Permanent, Transient
from mailwright.core.events import Offset
from mailwright.core.facts import EngineStatus, Installing
from mailwright.core.instants import HOUR, Instant
from mailwright.runtime.clock_watch import ClockWatch, parted
from mailwright.runtime.installation import open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.settings import load_settings


def status(version: int, installing: Installing | None = None) -> EngineStatus:
    return EngineStatus(
        offset=Offset(1),
        tick_offset=Offset(1),
        at=Instant(0),
        version=version,
        n_persons=0,
        n_events=0,
        n_duplicates=0,
        n_items=0,
        segments={},
        installing=installing,
    )


class Told:
    """An engine that gives these answers, one after another."""

    def __init__(self, *answers: EngineStatus | Transient) -> None:
        self.left: Iterator[EngineStatus | Transient] = iter(answers)

    def status(self) -> EngineStatus:
        answer = next(self.left)
        if isinstance(answer, Transient):
            raise answer
        return answer


def test_it_waits_through_phases_failures_and_restarts(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Installing(version=2, phase="failed", failure="no space left")
    engine = Told(
        status(1),
        Transient("engine.recovering", "it reads its log again"),
        status(1, Installing(version=2, phase="folding", done=5, whole=10)),
        status(1, failed),
        status(1, failed),
        status(2),
    )
    wait_until_in_force(engine, 2)  # type: ignore[arg-type]
    told = capsys.readouterr()
    assert "Version 2 is in force." in told.out
    assert told.err.count("no space left") == 1
    assert next(engine.left, None) is None


def test_it_gives_up_on_a_version_that_cannot_come_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    stuck = [
        status(1, Installing(version=2, phase="failed", failure="no column [x]", attempts=attempts))
        for attempts in (1, 2, 3)
    ]
    with pytest.raises(Permanent) as raised:
        wait_until_in_force(Told(*stuck), 2)  # type: ignore[arg-type]
    assert capsys.readouterr().err.count("not yet: no column [x]") == 1
    assert raised.value.code == "apply.not_in_force"
    assert "version 2 could not be put in force 3 times: no column [x]" in raised.value.message
    assert "version 1 stays in force" in raised.value.hint


def test_a_mended_version_is_not_told_the_fault_of_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = Installing(version=2, phase="failed", failure="no column [x]", attempts=3)
    engine = Told(status(1, before), status(1, Installing(version=3, phase="folding")), status(3))
    wait_until_in_force(engine, 3)  # type: ignore[arg-type]
    told = capsys.readouterr()
    assert "Version 3 is in force." in told.out
    assert "no column" not in told.err, "a fault that is mended"


def test_without_an_engine_it_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    wait_until_in_force(Told(Transient("engine.unreachable", "nobody answers")), 2)  # type: ignore[arg-type]
    assert "as soon as `mailwright serve` runs" in capsys.readouterr().out


def test_a_jump_of_the_clock_is_shown_and_confirmed(tmp_path: Path) -> None:
    starter.write(tmp_path / "shop")
    folder = str(tmp_path / "shop")
    run = CliRunner()
    assert "has not jumped" in run.invoke(app, ["clock", "--project", folder]).output
    there = open_installation(load_settings(tmp_path / "shop"))
    ClockWatch(there.records.meta, lambda: Instant(0), lambda: 0).compare(Instant(HOUR))
    assert "3,600 s backwards" in run.invoke(app, ["clock", "--project", folder]).output
    assert "Confirmed" in run.invoke(app, ["clock", "--confirm", "--project", folder]).output
    assert parted(there.records.meta) is None
    there.close()
