"""Waits, and shows, until the engine has put a version in force."""

from __future__ import annotations

import time

from rich.progress import Progress, TaskID

from mailwright.cli.output import console, errors, progress
from mailwright.core.errors import Permanent, Transient
from mailwright.core.facts import Installing
from mailwright.core.ports import EngineReads

PAUSE_S = 0.1
MOST_ATTEMPTS = 3
"""After so many failures nobody is kept waiting; the engine goes on trying."""

_PHASES = {
    "waiting": "Waiting for History",
    "folding": "Folding the past (events)",
    "storing": "Storing it",
    "failed": "Trying again",
}


def wait_until_in_force(engine: EngineReads, version: int) -> None:
    """Return when the engine follows `version`, or at once if no engine runs.

    Ctrl-C ends the waiting alone: the version comes in force all the same.

    Raises:
        Permanent: If the engine could not put it in force `MOST_ATTEMPTS` times.
    """
    told = ""
    with progress() as bars:
        task = bars.add_task(_PHASES["waiting"], total=None, visible=False)
        while True:
            try:
                status = engine.status()
            except Transient as error:
                if error.code == "engine.unreachable":
                    bars.stop()
                    console.print(f"Version {version} is in force as soon as `mailwright serve` runs.")
                    return
                time.sleep(PAUSE_S)
                continue
            if status.version >= version:
                break
            # What an earlier version failed for may be mended in this one.
            if status.installing is not None and status.installing.version >= version:
                told = _show(bars, task, status.installing, told)
                if status.installing.attempts >= MOST_ATTEMPTS:
                    raise _stuck(status.version, status.installing)
            time.sleep(PAUSE_S)
    console.print(f"Version {version} is in force.")


def _show(bars: Progress, task: TaskID, installing: Installing, told: str) -> str:
    bars.update(
        task,
        visible=True,
        description=_PHASES[installing.phase],
        completed=installing.done,
        total=installing.whole or None,
    )
    if installing.failure and installing.failure != told:
        said = f"not yet: {installing.failure} (it is tried again; the version before stays in force)"
        errors.print(said, markup=False, highlight=False)
    return installing.failure


def _stuck(before: int, installing: Installing) -> Permanent:
    return Permanent(
        "apply.not_in_force",
        f"version {installing.version} could not be put in force {installing.attempts} times: {installing.failure}",
        f"version {before} stays in force and nothing is lost; the engine goes on trying, and `mailwright status` says "
        "how it stands. Mend the cause, or take the change out of the files and apply again",
    )
