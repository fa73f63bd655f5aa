"""Commands that run: serve, and the processes that it starts and watches.

Each process imports its own part inside its command: the engine starts without the web, and `plan` without both.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.delivery.sender import release_leases
from mailwright.runtime.installation import SERVED_AT, Installation, only_one, open_installation
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.settings import Settings, load_settings
from mailwright.runtime.supervisor import Supervisor, children, listen, stop_with_parent

NICE = 15
"""How far a job stands back behind everything else."""

BaseUrl = Annotated[str, typer.Option("--base-url", help="How links in mail begin.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command(hidden=True)(engine)
    app.command(hidden=True)(door)
    app.command(hidden=True)(sender)
    app.command(hidden=True)(worker)
    app.command(hidden=True)(backfill)


def serve(
    project: ProjectOption = HERE,
    port: Annotated[
        int | None, typer.Option(help="Listen here, whatever the settings say; 0 takes a free port.")
    ] = None,
    jobs: Annotated[
        bool, typer.Option("--jobs/--no-jobs", help="Without, cron or Airflow runs them, by `mailwright run`.")
    ] = True,
) -> None:
    """Run everything: the door, the engine, the sender and the worker with its jobs."""
    settings = load_settings(project)
    installation = open_installation(settings)
    with only_one(settings.data_folder / "serve.lock", "Mailwright"):
        current_project(installation)
        listener = listen(settings.door.host, settings.door.port if port is None else port)
        base_url = address(settings, listener.getsockname()[1])
        supervisor = Supervisor(children(project, listener, base_url=base_url, jobs=jobs))
        release_leases(installation.records.messages, installation.clock.now())
        asked = asked_to_stop()
        supervisor.start()
        try:
            show_address(installation, base_url)
            supervisor.watch(asked.is_set)
        finally:
            supervisor.stop()
            listener.close()
    installation.close()


def address(settings: Settings, port: int) -> str:
    """How links begin: [door] base_url, or where we really listen."""
    return settings.door.base_url.rstrip("/") or f"http://{settings.door.host}:{port}"


def show_address(installation: Installation, base_url: str) -> None:
    """Print where the pages are, and a link that opens them once."""
    from mailwright.web.sessions import new_login_link

    link = new_login_link(installation.records.users, installation.wall, base_url, "owner")
    installation.records.meta.put(SERVED_AT, base_url)
    console.print(f"\nMailwright serves at [bold]{base_url}[/]. Log in once, within 15 minutes:\n")
    console.print(f"  [bold cyan]{link}[/]\n", soft_wrap=True)
    console.print("Ctrl-C stops it; `mailwright login` prints another link.")


def asked_to_stop() -> threading.Event:
    """Set from here on by SIGTERM and Ctrl-C, which end nothing by themselves any more."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked


def engine(project: ProjectOption = HERE) -> None:
    """The engine process (started by serve)."""
    from mailwright.runtime.engine.process import run_engine

    installation = open_installation(load_settings(project))
    run_engine(installation, stop_with_parent)


def door(
    project: ProjectOption = HERE,
    fd: Annotated[int, typer.Option(help="The listening socket that serve hands over.")] = -1,
    base_url: BaseUrl = "",
) -> None:
    """The door process (started by serve)."""
    from mailwright.web.serve import serve_door

    serve_door(open_installation(load_settings(project)), fd, base_url, stop_with_parent)


def sender(project: ProjectOption = HERE, base_url: BaseUrl = "") -> None:
    """The sender process (started by serve)."""
    from mailwright.runtime.sender import run_sender

    installation = open_installation(load_settings(project))
    run_sender(installation, base_url or installation.settings.base_url, stop_with_parent)


def worker(project: ProjectOption = HERE) -> None:
    """The worker process (started by serve): runs every job when it is due."""
    from mailwright.runtime.jobs.worker import run_worker

    os.nice(NICE)
    run_worker(open_installation(load_settings(project)), stop_with_parent)


def backfill(project: ProjectOption = HERE) -> None:
    """Fold the past of a new definition (started by the engine): the order on standard input, reports on the output."""
    from mailwright.runtime.engine.backfill import run_job

    os.nice(NICE)
    installation = open_installation(load_settings(project))
    run_job(sys.stdin.buffer, sys.stdout.buffer, installation.history, installation.blobs)
