"""The number of an item that was held back never comes again."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On SQLite, make the table anew; PostgreSQL repeats no number as it is."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("quarantined", recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass
