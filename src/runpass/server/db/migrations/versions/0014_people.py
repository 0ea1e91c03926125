"""People who sign in to the web console, and sessions that belong to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sign_in_name", sa.String(255), nullable=False),
        sa.Column("sign_in_key", sa.String(765), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("organization_role", sa.String(64), nullable=False),
        sa.Column("project_roles", _JSON, nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("invitation_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("invitation_ends_at", _MOMENT, nullable=True),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_sign_in_at", _MOMENT, nullable=True),
        sa.Column("last_sign_in_source", sa.String(64), nullable=False),
        sa.CheckConstraint(
            "(invitation_sha256 IS NULL) = (invitation_ends_at IS NULL)", name=op.f("ck_people_invitation_ends")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_people_organization_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("sign_in_key", name=op.f("uq_people_sign_in_key")),
    )
    op.create_index("ix_people_organization_id_id", "people", ["organization_id", "id"])
    with op.batch_alter_table("console_sessions") as batch_op:
        batch_op.alter_column("api_key_id", existing_type=sa.Uuid(), nullable=True)
        batch_op.add_column(sa.Column("person_id", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_console_sessions_person_id"), "people", ["person_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_check_constraint(
            op.f("ck_console_sessions_one_owner"), "(api_key_id IS NULL) <> (person_id IS NULL)"
        )
        batch_op.create_index("ix_console_sessions_person_id_id", ["person_id", "id"])
