"""API keys."""

from sqlalchemy import Column, Index, LargeBinary, String, Table

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
