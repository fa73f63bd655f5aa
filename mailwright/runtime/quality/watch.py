"""The job that runs the monitors, compares with other systems, and tells whoever is to be told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.findings import Finding
from mailwright.reports.quality.definitions import BROKEN, QualityDefinition
from mailwright.reports.quality.monitors import LOOKS
from mailwright.reports.quality.past import Past, Season
from mailwright.reports.quality.reconciliation import reconcile
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.quality.alerts import alert
from mailwright.runtime.quality.other_side import other_side
from mailwright.runtime.settings import Settings

_log = logging.getLogger(__name__)


def quality_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """The monitors, as a job."""
    del settings
    yield Job(name="quality", title="Look for faults in the data", schedule=project.quality.schedule, run=watch)


def watch(context: JobContext) -> str:
    """Look, keep what was found, and tell of what is new.

    A monitor that cannot look, or a comparison that cannot be made, is a finding of its own; it loses nobody else's,
    and what it found before stays: nobody knows whether it is gone.
    """
    there, definition = context.there, context.project.quality
    season = Season.before(context.now, definition.season_days, context.project.zone)
    with there.history.session() as asked:
        past = Past(asked, season)
        found, unsure, failed = _looked(past, definition) if asked.offset("events") else ([], [], [])
        notes: list[str] = []
        compared, apart, not_compared = _compared(context, past, definition, notes.append)
    found += compared
    failed += not_compared
    watched = [name for name in (*LOOKS, "reconciliation", BROKEN) if name not in unsure]
    new = there.records.findings.observe(watched, found, context.now, unsure=apart)
    failed += alert(there, definition.alerts, watched)
    if failed:
        raise MailwrightError("quality.incomplete", "; ".join(failed), "the rest was done; it is tried again")
    said = f"{len(found)} findings, {len(new)} of them new" if found else "nothing is wrong"
    return "; ".join([said, *notes])


def _looked(past: Past, definition: QualityDefinition) -> tuple[list[Finding], list[str], list[str]]:
    """Findings, monitors that could not look, and why."""
    found: list[Finding] = []
    unsure: list[str] = []
    failed: list[str] = []
    for name, monitor in LOOKS.items():
        try:
            found += sorted(monitor(past, definition), key=lambda one: one.subject)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            why = error.message if isinstance(error, MailwrightError) else type(error).__name__
            _log.warning("the monitor %s could not look: %s", name, type(error).__name__)
            found.append(_broken(name, f"the monitor could not look: {why}"))
            unsure.append(name)
            failed.append(f"{name}: {why}")
    return found, unsure, failed


def _compared(
    context: JobContext, past: Past, definition: QualityDefinition, note: Callable[[str], None]
) -> tuple[list[Finding], list[str], list[str]]:
    """Findings, the keys of comparisons that could not be made, and why; `note` is told what is no finding."""
    findings: list[Finding] = []
    unsure: list[str] = []
    failed: list[str] = []
    for name, asked in definition.reconcile.items():
        try:
            theirs = other_side(context.there.settings.folder, name, asked)
            counted = context.there.records.sources.days(0) if asked.kind else ()
            findings += reconcile(past, name, asked, theirs, counted, note)
        except MailwrightError as error:
            subject = f"reconciliation {name}"
            unsure.append(f"reconciliation: {name}")
            failed.append(f"{name}: {_said(error)}")
            findings.append(_broken(subject, f"{name} could not be compared: {_said(error)}"))
    return findings, unsure, failed


def _said(error: MailwrightError) -> str:
    """What went wrong, with its place and without what to do."""
    if isinstance(error, InvalidInput):
        return "; ".join(f"{issue.path}: {issue.message}" if issue.path else issue.message for issue in error.issues)
    return error.message


def _broken(subject: str, message: str) -> Finding:
    return Finding(
        monitor=BROKEN,
        subject=subject,
        severity="warning",
        message=message,
        example="",
        suggestion="mend what it reads; until then what it found before stays as it was",
    )
