"""Making the data map, as a job."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mailwright.core.instants import Instant
from mailwright.core.ports import MetaRecords
from mailwright.core.schedules import Schedule
from mailwright.reports.data_map import Piece, data_map
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.quality.uses import declared, uses
from mailwright.runtime.settings import Settings

_META = "data-map.newest"


class DataMap(msgspec.Struct, frozen=True, kw_only=True):
    """The data map as it was made at an instant."""

    at: Instant
    pieces: list[Piece]


def data_map_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """Making the data map, as a job."""
    del project, settings
    yield Job(name="data-map", title="Make the data map", schedule=Schedule(daily_at="05:00"), run=make_map)


def newest_map(meta: MetaRecords) -> DataMap | None:
    """The newest data map; None before the first."""
    told = meta.get(_META)
    return None if told is None else msgspec.json.decode(told, type=DataMap)


def make_map(context: JobContext) -> str:
    """Make the data map and keep it."""
    made = DataMap(at=context.now, pieces=map_of(context))
    context.there.records.meta.put(_META, msgspec.json.encode(made).decode())
    return f"{len(made.pieces)} pieces, {sum(piece.unused for piece in made.pieces)} of them unused"


def map_of(context: JobContext) -> list[Piece]:
    """The data map of an installation, under the definitions that were applied last."""
    project, used = context.project, uses(context.project)
    named = {*declared(project), *used.named}
    with context.there.history.session() as asked:
        return data_map(asked, project.data_map, used.of, named, context.now)
