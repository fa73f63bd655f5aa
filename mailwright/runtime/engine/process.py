"""The engine process: composed, locked, served."""

from __future__ import annotations

from collections.abc import Callable

from mailwright.runtime.collector import calm
from mailwright.runtime.engine.backfill import ChildJob
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.loop import Engine, Pace
from mailwright.runtime.engine.socket import EngineServer
from mailwright.runtime.engine.sql_segments import SqlSegments
from mailwright.runtime.installation import Installation, only_one


def run_engine(installation: Installation, on_ready: Callable[[Callable[[], None]], None]) -> None:
    """Run the engine of an installation until it is stopped.

    Args:
        installation: Where.
        on_ready: Called once with the function that stops it.

    Raises:
        Conflict: If an engine already runs here.
    """
    settings = installation.settings
    folder = settings.data_folder
    with only_one(folder / "engine.lock", "an engine"):
        engine = Engine(
            log=installation.log,
            records=installation.records,
            history=HistoryWriter(installation.history),
            blobs=installation.blobs,
            clock=installation.clock,
            append_ticks=settings.clock.kind == "system",
            pace=Pace(
                checkpoint_s=settings.engine.checkpoint_s,
                checkpoint_events=settings.engine.checkpoint_events,
                history_s=settings.engine.history_s,
            ),
            backfill=lambda order, tell: ChildJob(settings.folder, order, tell),
            watch=installation.clock_watch(),
            sql_segments=SqlSegments(
                history=installation.history,
                log=installation.log,
                meta=installation.records.meta,
                clock=installation.clock,
                inline=settings.clock.kind == "virtual",
            ),
        )
        server = EngineServer(engine, folder / "engine.sock")
        on_ready(engine.stop)
        calm()
        try:
            engine.run()
        finally:
            server.close()
