"""``mailwright quality``: what looks wrong, what somebody knows of already, and whether anybody has looked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import msgspec
import pytest

from mailwright.core.findings import Finding
from mailwright.core.instants import Instant, to_datetime
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.jobs.runs import JobRun
from mailwright.runtime.quality.known import leave_alone
from mailwright.runtime.settings import load_settings
from tests.scenarios.running_project import done, make_project


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Installation]:
    found = open_installation(load_settings(make_project(tmp_path / "shop"), {}))
    yield found
    found.close()


def told(there: Installation, *more: str) -> str:
    return " ".join(done("quality", "--project", str(there.settings.folder), *more).split())


def looked(there: Installation, at: Instant, error: str = "") -> None:
    run = JobRun(planned_at=at, started_at=at, ended_at=at, said="nothing is wrong", error=error)
    there.records.meta.put("job.quality", msgspec.json.encode(run).decode())


def test_before_the_first_look_nothing_is_said_to_be_well(there: Installation) -> None:
    before = told(there)
    assert "Nothing looks wrong" not in before
    assert "No look was made yet. `mailwright run quality` looks now" in before
    assert "every hour" in before
    looked(there, there.clock.now())
    after = told(there)
    assert after.startswith("Nothing looks wrong. Looked 20")
    assert "failed" not in after
    looked(there, there.clock.now(), "books: no such file")
    assert "That look failed in part: books: no such file" in told(there)


def test_what_somebody_knows_of_says_until_when_and_who(there: Installation) -> None:
    now = there.clock.now()
    day = to_datetime(now).date() + timedelta(days=3)
    found = [
        Finding(monitor="volume", subject=name, severity="serious", message=name, example="m1", suggestion="look")
        for name in ("Order Completed", "Product Viewed")
    ]
    there.records.findings.observe(["volume"], found, now)
    leave_alone(there.records, "volume: Order Completed", day, UTC, "ada", now)
    listed = told(there)
    assert f"left alone until {day + timedelta(days=1)}T00:00Z, says ada" in listed
    assert listed.count("left alone") == 1
    there.records.findings.observe(["volume"], [], now)
    assert "left alone" not in told(there, "--all"), "what is gone is not left alone"
