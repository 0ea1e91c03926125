"""The life of signing keys: upcoming, active, retiring, gone; of the shared issuer or of an organization's."""

import sqlalchemy as sa
from alembic import op

_MOMENT = sa.DateTime(timezone=True)
_OCCUPYING = "state IN ('upcoming', 'active')"
_LONGEST_TOKEN_SECONDS = 86_400
"""What the setting could be until now: nobody knows what it was."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("uq_signing_keys_active", "signing_keys")
    moments = ("published_at", "activated_at", "retired_at", "gone_at", "last_token_expires_at", "rotation_wanted_at")
    # SQLite makes this table anew, which it may: no foreign key leads to it.
    with op.batch_alter_table("signing_keys") as batch_op:
        batch_op.add_column(sa.Column("organization_id", sa.Uuid(), nullable=True))
        for name in moments:
            batch_op.add_column(sa.Column(name, _MOMENT, nullable=True))
        batch_op.add_column(sa.Column("longest_token_seconds", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("change_seq", sa.BigInteger(), nullable=True))
        batch_op.alter_column("private_key_sealed", existing_type=sa.LargeBinary(), nullable=True)
    # The one key that there can be has signed since it was made.
    op.execute(
        "UPDATE signing_keys SET published_at = created_at, activated_at = created_at,"  # noqa: S608 -- a number of ours
        f" longest_token_seconds = {_LONGEST_TOKEN_SECONDS}, change_seq = 0"
    )
    with op.batch_alter_table("signing_keys") as batch_op:
        batch_op.alter_column("longest_token_seconds", existing_type=sa.Integer(), nullable=False)
        batch_op.alter_column("change_seq", existing_type=sa.BigInteger(), nullable=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_signing_keys_organization_id"),
            "organizations",
            ["organization_id"],
            ["id"],
            ondelete="RESTRICT",
        )
    _indexes()
    op.create_table(
        "signing_key_changes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key_changes")),
    )


def _indexes() -> None:
    shared, occupying = sa.text(f"{_OCCUPYING} AND organization_id IS NULL"), sa.text(_OCCUPYING)
    op.create_index(
        "uq_signing_keys_shared",
        "signing_keys",
        ["state"],
        unique=True,
        sqlite_where=shared,
        postgresql_where=shared,
    )
    op.create_index(
        "uq_signing_keys_organization",
        "signing_keys",
        ["organization_id", "state"],
        unique=True,
        sqlite_where=occupying,
        postgresql_where=occupying,
    )
    op.create_index("ix_signing_keys_organization_id", "signing_keys", ["organization_id", "state"])
    op.create_index("ix_signing_keys_change_seq", "signing_keys", ["change_seq"])
