"""Opt-ins by mailbox, whatever way its address is written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; older opt-ins have none and are counted by their address."""
    op.add_column("opt_in", sa.Column("mailbox_hash", sa.Text(), nullable=False, server_default=""))
    op.create_index("opt_in_mailbox", "opt_in", ["mailbox_hash", "asked_at"])
