"""API keys, and sessions of the console."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table, Uuid

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

api_keys = Table(
    "api_keys",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("name", String(255), nullable=False),
    Column("api_key_id", String(64), nullable=False, unique=True),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("organization_role", String(64), nullable=False),
    json_column("project_roles"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("last_used_at", nullable=True),
    Index("ix_api_keys_organization_id_id", "organization_id", "id"),
)

console_sessions = Table(
    "console_sessions",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    # SECURITY: the database itself ends the sessions of a key with the key, whoever deletes it.
    Column("api_key_id", Uuid(), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("address", String(64), nullable=False),
    moment("created_at"),
    moment("last_seen_at"),
    moment("expires_at"),
    moment("ends_at"),
    Index("ix_console_sessions_api_key_id_id", "api_key_id", "id"),
    Index("ix_console_sessions_ends_at", "ends_at"),
)
"""`ends_at` is when it ends if no further page is asked for, and never after `expires_at`."""
