"""Which definition uses which event, property and trait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from mailwright.core.instants import Instant
from mailwright.core.ports import MetaRecords
from mailwright.core.schedules import Schedule
from mailwright.decisions.mail import parse_source
from mailwright.reports.data_map import Kind, Piece, data_map
from mailwright.rules.sugar import OWN_EVENTS
from mailwright.rules.uses import Uses, uses_of
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.references import mails
from mailwright.runtime.settings import Settings

Key = tuple[Kind, str]

_META = "data-map.newest"


class DataMap(msgspec.Struct, frozen=True, kw_only=True):
    """The data map as it was made at an instant."""

    at: Instant
    pieces: list[Piece]


def data_map_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """Making the data map, as a job."""
    del project, settings
    yield Job(name="data-map", title="makes the data map", schedule=Schedule(daily_at="05:00"), run=make_map)


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
    project = context.project
    return data_map(context.there.history, project.data_map, used(project), declared(project), context.now)


def used(project: Project) -> dict[Key, set[str]]:
    """Piece -> the definitions that use it, each in words: ``segment vip``."""
    found: dict[Key, set[str]] = {}
    for key, user in (*_by_rules(project), *_by_mails(project), *_by_models(project)):
        found.setdefault(key, set()).add(user)
    return {key: users for key, users in found.items() if key[0] != "event" or key[1] not in OWN_EVENTS}


def declared(project: Project) -> set[Key]:
    """Pieces that the tracking plan names."""
    plan = project.tracking_plan
    properties: set[Key] = {
        ("property", f"{event}.{name}") for event, one in plan.types().properties.items() for name in one
    }
    events: set[Key] = {("event", name) for name in plan.types().properties}
    traits: set[Key] = {("trait", name) for name in plan.types().traits}
    return events | properties | traits


def _by_rules(project: Project) -> Iterator[tuple[Key, str]]:
    named = {
        **{f"attribute {name}": node for name, node in project.expressions.items()},
        **{f"segment {name}": node for name, node in project.memberships.items()},
        **{name.replace(":", " ", 1): node for name, node in project.conditions.items()},
    }
    for user, node in named.items():
        for key in _keys(uses_of(node)):
            yield key, user


def _keys(uses: Uses) -> Iterator[Key]:
    yield from (("event", name) for name in uses.events)
    yield from (("property", f"{event}.{name}") for event, name in uses.properties)
    yield from (("trait", name) for name in uses.traits)


def _by_mails(project: Project) -> Iterator[tuple[Key, str]]:
    for placed in mails(project):
        user = "mail of " + placed.path.removesuffix(".yaml").replace("campaigns/", "campaign ").replace(
            "journeys/", "journey "
        )
        for _, mail in placed.sent():
            for variable in mail.variables.values():
                source = parse_source(variable.source)
                if source.kind == "trait":
                    yield ("trait", source.path.partition(".")[0]), user


def _by_models(project: Project) -> Iterator[tuple[Key, str]]:
    for name, model in project.models.items():
        yield ("event", model.event), f"model {name}"
        yield ("property", f"{model.event}.{model.items.partition('.')[0]}"), f"model {name}"
