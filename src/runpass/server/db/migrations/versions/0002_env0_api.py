"""What env0's API needs: a project's hierarchy and end, secret fields, approval, outputs, idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_HIERARCHY = sa.String(1280).with_variant(sa.String(1280, collation="C"), "postgresql")
_EMPTY = sa.text("'{}'")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _tenancy()
    _rooms()
    _deployments()
    _new_tables()
    _fill_hierarchies()


def _tenancy() -> None:
    path = "ids from the root down to itself, joined by |"
    op.add_column("projects", sa.Column("hierarchy", _HIERARCHY, nullable=False, server_default="", comment=path))
    op.add_column("projects", sa.Column("policies", _JSON, nullable=False, server_default=_EMPTY))
    op.add_column("projects", sa.Column("deleted_at", _MOMENT, nullable=True))
    op.create_index("ix_projects_organization_id_id", "projects", ["organization_id", "id"])
    op.create_index("ix_projects_organization_id_hierarchy", "projects", ["organization_id", "hierarchy"])
    op.add_column("environments", sa.Column("lifespan_end_at", _MOMENT, nullable=True))
    op.drop_index("ix_environments_organization_id", "environments")
    op.create_index("ix_environments_organization_id_id", "environments", ["organization_id", "id"])
    op.create_index("ix_environments_organization_id_name", "environments", ["organization_id", "name"])
    op.create_index("ix_environments_project_id_id", "environments", ["project_id", "id"])
    _partial("ix_environments_lifespan_end_at", "environments", ["lifespan_end_at"], "lifespan_end_at IS NOT NULL")


def _rooms() -> None:
    op.add_column("templates", sa.Column("is_single_use", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_templates_organization_id_id", "templates", ["organization_id", "id"])
    sealed = "the secret fields of the value, encrypted"
    op.add_column("credentials", sa.Column("secret_sealed", sa.LargeBinary(), nullable=True, comment=sealed))
    op.create_index("ix_credentials_organization_id_id", "credentials", ["organization_id", "id"])
    op.drop_index("ix_api_keys_organization_id", "api_keys")
    op.create_index("ix_api_keys_organization_id_id", "api_keys", ["organization_id", "id"])


def _deployments() -> None:
    added: tuple[sa.Column[object], ...] = (
        sa.Column(
            "phase",
            sa.String(16),
            nullable=False,
            server_default="apply",
            comment="what a runner that takes it now would do",
        ),
        sa.Column("requires_approval", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("trigger_name", sa.String(32), nullable=False, server_default="user"),
        sa.Column("repository", sa.String(2048), nullable=False, server_default=""),
        sa.Column("outputs_sealed", sa.LargeBinary(), nullable=True, comment="what the run gave back, encrypted"),
        sa.Column("reviewed_by", sa.String(255), nullable=True),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("reviewed_at", _MOMENT, nullable=True),
    )
    for column in added:
        op.add_column("deployments", column)
    op.drop_index("uq_deployments_one_at_a_time", "deployments")
    op.drop_index("ix_deployments_queue", "deployments")
    occupying = "status IN ('IN_PROGRESS', 'WAITING_FOR_USER', 'APPROVED', 'ABORTING')"
    _partial("uq_deployments_one_at_a_time", "deployments", ["environment_id"], occupying, unique=True)
    _partial("ix_deployments_queue", "deployments", ["pool_id", "id"], "status IN ('QUEUED', 'APPROVED')")
    _partial("ix_deployments_with_outputs", "deployments", ["environment_id", "id"], "outputs_sealed IS NOT NULL")


def _new_tables() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False, comment="SHA-256 of method, path and body"),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        _refers("idempotency_keys", "organization_id", "organizations"),
        _refers("idempotency_keys", "environment_id", "environments"),
        _refers("idempotency_keys", "deployment_id", "deployments"),
        sa.UniqueConstraint(
            "organization_id", "actor", "key", name=op.f("uq_idempotency_keys_organization_id_actor_key")
        ),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "organization_usage",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False, comment="of deployments that ended"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization_usage")),
        _refers("organization_usage", "organization_id", "organizations"),
    )


def _fill_hierarchies() -> None:
    projects = sa.table(
        "projects",
        sa.column("id", sa.Uuid()),
        sa.column("parent_project_id", sa.Uuid()),
        sa.column("hierarchy", sa.String()),
    )
    connection = op.get_bind()
    parents = {row.id: row.parent_project_id for row in connection.execute(sa.select(projects))}
    for project in parents:
        path = [project]
        while (parent := parents[path[0]]) is not None:
            path.insert(0, parent)
        hierarchy = "|".join(str(item) for item in path)
        connection.execute(sa.update(projects).where(projects.c.id == project).values(hierarchy=hierarchy))


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="RESTRICT")
