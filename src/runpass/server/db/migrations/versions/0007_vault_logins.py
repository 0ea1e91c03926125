"""Which identity tokens were minted for jobs, and what became of the logins at Vaults that others were meant for."""

import sqlalchemy as sa
from alembic import op

_MOMENT = sa.DateTime(timezone=True)

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _identity_tokens()
    _vault_logins()
    op.create_index("ix_vault_logins_run_lease_id", "vault_logins", ["run_lease_id"])
    _partial("ix_vault_logins_open", ["organization_id", "id"], "settled_at IS NULL")
    _partial("ix_vault_logins_open_until", ["until"], "settled_at IS NULL")
    _partial("ix_vault_logins_due", ["pool_id", "sweep_after"], "sweep_after IS NOT NULL")


def _identity_tokens() -> None:
    op.create_table(
        "identity_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("run_lease_id", sa.Uuid(), nullable=False),
        sa.Column("jti", sa.String(64), nullable=False),
        sa.Column("audience", sa.String(2048), nullable=False),
        sa.Column("minted_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_tokens")),
        _foreign_key("identity_tokens", "organization_id", "organizations.id"),
        _foreign_key("identity_tokens", "deployment_id", "deployments.id"),
        _foreign_key("identity_tokens", "run_lease_id", "run_leases.id"),
    )
    expiring = "ix_identity_tokens_organization_id_expires_at"
    op.create_index(expiring, "identity_tokens", ["organization_id", "expires_at"])
    op.create_index("ix_identity_tokens_expires_at", "identity_tokens", ["expires_at"])


def _vault_logins() -> None:
    op.create_table(
        "vault_logins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("run_lease_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("credential_name", sa.String(255), nullable=False),
        sa.Column("address", sa.String(2048), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("mount", sa.String(255), nullable=False),
        sa.Column("role_name", sa.String(255), nullable=False),
        sa.Column("jti", sa.String(64), nullable=False),
        sa.Column("intended_at", _MOMENT, nullable=False),
        sa.Column("first_ttl_seconds", sa.Integer(), nullable=True, comment="of the role, as vault apply recorded it"),
        sa.Column("reported_at", _MOMENT, nullable=True),
        sa.Column("gave_token", sa.Boolean(), nullable=True),
        sa.Column("accessor_sealed", sa.LargeBinary(), nullable=True, comment="the token's accessor, encrypted"),
        sa.Column("ttl_seconds", sa.Integer(), nullable=True, comment="0: the token does not expire"),
        sa.Column("renewable", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.String(16), nullable=True),
        sa.Column("lease_ended_at", _MOMENT, nullable=True),
        sa.Column("until", _MOMENT, nullable=True),
        sa.Column("settled_at", _MOMENT, nullable=True),
        sa.Column("sweep_after", _MOMENT, nullable=True),
        sa.Column("sweeps", sa.Integer(), nullable=False),
        sa.Column("sweep_secret_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("sweep_runner_id", sa.Uuid(), nullable=True),
        sa.Column("swept", sa.String(16), nullable=True),
        sa.Column("swept_at", _MOMENT, nullable=True),
        sa.Column("sweep_said", sa.Text(), nullable=True),
        sa.Column("sweep_hint", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_logins")),
        *(_foreign_key("vault_logins", column, target) for column, target in _REFERENCES.items()),
    )


_REFERENCES = {
    "organization_id": "organizations.id",
    "project_id": "projects.id",
    "environment_id": "environments.id",
    "pool_id": "runner_pools.id",
    "deployment_id": "deployments.id",
    "run_lease_id": "run_leases.id",
    "sweep_runner_id": "runners.id",
}


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="RESTRICT")


def _partial(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "vault_logins", columns, sqlite_where=condition, postgresql_where=condition)
