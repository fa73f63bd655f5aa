"""Sources: write keys out of the small facts, what each source brought, and what is held back."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables and bring the keys over."""
    _create_sources()
    _create_refused()
    _move_keys()


def _create_sources() -> None:
    op.create_table(
        "write_key",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "source_seen",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_minute", sa.BigInteger(), nullable=False),
        sa.Column("last_minute", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "source_minute",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "minute"),
    )
    op.create_table(
        "source_note",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_refused() -> None:
    op.create_table(
        "violation",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "source", "event", "field", "kind"),
    )
    op.create_table(
        "not_taken",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "quarantined",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("history", sa.Boolean(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("quarantined_once", "quarantined", ["source", "message_id"], unique=True)
    op.create_index("quarantined_received", "quarantined", ["received_at"])


_meta = sa.table("meta", sa.column("key", sa.Text), sa.column("value", sa.Text))
_keys = sa.table(
    "write_key",
    sa.column("digest", sa.Text),
    sa.column("name", sa.Text),
    sa.column("kind", sa.Text),
    sa.column("client", sa.Text),
    sa.column("public_key", sa.Text),
    sa.column("created_at", sa.BigInteger),
)


def _move_keys() -> None:
    connection, ours = op.get_bind(), _meta.c.key.like("source.%")
    for key, value in connection.execute(sa.select(_meta.c.key, _meta.c.value).where(ours)).all():
        told = json.loads(value)
        created = datetime.fromisoformat(told["created"])
        row = {
            "digest": key.removeprefix("source."),
            "name": told["name"],
            "kind": told["kind"],
            "client": "",
            "public_key": "",
            "created_at": round(created.timestamp() * 1_000_000),
        }
        connection.execute(sa.insert(_keys).values(row))
    connection.execute(sa.delete(_meta).where(ours))
