"""The job that looks for faults: what it reads for the monitors and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwright.core.instants import DAY, MINUTE, Instant, format_iso
from mailwright.core.sources import Tally
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.jobs import JobContext
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import load_project
from mailwright.runtime.quality.watch import watch
from mailwright.runtime.settings import load_settings


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Installation]:
    starter.write(tmp_path / "shop")
    found = open_installation(load_settings(tmp_path / "shop", {}))
    try:
        yield found
    finally:
        found.close()


def test_what_came_before_the_days_that_are_compared_tells_of_an_outage_in_all_of_them(there: Installation) -> None:
    files = {"quality.yaml": "reconcile: {erp: {kind: items, source: crm, file: erp.csv, days: 7}}\n"}
    project, now = load_project(files), there.clock.now()
    context = JobContext(there=there, project=project, now=now, stopping=lambda: False)
    days = [format_iso(Instant(now - back * DAY))[:10] for back in range(1, 8)]
    (there.settings.folder / "erp.csv").write_text("day,count\n" + "".join(f"{day},1000\n" for day in days))
    assert watch(context) == "nothing is wrong", "nothing ever came"
    tally = Tally(source="crm", kind="items", minute=(now - 30 * DAY) // MINUTE, accepted=900)
    there.records.sources.count([tally], [], [])
    assert watch(context) == "1 findings, 1 of them new"
    [found] = there.records.findings.newest(2)
    assert found.finding.message.startswith("7 of 7 days of items of crm differ")


def test_the_job_says_which_days_the_other_system_does_not_list(there: Installation) -> None:
    project = load_project({"quality.yaml": "reconcile: {erp: {kind: items, source: crm, file: erp.csv, days: 7}}\n"})
    now = there.clock.now()
    tallies = [
        Tally(source="crm", kind="items", minute=(now - back * DAY) // MINUTE, accepted=900) for back in range(9)
    ]
    there.records.sources.count(tallies, [], [])
    (there.settings.folder / "erp.csv").write_text(f"day,count\n{format_iso(Instant(now - DAY))[:10]},900\n")
    context = JobContext(there=there, project=project, now=now, stopping=lambda: False)
    assert watch(context) == "nothing is wrong; 6 days are not in erp"
