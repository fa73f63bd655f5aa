"""The job that runs the monitors, compares with other systems, and tells whoever is to be told."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from mailwright.core.errors import MailwrightError, NotFound
from mailwright.core.findings import Finding
from mailwright.core.instants import DAY
from mailwright.reports.quality.definitions import QualityDefinition, Reconciliation
from mailwright.reports.quality.monitors import look, reconcile
from mailwright.reports.quality.past import Past, Season
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.quality.alerts import alert
from mailwright.runtime.settings import Settings, secret_from
from mailwright.stores.sql_rows import SqlRows

WATCHED = ("volume", "freshness", "missing", "new values", "outliers", "duplicates")


def quality_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """The monitors, as a job."""
    del settings
    yield Job(name="quality", title="looks for faults in the data", schedule=project.quality.schedule, run=watch)


def watch(context: JobContext) -> str:
    """Look, keep what was found, and tell of what is new."""
    there, definition = context.there, context.project.quality
    season = Season.before(context.now, definition.season_days, context.project.zone)
    past = Past(there.history, season)
    found = look(past, definition) if there.history.offset("events") else []
    compared, failed = _compared(context, past, definition)
    # What could not be compared keeps its finding: that the other system is down resolves nothing.
    monitors = WATCHED if failed else (*WATCHED, "reconciliation")
    new = there.records.findings.observe(monitors, [*found, *compared], context.now)
    failed += alert(there, definition.alerts, monitors)
    if failed:
        raise MailwrightError("quality.incomplete", "; ".join(failed), "the rest was done; it is tried again")
    return f"{len(found) + len(compared)} findings, {len(new)} of them new" if found or compared else "nothing is wrong"


def _compared(context: JobContext, past: Past, definition: QualityDefinition) -> tuple[list[Finding], list[str]]:
    """Findings, and why a comparison could not be made."""
    findings: list[Finding] = []
    failed: list[str] = []
    for name, asked in definition.reconcile.items():
        try:
            theirs = other_side(context.there.settings, name, asked)
        except MailwrightError as error:
            failed.append(f"{name}: {error.message}")
            continue
        counted = context.there.records.sources.days(context.now // DAY - asked.days - 1) if asked.kind else ()
        findings += reconcile(past, name, asked, theirs, counted)
    return findings, failed


def other_side(settings: Settings, name: str, asked: Reconciliation) -> Mapping[str, tuple[float, float | None]]:
    """What the other system says: day (ISO) -> count, and sum or None.

    Raises:
        NotFound: If the file is missing.
        InvalidInput: If the address is missing or wrong, or the query has no ``day`` or ``count``.
        Transient: If the database does not answer.
    """
    rows = _file_rows(settings, asked) if asked.file else _database_rows(name, asked)
    return {_day(row["day"]): (float(row["count"]), _number(row.get("sum"))) for row in rows}


def _database_rows(name: str, asked: Reconciliation) -> list[dict[str, Any]]:
    columns = ("day", "count", "sum") if asked.value else ("day", "count")
    what = f"the database of reconciliation {name}"
    with SqlRows(secret_from(asked.url_env), what, query=asked.query, columns=columns) as database:
        return list(database.rows(columns))


def _file_rows(settings: Settings, asked: Reconciliation) -> list[dict[str, Any]]:
    path = settings.folder / asked.file
    if not path.is_file():
        raise NotFound("quality.file", f"there is no file {asked.file} to compare with", "its path is the project's")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _day(value: Any) -> str:
    return str(value)[:10]


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)
