"""Run by Alembic: migrates over the connection that the caller opened, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from mailwright.stores.records.schema import tables

connection = context.config.attributes["connection"]
# SQLite can hardly alter a table: Alembic then makes a new one and copies.
context.configure(connection=connection, target_metadata=tables, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
