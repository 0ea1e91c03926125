"""Identity tokens that were minted for runs, and the logins at Vaults that they were meant for."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid, text

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

OPEN = "settled_at IS NULL"
"""While it is not known that no token of a login lives any more."""
DUE = "sweep_after IS NOT NULL"

identity_tokens = Table(
    "identity_tokens",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("deployment_id", "deployments.id"),
    reference("run_lease_id", "run_leases.id"),
    Column("jti", String(64), nullable=False),
    Column("audience", String(2048), nullable=False),
    moment("minted_at"),
    moment("expires_at"),
    Index("ix_identity_tokens_organization_id_expires_at", "organization_id", "expires_at"),
    Index("ix_identity_tokens_expires_at", "expires_at"),
    Index("ix_identity_tokens_organization_id_jti", "organization_id", "jti"),
    Index("ix_identity_tokens_deployment_id", "deployment_id"),
    Index("ix_identity_tokens_run_lease_id", "run_lease_id"),
)
"""Tokens that jobs hold; forgotten once they have expired."""

vault_logins = Table(
    "vault_logins",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    reference("project_id", "projects.id"),
    reference("environment_id", "environments.id"),
    reference("pool_id", "runner_pools.id"),
    reference("deployment_id", "deployments.id"),
    reference("run_lease_id", "run_leases.id"),
    Column("credential_id", Uuid(), nullable=False),
    Column("credential_name", String(255), nullable=False),
    Column("address", String(2048), nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("mount", String(255), nullable=False),
    Column("role_name", String(255), nullable=False),
    Column("jti", String(64), nullable=False),
    moment("intended_at"),
    Column("kid", String(64), nullable=True, comment="of the key that signed the identity token"),
    Column("claims", Text, nullable=True, comment="what the identity token says: the JSON that was signed"),
    Column("first_ttl_seconds", Integer, nullable=True, comment="of the role, as vault apply recorded it"),
    moment("reported_at", nullable=True),
    Column("gave_token", Boolean, nullable=True),
    Column("accessor_sealed", LargeBinary, nullable=True, comment="the token's accessor, encrypted"),
    Column("ttl_seconds", Integer, nullable=True, comment="0: the token does not expire"),
    Column("renewable", Boolean, nullable=False, default=False),
    json_column("policies", nullable=True),
    Column("renewals", Integer, nullable=True),
    moment("lives_until", nullable=True),
    Column("ended", String(16), nullable=True),
    moment("lease_ended_at", nullable=True),
    moment("until", nullable=True),
    moment("settled_at", nullable=True),
    moment("sweep_after", nullable=True),
    Column("sweeps", Integer, nullable=False, default=0),
    Column("sweep_secret_sha256", LargeBinary(32), nullable=True),
    reference("sweep_runner_id", "runners.id", nullable=True),
    Column("swept", String(16), nullable=True),
    moment("swept_at", nullable=True),
    Column("sweep_said", Text, nullable=True),
    Column("sweep_hint", Text, nullable=True),
    Index("ix_vault_logins_run_lease_id", "run_lease_id"),
    Index("ix_vault_logins_deployment_id", "deployment_id"),
    Index("ix_vault_logins_organization_id_jti", "organization_id", "jti"),
    Index("ix_vault_logins_open", "organization_id", "id", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    Index("ix_vault_logins_open_until", "until", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    Index("ix_vault_logins_due", "pool_id", "sweep_after", sqlite_where=text(DUE), postgresql_where=text(DUE)),
)
