"""Templates ("blueprints") and the projects they are attached to."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text, UniqueConstraint

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

templates = Table(
    "templates",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("type", String(32), nullable=False),
    json_column("source"),
    Column("is_deleted", Boolean, nullable=False, default=False),
    Column("is_single_use", Boolean, nullable=False, default=False),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_templates_organization_id_name", "organization_id", "name"),
    Index("ix_templates_organization_id_id", "organization_id", "id"),
)

template_projects = Table(
    "template_projects",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("template_id", "templates.id"),
    reference("project_id", "projects.id", index=True),
    UniqueConstraint("template_id", "project_id"),
)
