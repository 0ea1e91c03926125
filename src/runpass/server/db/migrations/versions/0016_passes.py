"""What the identity token of a login says, and what its runner tells of the Vault token: what a run's pass shows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    said = "what the identity token says: the JSON that was signed"
    for column in (
        sa.Column("kid", sa.String(64), nullable=True, comment="of the key that signed the identity token"),
        sa.Column("claims", sa.Text(), nullable=True, comment=said),
        sa.Column("policies", _JSON, nullable=True),
        sa.Column("renewals", sa.Integer(), nullable=True),
        sa.Column("lives_until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("vault_logins", column)
