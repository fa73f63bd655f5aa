"""What the engine keeps: epoch, applied ticks, journey runs, occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from mailwright.core.commits import JourneyRun, TickCommit
from mailwright.core.errors import Conflict
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.stores.records.database import Database, parts
from mailwright.stores.records.messages import cancel, queue
from mailwright.stores.records.schema import engine_state, journey_run, occurrence, transition


class SqlEngine:
    """The EngineRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_over(self) -> int:
        """See `mailwright.core.ports.EngineRecords.take_over`."""
        with self._database.write() as connection:
            self._database.insert_new(connection, engine_state, [{"id": 1, "epoch": 0, "applied": 0}])
            connection.execute(sa.update(engine_state).values(epoch=engine_state.c.epoch + 1))
            epoch: int = connection.execute(sa.select(engine_state.c.epoch)).scalar_one()
        return epoch

    def applied(self) -> Offset:
        """See `mailwright.core.ports.EngineRecords.applied`."""
        with self._database.read() as connection:
            return Offset(connection.execute(sa.select(engine_state.c.applied)).scalar() or 0)

    def commit_tick(self, epoch: int, commit: TickCommit) -> None:
        """See `mailwright.core.ports.EngineRecords.commit_tick`."""
        with self._database.write() as connection:
            state = connection.execute(sa.select(engine_state).with_for_update()).mappings().first()
            newest = 0 if state is None else state["epoch"]
            if state is None or epoch != newest:
                raise _taken_over(epoch, newest)
            if commit.offset > state["applied"]:
                self._write_effects(connection, commit)
                connection.execute(sa.update(engine_state).values(applied=commit.offset))

    def due_runs(self, journey: str, at: Instant) -> list[JourneyRun]:
        """See `mailwright.core.ports.EngineRecords.due_runs`."""
        run = journey_run.c
        due = sa.and_(run.journey == journey, run.ended.is_(None), run.due_at <= at)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(journey_run).where(due)).mappings().all()
        return sorted((_run(row) for row in rows), key=lambda found: (found.due_at or 0, found.run_id))

    def open_runs(self, journey: str, persons: Sequence[Person] | None) -> list[JourneyRun]:
        """See `mailwright.core.ports.EngineRecords.open_runs`; by run_id."""
        run = journey_run.c
        wanted = sa.and_(run.journey == journey, run.ended.is_(None))
        asked = [wanted] if persons is None else [sa.and_(wanted, run.person.in_(part)) for part in parts(persons)]
        found: list[JourneyRun] = []
        with self._database.read() as connection:
            for condition in asked:
                found += map(_run, connection.execute(sa.select(journey_run).where(condition)).mappings())
        return sorted(found, key=lambda one: one.run_id)

    def last_runs(self, journey: str, persons: Sequence[Person]) -> dict[Person, Instant]:
        """See `mailwright.core.ports.EngineRecords.last_runs`; people without a run are left out."""
        run = journey_run.c
        found: dict[Person, Instant] = {}
        newest = sa.func.max(run.started_at).label("started_at")
        with self._database.read() as connection:
            for part in parts(persons):
                wanted = sa.and_(run.journey == journey, run.person.in_(part))
                rows = connection.execute(sa.select(run.person, newest).where(wanted).group_by(run.person))
                found.update((Person(row.person), Instant(row.started_at)) for row in rows)
        return found

    def last_occurrence(self, campaign: str) -> str | None:
        """See `mailwright.core.ports.EngineRecords.last_occurrence`."""
        query = sa.select(sa.func.max(occurrence.c.occurrence)).where(occurrence.c.campaign == campaign)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def _write_effects(self, connection: sa.Connection, commit: TickCommit) -> None:
        queue(self._database, connection, commit.requests)
        self._database.upsert(connection, journey_run, [asdict(run) for run in commit.runs])
        if commit.transitions:
            connection.execute(sa.insert(transition), [asdict(change) for change in commit.transitions])
        started = [{"campaign": campaign, "occurrence": when} for campaign, when in commit.occurrences]
        self._database.insert_new(connection, occurrence, started)
        cancel(connection, commit.cancelled, commit.at)


def _taken_over(epoch: int, newest: int) -> Conflict:
    return Conflict(
        "engine.epoch",
        f"this engine has epoch {epoch}, but the newest is {newest}: another engine has taken over",
        hint="stop this engine",
    )


def _run(row: sa.RowMapping) -> JourneyRun:
    return JourneyRun(**row)
