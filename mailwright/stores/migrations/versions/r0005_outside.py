"""Deliveries of webhooks, and answers of services outside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhook_delivery",
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "key"),
    )
    op.create_index("webhook_delivery_at", "webhook_delivery", ["at"])
    op.create_table(
        "webhook_tally",
        sa.Column("webhook", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("received", "accepted", "refused", "ignored", "replayed", "last_at")
        ),
        sa.Column("last_fault", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("webhook"),
    )
    op.create_table(
        "lookup_answer",
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lookup", "key"),
    )
    op.create_index("lookup_answer_at", "lookup_answer", ["lookup", "at"])
