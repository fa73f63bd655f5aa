"""All Records ports over one SQL database: SQLite by default, PostgreSQL by its address."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from mailwright.stores.migrations import bring_up_to_date
from mailwright.stores.records.consents import SqlConsents
from mailwright.stores.records.database import Database
from mailwright.stores.records.engine import SqlEngine
from mailwright.stores.records.findings import SqlFindings
from mailwright.stores.records.form_tags import SqlTags
from mailwright.stores.records.messages import SqlMessages
from mailwright.stores.records.opt_ins import SqlOptIns
from mailwright.stores.records.outbox import SqlOutbox
from mailwright.stores.records.outside import SqlLookups, SqlWebhooks
from mailwright.stores.records.posted import SqlPosted
from mailwright.stores.records.quarantine import SqlQuarantine
from mailwright.stores.records.small import SqlDefinitions, SqlMeta, SqlModels, SqlUsers
from mailwright.stores.records.sources import SqlSources


class SqlRecords:
    """The Records port. Safe to use from many threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.engine = SqlEngine(database)
        self.messages = SqlMessages(database)
        self.consents = SqlConsents(database)
        self.opt_ins = SqlOptIns(database)
        self.tags = SqlTags(database)
        self.outbox = SqlOutbox(database)
        self.models = SqlModels(database)
        self.users = SqlUsers(database)
        self.definitions = SqlDefinitions(database)
        self.meta = SqlMeta(database)
        self.findings = SqlFindings(database)
        self.sources = SqlSources(database)
        self.quarantine = SqlQuarantine(database)
        self.webhooks = SqlWebhooks(database)
        self.lookups = SqlLookups(database)
        self.posted = SqlPosted(database)

    @classmethod
    def open(cls, path_or_url: Path | str) -> SqlRecords:
        """Open a database, making or upgrading its tables if need be.

        Args:
            path_or_url: The path of a SQLite file, or an SQLAlchemy address such as ``postgresql+psycopg://...``.

        Raises:
            Permanent: If a newer Mailwright made the database, or SQLite is too old to be safe.
            Corrupt: If the file is damaged or no database.
        """
        database = Database(path_or_url)
        try:
            bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def __enter__(self) -> SqlRecords:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """See `mailwright.core.ports.Records.close`."""
        self._database.close()
