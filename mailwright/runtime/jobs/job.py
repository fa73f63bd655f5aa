"""What a job is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailwright.core.instants import Instant
from mailwright.core.schedules import Schedule
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a run is given.

    Attributes:
        there: The installation; its stores may be used from any thread.
        project: The definitions that were applied last.
        now: When the run started, on the project's clock.
        stopping: Whether the process wants to end. A long run asks between two durable steps, stops when it is true,
            and goes on from there at its next start.
    """

    there: Installation
    project: Project
    now: Instant
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something that runs by schedule.

    A run may be killed at any place and is then started again: what it does must count once.

    Attributes:
        name: Unique among all jobs; what makes it, a colon and its name (``import:orders``), or one word (``audit``).
        title: What it does, in a few words.
        schedule: When it is due.
        run: Does it and says in one line what was done (empty: nothing worth a word). Raises a `MailwrightError` if
            it cannot; it is tried again when it is due next.
        waits: It changes what nobody may have looked at yet: after the worker has first seen it, it waits for its next
            planned time. Others run at once.
    """

    name: str
    title: str
    schedule: Schedule
    run: Callable[[JobContext], str]
    waits: bool = False
