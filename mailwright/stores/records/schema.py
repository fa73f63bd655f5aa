"""The tables of Records.

Columns named ``*_at`` are instants (int microseconds UTC). `mailwright/stores/migrations` brings a database to this
shape; a test holds the two together. Nothing here is special to SQLite: PostgreSQL gets the same tables.
"""

from __future__ import annotations

import sqlalchemy as sa

# SQLite numbers rows by itself only in an INTEGER primary key; other databases need the 64 bits in the type.
RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

tables = sa.MetaData()

meta = sa.Table(
    "meta",
    tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# One row, id 1. Every engine transaction reads `epoch` under the write lock before it writes anything.
engine_state = sa.Table(
    "engine_state",
    tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("applied", sa.BigInteger, nullable=False),
)

journey_run = sa.Table(
    "journey_run",
    tables,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("journey", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("person", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("ended", sa.Text),
    sa.Column("ended_at", sa.BigInteger),
    sa.Index("journey_run_due", "journey", "ended", "due_at"),
    sa.Index("journey_run_person", "journey", "person", "started_at"),
)

transition = sa.Table(
    "transition",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("person", sa.BigInteger, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("entered", sa.Boolean, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Index("transition_person", "person"),
)

occurrence = sa.Table(
    "occurrence",
    tables,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("occurrence", sa.Text, primary_key=True),
)

# Rows stay small so that claims and counts read little; what is big lies in message_content.
message = sa.Table(
    "message",
    tables,
    sa.Column("seq", RowId, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("send_key", sa.Text, nullable=False, unique=True),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("occurrence", sa.Text, nullable=False),
    sa.Column("person", sa.BigInteger, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("queued_at", sa.BigInteger, nullable=False),
    sa.Column("send_by_at", sa.BigInteger, nullable=False),
    sa.Column("not_before_at", sa.BigInteger, nullable=False),
    sa.Column("finished_at", sa.BigInteger),
    sa.Column("reason", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("experiment", sa.Text),
    sa.Column("variant", sa.Text),
    sa.Column("p_variant", sa.Double),
    sa.Column("template_version", sa.Text),
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", sa.BigInteger),
    sa.Index("message_state", "state", "queued_at", "seq"),
    sa.Index("message_person", "person", "seq"),
    sa.Index("message_origin", "origin", "seq"),
)

message_content = sa.Table(
    "message_content",
    tables,
    sa.Column("seq", RowId, sa.ForeignKey("message.seq"), primary_key=True, autoincrement=False),
    sa.Column("decision", sa.LargeBinary),
    sa.Column("body", sa.LargeBinary),
)

# An id is never used again: `done` of a slow reader must not remove a newer row that got the id of one already gone.
outbox = sa.Table(
    "outbox",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

consent = sa.Table(
    "consent",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("address_hash", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("wording", sa.Text, nullable=False),
    sa.Index("consent_address", "address_hash", "purpose", "at", "id"),
)

opt_in = sa.Table(
    "opt_in",
    tables,
    sa.Column("seq", RowId, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("form", sa.Text, nullable=False),
    sa.Column("address_hash", sa.Text, nullable=False),
    sa.Column("address", sa.LargeBinary, nullable=False),
    sa.Column("purposes", sa.LargeBinary, nullable=False),
    sa.Column("identifier", sa.Text, nullable=False),
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("asked_ip", sa.LargeBinary),
    sa.Column("asked_agent", sa.Text, nullable=False),
    sa.Column("wording_version", sa.Integer, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("confirmed_at", sa.BigInteger),
    sa.Column("confirmed_ip", sa.LargeBinary),
    sa.Column("confirmed_agent", sa.Text, nullable=False),
    sa.Column("mailbox_hash", sa.Text, nullable=False, server_default=""),
    sa.Index("opt_in_address", "address_hash", "asked_at"),
    sa.Index("opt_in_mailbox", "mailbox_hash", "asked_at"),
)

form_tags = sa.Table(
    "form_tags",
    tables,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("tags", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)

suppression = sa.Table(
    "suppression",
    tables,
    sa.Column("address_hash", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

model_version = sa.Table(
    "model_version",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("parameters", sa.LargeBinary, nullable=False),
    sa.Column("metrics", sa.LargeBinary, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("gate", sa.Text, nullable=False),
    sa.Column("blob", sa.Text),
    sa.Column("data_hash", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
)

login_link = sa.Table(
    "login_link",
    tables,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
)

session = sa.Table(
    "session",
    tables,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

definition_version = sa.Table(
    "definition_version",
    tables,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied_at", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("files", sa.LargeBinary, nullable=False),
)

finding = sa.Table(
    "finding",
    tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("monitor", sa.Text, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("resolved_at", sa.BigInteger),
    sa.Column("alerted_at", sa.BigInteger),
    sa.Column("told", sa.LargeBinary, nullable=False),
)

# --- sources ---

write_key = sa.Table(
    "write_key",
    tables,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("client", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

assertion_used = sa.Table(
    "assertion_used",
    tables,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False),
)

source_seen = sa.Table(
    "source_seen",
    tables,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("first_minute", sa.BigInteger, nullable=False),
    sa.Column("last_minute", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
)

source_minute = sa.Table(
    "source_minute",
    tables,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, nullable=False),
)

source_day = sa.Table(
    "source_day",
    tables,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.BigInteger, nullable=False),
)

violation = sa.Table(
    "violation",
    tables,
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event", sa.Text, primary_key=True),
    sa.Column("field", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("example", sa.Text, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
)

not_taken = sa.Table(
    "not_taken",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

source_note = sa.Table(
    "source_note",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

quarantined = sa.Table(
    "quarantined",
    tables,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("source_kind", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("reasons", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("history", sa.Boolean, nullable=False),
    sa.Column("imported", sa.Boolean, nullable=False),
    sa.Index("quarantined_once", "source", "message_id", unique=True),
    sa.Index("quarantined_received", "received_at"),
    sqlite_autoincrement=True,  # a page or a command may still name one that is gone: it must not mean another
)

# Keys are digests of what was signed, and hashes of delivery ids: no one's data.
webhook_delivery = sa.Table(
    "webhook_delivery",
    tables,
    sa.Column("webhook", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("webhook_delivery_at", "at"),
)

webhook_tally = sa.Table(
    "webhook_tally",
    tables,
    sa.Column("webhook", sa.Text, primary_key=True),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("ignored", sa.BigInteger, nullable=False),
    sa.Column("replayed", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("last_fault", sa.Text, nullable=False),
)

# `told` holds nothing personal: of an answer about a person only that there was one is kept here.
lookup_answer = sa.Table(
    "lookup_answer",
    tables,
    sa.Column("lookup", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("found", sa.Boolean, nullable=False),
    sa.Column("told", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Index("lookup_answer_at", "lookup", "at"),
)

# Keys and digests are hashed with the installation's key; what `kept` holds of a person is sealed.
posted_row = sa.Table(
    "posted_row",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("kept", sa.LargeBinary, nullable=False),
)
