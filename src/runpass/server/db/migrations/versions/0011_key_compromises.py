"""Signing keys that leaked: how far the cure is, probes of the key, and which server processes there are."""

import sqlalchemy as sa
from alembic import op

_MOMENT = sa.DateTime(timezone=True)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "server_processes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("seen_change", sa.BigInteger(), nullable=False),
        sa.Column("stale_seconds", sa.Integer(), nullable=False),
        sa.Column("documents_stale_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_processes")),
    )
    steps = ("acknowledged_at", "probes_at", "destroyed_at", "replaced_at", "withdrawn_at", "cured_at")
    op.create_table(
        "key_compromises",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("was", sa.String(16), nullable=False),
        sa.Column("change_seq", sa.BigInteger(), nullable=False),
        sa.Column("replacement_kid", sa.String(64), nullable=True),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("stopped_at", _MOMENT, nullable=False),
        *(sa.Column(name, _MOMENT, nullable=True) for name in steps),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_key_compromises")),
        _foreign_key("key_compromises", "kid", "signing_keys.kid"),
        _foreign_key("key_compromises", "organization_id", "organizations.id"),
    )
    op.create_table(
        "key_probes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column(
            "credential_id",
            sa.Uuid(),
            nullable=False,
            comment="no foreign key: a credential may go, its Vault stays",
        ),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("probe_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_probes")),
        sa.UniqueConstraint("kid", "credential_id", name=op.f("uq_key_probes_kid_credential_id")),
        _foreign_key("key_probes", "kid", "key_compromises.kid"),
        _foreign_key("key_probes", "organization_id", "organizations.id"),
    )


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="RESTRICT")
