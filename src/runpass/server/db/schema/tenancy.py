"""Organizations, projects, environments."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text, text

from runpass.server.db.schema.columns import HIERARCHY, json_column, metadata, moment, own_id, reference

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
    Column("hierarchy", HIERARCHY, nullable=False, comment="ids from the root down to itself, joined by |"),
    json_column("policies"),
    moment("deleted_at", nullable=True),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_projects_organization_id_name", "organization_id", "name"),
    Index("ix_projects_organization_id_id", "organization_id", "id"),
    Index("ix_projects_organization_id_hierarchy", "organization_id", "hierarchy"),
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
    moment("lifespan_end_at", nullable=True),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_environments_project_id_name", "project_id", "name"),
    Index("ix_environments_project_id_id", "project_id", "id"),
    Index("ix_environments_organization_id_id", "organization_id", "id"),
    Index("ix_environments_organization_id_name", "organization_id", "name"),
    Index(
        "ix_environments_lifespan_end_at",
        "lifespan_end_at",
        sqlite_where=text("lifespan_end_at IS NOT NULL"),
        postgresql_where=text("lifespan_end_at IS NOT NULL"),
    ),
)
