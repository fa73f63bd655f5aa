"""The small Records ports: model registry, logins, definitions, facts about the installation."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mailwright.core.errors import Conflict
from mailwright.core.events import Defined
from mailwright.core.instants import Instant
from mailwright.core.ports import DefinitionVersion, ModelVersion
from mailwright.stores.records.database import Database
from mailwright.stores.records.outbox import add_to_outbox
from mailwright.stores.records.packing import pack_json, unpack_json
from mailwright.stores.records.schema import definition_version, login_link, meta, model_version, session


class SqlModels:
    """The ModelRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, version: ModelVersion) -> None:
        """See `mailwright.core.ports.ModelRecords.register`."""
        newest = sa.select(sa.func.max(model_version.c.version)).where(model_version.c.name == version.name)
        with self._database.write() as connection:
            due = (connection.execute(newest).scalar() or 0) + 1
            if version.version != due:
                raise Conflict(
                    "model.version",
                    f"version {version.version} of model {version.name} cannot be added: {due} is next",
                    hint="read the newest version and try again",
                )
            connection.execute(sa.insert(model_version), _model_row(version))

    def newest(self, name: str) -> ModelVersion | None:
        """See `mailwright.core.ports.ModelRecords.newest`."""
        query = sa.select(model_version).where(model_version.c.name == name).order_by(model_version.c.version.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).mappings().first()
        return _model(row) if row else None

    def all(self) -> list[ModelVersion]:
        """See `mailwright.core.ports.ModelRecords.all`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(model_version)).mappings().all()
        # Sorted here: databases differ in how they order text.
        return sorted((_model(row) for row in rows), key=lambda version: (version.name, version.version))


def _model_row(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "created_at": version.created_at,
        "kind": version.kind,
        "parameters": pack_json(version.parameters),
        "metrics": pack_json(version.metrics),
        "passed": version.passed,
        "gate": version.gate,
        "blob": version.blob,
        "data_hash": version.data_hash,
        "code_version": version.code_version,
    }


def _model(row: sa.RowMapping) -> ModelVersion:
    packed = {name: unpack_json(row[name]) for name in ("parameters", "metrics")}
    return ModelVersion(**{**row, **packed})


class SqlUsers:
    """The UserRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_login_link(self, token_hash: str, user: str, expires_at: Instant) -> None:
        """See `mailwright.core.ports.UserRecords.add_login_link`."""
        with self._database.write() as connection:
            row = {"token_hash": token_hash, "user": user, "expires_at": expires_at}
            connection.execute(sa.insert(login_link), row)

    def use_login_link(self, token_hash: str, now: Instant) -> str | None:
        """See `mailwright.core.ports.UserRecords.use_login_link`."""
        link = login_link.c
        usable = sa.and_(link.token_hash == token_hash, link.used_at.is_(None), link.expires_at > now)
        with self._database.write() as connection:
            user = connection.execute(sa.select(link.user).where(usable).with_for_update()).scalar()
            if user is not None:
                connection.execute(sa.update(login_link).where(link.token_hash == token_hash).values(used_at=now))
        return user

    def open_session(self, token_hash: str, user: str, expires_at: Instant) -> None:
        """See `mailwright.core.ports.UserRecords.open_session`."""
        with self._database.write() as connection:
            row = {"token_hash": token_hash, "user": user, "expires_at": expires_at}
            connection.execute(sa.insert(session), row)

    def session_user(self, token_hash: str, now: Instant) -> str | None:
        """See `mailwright.core.ports.UserRecords.session_user`."""
        live = sa.and_(session.c.token_hash == token_hash, session.c.expires_at > now)
        with self._database.read() as connection:
            return connection.execute(sa.select(session.c.user).where(live)).scalar()

    def close_session(self, token_hash: str) -> None:
        """See `mailwright.core.ports.UserRecords.close_session`."""
        with self._database.write() as connection:
            connection.execute(sa.delete(session).where(session.c.token_hash == token_hash))


class SqlDefinitions:
    """The DefinitionRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> DefinitionVersion | None:
        """See `mailwright.core.ports.DefinitionRecords.current`."""
        query = sa.select(definition_version).order_by(definition_version.c.version.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return _definition(row) if row else None

    def store(self, version: DefinitionVersion) -> None:
        """See `mailwright.core.ports.DefinitionRecords.store`; only the number after the newest can be added."""
        files = dict(version.files)
        row = {
            "version": version.version,
            "applied_at": version.applied_at,
            "digest": version.digest,
            "files": pack_json(files),
        }
        with self._database.write() as connection:
            due = (connection.execute(sa.select(sa.func.max(definition_version.c.version))).scalar() or 0) + 1
            if version.version != due:
                raise Conflict(
                    "definitions.version",
                    f"version {version.version} of the definitions cannot be added: {due} is next",
                    hint="somebody else applied meanwhile; look at the plan again",
                )
            connection.execute(sa.insert(definition_version), row)
            add_to_outbox(connection, [Defined(version.version, files)])

    def versions(self) -> list[DefinitionVersion]:
        """See `mailwright.core.ports.DefinitionRecords.versions`."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(definition_version).order_by(definition_version.c.version)).mappings()
            return [_definition(row) for row in rows]


def _definition(row: sa.RowMapping) -> DefinitionVersion:
    return DefinitionVersion(**{**row, "files": unpack_json(row["files"])})


class SqlMeta:
    """The MetaRecords port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        """See `mailwright.core.ports.MetaRecords.get`."""
        with self._database.read() as connection:
            return connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()

    def put(self, key: str, value: str) -> None:
        """See `mailwright.core.ports.MetaRecords.put`."""
        with self._database.write() as connection:
            self._database.upsert(connection, meta, [{"key": key, "value": value}])
