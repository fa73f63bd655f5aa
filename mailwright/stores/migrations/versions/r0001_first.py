"""The first shape of Records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table of an empty database."""
    _create_engine()
    _create_messages()
    _create_people()
    _create_definitions()


def _create_engine() -> None:
    op.create_table(
        "engine_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "journey_run",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("ended", sa.Text()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("journey_run_due", "journey_run", ["journey", "ended", "due_at"])
    op.create_index("journey_run_person", "journey_run", ["journey", "person", "started_at"])
    op.create_table(
        "transition",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("transition_person", "transition", ["person"])
    op.create_table(
        "occurrence",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "occurrence"),
    )


def _create_messages() -> None:
    op.create_table(
        "message",
        sa.Column("seq", ROW_ID, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("send_key", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Text(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("send_by_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("experiment", sa.Text()),
        sa.Column("variant", sa.Text()),
        sa.Column("p_variant", sa.Double()),
        sa.Column("template_version", sa.Text()),
        sa.Column("worker", sa.Text()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("send_key"),
    )
    op.create_index("message_origin", "message", ["origin", "seq"])
    op.create_index("message_person", "message", ["person", "seq"])
    op.create_index("message_state", "message", ["state", "queued_at", "seq"])
    op.create_table(
        "message_content",
        sa.Column("seq", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("decision", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["seq"], ["message.seq"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _create_people() -> None:
    op.create_table(
        "consent",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_address", "consent", ["address_hash", "purpose", "at", "id"])
    op.create_table(
        "suppression",
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_hash"),
    )
    op.create_table(
        "login_link",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )


def _create_definitions() -> None:
    op.create_table(
        "definition_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "model_version",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parameters", sa.LargeBinary(), nullable=False),
        sa.Column("metrics", sa.LargeBinary(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("blob", sa.Text()),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
