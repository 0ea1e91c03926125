"""Deployment credentials and their assignment to projects."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, UniqueConstraint

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

credentials = Table(
    "credentials",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("project_id", "projects.id", nullable=True, index=True),
    Column("name", String(255), nullable=False),
    Column("type", String(64), nullable=False),
    json_column("value"),
    Column("secret_sealed", LargeBinary, nullable=True, comment="the secret fields of the value, encrypted"),
    json_column("recorded", nullable=True),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_credentials_organization_id_name", "organization_id", "name"),
    Index("ix_credentials_organization_id_id", "organization_id", "id"),
)

credential_assignments = Table(
    "credential_assignments",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("credential_id", "credentials.id"),
    reference("project_id", "projects.id", index=True),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    UniqueConstraint("credential_id", "project_id"),
)
