"""What runners are asked to do at Vaults outside of runs."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, Uuid, text

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

vault_tasks = Table(
    "vault_tasks",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("pool_id", "runner_pools.id"),
    reference("project_id", "projects.id"),
    Column("credential_id", Uuid(), nullable=False),
    reference("runner_id", "runners.id", nullable=True),
    json_column("paths"),
    json_column("checks", nullable=True),
    Column("secret_sha256", LargeBinary(32), nullable=True),
    Column("requested_by", String(255), nullable=False),
    moment("created_at"),
    moment("taken_at", nullable=True),
    moment("finished_at", nullable=True),
    Index(
        "ix_vault_tasks_queue",
        "pool_id",
        "id",
        sqlite_where=text("taken_at IS NULL"),
        postgresql_where=text("taken_at IS NULL"),
    ),
    Index("ix_vault_tasks_organization_id", "organization_id", "id"),
)
