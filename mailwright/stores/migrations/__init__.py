"""The shape of the Records database over time, by Alembic.

A migration is a file in ``versions``, never changed once released. `HEAD` names the newest, so that opening a
database that is up to date, as nearly always, loads no Alembic.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from mailwright.core.errors import Permanent
from mailwright.stores.records.database import Database

HEAD = "0011"
FOLDER = Path(__file__).parent

_version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def bring_up_to_date(database: Database) -> None:
    """Make or upgrade the tables in one transaction; several processes may call it at once.

    Raises:
        Permanent: If a newer Mailwright made the database.
    """
    with database.read() as connection:
        if _revision(connection) == HEAD:
            return
    with database.write() as connection:
        revision = _revision(connection)
        if revision is not None and revision > HEAD:
            raise Permanent(
                "records.too_new",
                f"{database.name} has schema {revision}, made by a newer Mailwright; this one knows up to {HEAD}",
                hint="install the newer Mailwright again",
            )
        if revision != HEAD:
            _upgrade(connection)


def _revision(connection: sa.Connection) -> str | None:
    """The migration that the database has reached; None for an empty one."""
    if not sa.inspect(connection).has_table(_version.name):
        return None
    return connection.execute(sa.select(_version.c.version_num)).scalar()


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # loaded here alone: it costs a quarter of a second
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.upgrade(config, "head")
