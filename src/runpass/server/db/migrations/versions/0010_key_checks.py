"""Key set URLs that name a Vault, key checks, and whether a new key was seen by every Vault that has such a URL."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_NOT_TAKEN = sa.text("taken_at IS NULL")

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody was waited for until now.
    op.add_column(
        "signing_keys", sa.Column("confirmation_awaited", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("signing_keys", sa.Column("confirmed_at", _MOMENT, nullable=True))
    _verifiers()
    _key_checks()
    op.create_index("ix_key_checks_created_at", "key_checks", ["created_at"])
    op.create_index("ix_key_checks_about_kid", "key_checks", ["about_kid", "id"])
    op.create_index("ix_key_checks_organization_id", "key_checks", ["organization_id", "place_sha256", "id"])
    op.create_index(
        "ix_key_checks_queue",
        "key_checks",
        ["pool_id", "created_at"],
        sqlite_where=_NOT_TAKEN,
        postgresql_where=_NOT_TAKEN,
    )


def _verifiers() -> None:
    op.create_table(
        "jwks_verifiers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("place_sha256", sa.LargeBinary(32), nullable=False, comment="of address, namespace and mount"),
        sa.Column("name", sa.String(64), nullable=False, comment="what is in the URL"),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jwks_verifiers")),
        _foreign_key("jwks_verifiers", "organization_id", "organizations.id"),
        sa.UniqueConstraint("name", name=op.f("uq_jwks_verifiers_name")),
        sa.UniqueConstraint(
            "organization_id", "place_sha256", name=op.f("uq_jwks_verifiers_organization_id_place_sha256")
        ),
    )


def _key_checks() -> None:
    op.create_table(
        "key_checks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("place_sha256", sa.LargeBinary(32), nullable=False, comment="of address, namespace and mount"),
        sa.Column("address", sa.String(2048), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("mount", sa.String(255), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=True),
        sa.Column("verifier", sa.String(64), nullable=True, comment="the name in the Vault's own key set URL"),
        sa.Column("about_kid", sa.String(64), nullable=True),
        sa.Column("probe_kid", sa.String(64), nullable=True),
        sa.Column("probe_sealed", sa.LargeBinary(), nullable=True, comment="a token signed with that key, encrypted"),
        sa.Column("runner_id", sa.Uuid(), nullable=True),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("taken_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("reached", sa.Boolean(), nullable=True),
        sa.Column("refetched", sa.String(32), nullable=True),
        sa.Column("probe_verdict", sa.String(32), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("seen_at", _MOMENT, nullable=True),
        sa.Column("seen_kids", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_checks")),
        _foreign_key("key_checks", "organization_id", "organizations.id"),
        _foreign_key("key_checks", "pool_id", "runner_pools.id"),
        _foreign_key("key_checks", "runner_id", "runners.id"),
    )


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="RESTRICT")
