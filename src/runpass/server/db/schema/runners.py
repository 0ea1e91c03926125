"""Pools, join tokens, runners."""

from sqlalchemy import Column, Integer, LargeBinary, String, Table, UniqueConstraint

from runpass.server.db.schema.columns import metadata, moment, own_id, reference

runner_pools = Table(
    "runner_pools",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("name", String(64), nullable=False),
    moment("created_at"),
    UniqueConstraint("organization_id", "name"),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id", index=True),
    reference("pool_id", "runner_pools.id"),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("uses_left", Integer, nullable=False),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("expires_at"),
)

runners = Table(
    "runners",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id", index=True),
    reference("pool_id", "runner_pools.id"),
    reference("bound_project_id", "projects.id", nullable=True),
    Column("name", String(255), nullable=False),
    Column("version", String(64), nullable=False),
    Column("isolation", String(32), nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("key_sha256", LargeBinary(32), nullable=False, unique=True),
    moment("created_at"),
    moment("last_seen_at"),
    moment("revoked_at", nullable=True),
)
