"""Declared imports as jobs, and the newest run of each for lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

from mailwright.core.errors import InvalidInput, Issue
from mailwright.runtime.imports.declared import DeclaredImport
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.settings import Settings


def import_jobs(project: Project, _settings: Settings) -> Iterable[Job]:
    """A job ``import:NAME`` for each import that has a schedule."""
    for name, definition in project.imports.items():
        if definition.schedule is not None:
            run: Callable[[JobContext], str] = partial(_run, name)
            yield Job(name=f"import:{name}", title=definition.title, schedule=definition.schedule, run=run)


def _run(name: str, context: JobContext) -> str:
    """Run it; what a job says is kept, logged and shown to all, so of rows with faults it tells the places alone.

    Raises:
        InvalidInput: ``import.rows``.
    """
    try:
        return str(DeclaredImport(context.there, context.project, name).run(context.stopping))
    except InvalidInput as error:
        if error.code != "import.rows":
            raise
        issues = [_masked(issue) for issue in error.issues]
        hint = f"{error.hint}; `mailwright import {name} --dry-run` shows what is wrong"
    raise InvalidInput("import.rows", issues, hint)  # outside: its cause would show the values in a traceback


def _masked(issue: Issue) -> Issue:
    """A fault of a row without its words, which may show a value, but for words that are known to show none."""
    if not issue.path and _MORE.fullmatch(issue.message):
        return issue
    if _PLAIN.fullmatch(issue.message):
        return Issue(path=issue.path, message=f"cannot be taken: {issue.message}")
    if issue.message.endswith(_NOBODY):
        return Issue(path=issue.path, message=f"cannot be taken: a placeholder, or blocked by identity.yaml,{_NOBODY}")
    return Issue(path=issue.path, message="cannot be taken")


_MORE = re.compile(r"\.\.\. and [\d,]+ more faults?")
_PLAIN = re.compile(
    r"nobody is named: send userId or anonymousId"
    r"|nobody is named: what (userId|anonymousId|userId and anonymousId) says"
    r" is a placeholder, or blocked by identity\.yaml"
    r"|(a track call needs the event's name|an alias call needs it|a group call needs it)"
    r"|required by the tracking plan, but missing"
)
_NOBODY = " names nobody and is left out"
