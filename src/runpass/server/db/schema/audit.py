"""The audit trail: append-only, never a token."""

from sqlalchemy import Column, Index, String, Table, Uuid

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
    Index("ix_audit_events_organization_id_id", "organization_id", "id"),
)
