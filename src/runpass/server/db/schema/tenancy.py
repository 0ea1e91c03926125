"""Organizations, projects, environments."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

organizations = Table(
    "organizations",
    metadata,
    own_id(),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    Column("oidc_sub", String(255), nullable=False, unique=True),
    Column("enable_oidc", Boolean, nullable=False, default=False),
    Column("allow_clear_text_vault", Boolean, nullable=False, default=False),
    json_column("policies"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
)

projects = Table(
    "projects",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("parent_project_id", "projects.id", nullable=True, index=True),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False, default=""),
    json_column("tags"),
    Column("is_archived", Boolean, nullable=False, default=False),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_projects_organization_id_name", "organization_id", "name"),
)

environments = Table(
    "environments",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("project_id", "projects.id"),
    reference("template_id", "templates.id", nullable=True, index=True),
    Column("name", String(255), nullable=False),
    Column("workspace_name", String(255), nullable=False),
    Column("status", String(32), nullable=False),
    Column("is_archived", Boolean, nullable=False, default=False),
    json_column("settings"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_environments_project_id_name", "project_id", "name"),
    Index("ix_environments_organization_id", "organization_id"),
)
