"""What runners are asked to do at Vaults outside of runs, and what was written there for a credential."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vault_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("runner_id", sa.Uuid(), nullable=True),
        sa.Column("paths", _JSON, nullable=False),
        sa.Column("checks", _JSON, nullable=True),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("requested_by", sa.String(255), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("taken_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_tasks")),
        *(_foreign_key(column, target) for column, target in _REFERENCES.items()),
    )
    waiting = sa.text("taken_at IS NULL")
    op.create_index(
        "ix_vault_tasks_queue", "vault_tasks", ["pool_id", "id"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("ix_vault_tasks_organization_id", "vault_tasks", ["organization_id", "id"])
    op.add_column("credentials", sa.Column("recorded", _JSON, nullable=True))


_REFERENCES = {
    "organization_id": "organizations.id",
    "pool_id": "runner_pools.id",
    "project_id": "projects.id",
    "runner_id": "runners.id",
}


def _foreign_key(column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_vault_tasks_{column}")
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete="RESTRICT")
