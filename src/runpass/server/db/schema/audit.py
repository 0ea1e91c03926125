"""The audit trail: append-only, hash-chained, never a token.

Triggers of the migrations refuse to change an event, and to delete one that no checkpoint covers.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, String, Table, Uuid

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id

audit_events = Table(
    "audit_events",
    metadata,
    own_id(),
    moment("at"),
    Column("organization_id", Uuid, nullable=True, comment="no foreign key: the trail outlives what it speaks of"),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject_kind", String(32), nullable=False),
    Column("subject_id", String(255), nullable=False),
    json_column("detail"),
    Column("chain", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Index("uq_audit_events_chain_seq", "chain", "seq", unique=True),
    Index("ix_audit_events_chain_action_seq", "chain", "action", "seq"),
    Index("ix_audit_events_chain_subject_id_seq", "chain", "subject_id", "seq"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("chain", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""The last event of each chain; whoever appends to a chain holds its row until the commit."""

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("chain", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    moment("at"),
    Column("actor", String(255), nullable=False),
    Column("events", BigInteger, nullable=False),
    PrimaryKeyConstraint("chain", "seq"),
)
"""Where a chain was pruned: `seq` and `hash` are those of the last event that was deleted, `events` how many were."""
