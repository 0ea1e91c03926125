"""Who people are at a provider of OpenID Connect, and sign-ins that a provider has not answered yet."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_identities",
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_person_identities_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_person_identities")),
        sa.UniqueConstraint("person_id", name=op.f("uq_person_identities_person_id")),
    )
    op.create_table(
        "openid_sign_ins",
        sa.Column("state_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("browser_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("place", sa.String(512), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_openid_sign_ins")),
    )
    op.create_index("ix_openid_sign_ins_ends_at", "openid_sign_ins", ["ends_at"])
