"""Deployments, their steps and logs, the run leases that runners hold on them, and what was asked for already."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

OCCUPYING = "status IN ('IN_PROGRESS', 'WAITING_FOR_USER', 'APPROVED', 'ABORTING')"
"""While a deployment is in one of these, no other of its environment may run: the partial unique index says so."""

WAITING = "status IN ('QUEUED', 'APPROVED')"
"""What a runner can take: deployments that have not begun, and those whose plan was approved."""

REFUSED = "refusal IS NOT NULL"
"""Of deployments whose run did not get its secrets."""

LIVE = "ended_at IS NULL"

deployments = Table(
    "deployments",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("project_id", "projects.id"),
    reference("environment_id", "environments.id"),
    reference("template_id", "templates.id"),
    reference("pool_id", "runner_pools.id"),
    Column("type", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("phase", String(16), nullable=False, comment="what a runner that takes it now would do"),
    Column("requires_approval", Boolean, nullable=False),
    Column("trigger_name", String(32), nullable=False),
    Column("started_by", String(255), nullable=False),
    Column("comment", Text, nullable=False, default=""),
    Column("revision", String(255), nullable=False, default=""),
    Column("repository", String(2048), nullable=False, default=""),
    Column("timeout_seconds", Float, nullable=False),
    Column(
        "inputs_sealed",
        LargeBinary,
        nullable=False,
        comment="commands and variables as they were when it was queued, encrypted",
    ),
    Column("error", Text, nullable=True),
    Column("failed_step", String(128), nullable=True),
    json_column("refusal", nullable=True),
    json_column("leaks", nullable=True),
    Column("outputs_sealed", LargeBinary, nullable=True, comment="what the run gave back, encrypted"),
    Column("reviewed_by", String(255), nullable=True),
    Column("log_bytes", BigInteger, nullable=False, default=0),
    moment("queued_at"),
    moment("started_at", nullable=True),
    moment("finished_at", nullable=True),
    moment("reviewed_at", nullable=True),
    Index(
        "uq_deployments_one_at_a_time",
        "environment_id",
        unique=True,
        sqlite_where=text(OCCUPYING),
        postgresql_where=text(OCCUPYING),
    ),
    Index(
        "ix_deployments_queue",
        "pool_id",
        "id",
        sqlite_where=text(WAITING),
        postgresql_where=text(WAITING),
    ),
    Index("ix_deployments_environment_id_id", "environment_id", "id"),
    Index(
        "ix_deployments_with_outputs",
        "environment_id",
        "id",
        sqlite_where=text("outputs_sealed IS NOT NULL"),
        postgresql_where=text("outputs_sealed IS NOT NULL"),
    ),
    Index("ix_deployments_project_id_id", "project_id", "id"),
    Index(
        "ix_deployments_refused",
        "project_id",
        "id",
        sqlite_where=text(REFUSED),
        postgresql_where=text(REFUSED),
    ),
)

deployment_steps = Table(
    "deployment_steps",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("deployment_id", "deployments.id"),
    Column("name", String(128), nullable=False),
    Column("order", Integer, nullable=False),
    Column("status", String(32), nullable=False),
    moment("started_at", nullable=True),
    moment("completed_at", nullable=True),
    UniqueConstraint("deployment_id", "name"),
)

deployment_log_events = Table(
    "deployment_log_events",
    metadata,
    Column("deployment_id", Uuid, ForeignKey("deployments.id", ondelete="RESTRICT"), primary_key=True),
    Column("step", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    moment("at"),
    Column("level", String(16), nullable=False),
    Column("message", Text, nullable=False),
)

run_leases = Table(
    "run_leases",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("deployment_id", "deployments.id"),
    reference("runner_id", "runners.id"),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("fencing_token", Integer, nullable=False),
    Column("id_token_sha256", LargeBinary(32), nullable=True, comment="of what the job asks for identity tokens with"),
    Column("tokens_minted", Integer, nullable=False, default=0),
    moment("taken_at"),
    moment("expires_at"),
    moment("ended_at", nullable=True),
    moment("spoken_at", nullable=True),
    Index("uq_run_leases_live", "deployment_id", unique=True, sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
    Index("ix_run_leases_live_expires_at", "expires_at", sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
    Index("ix_run_leases_live_runner_id", "runner_id", sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
    UniqueConstraint("deployment_id", "fencing_token"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("actor", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False, comment="SHA-256 of method, path and body"),
    reference("environment_id", "environments.id"),
    reference("deployment_id", "deployments.id", nullable=True),
    moment("created_at"),
    UniqueConstraint("organization_id", "actor", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
    Index("ix_idempotency_keys_deployment_id", "deployment_id"),
)

organization_usage = Table(
    "organization_usage",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id", ondelete="RESTRICT"), primary_key=True),
    Column("log_bytes", BigInteger, nullable=False, comment="of deployments that ended"),
)
