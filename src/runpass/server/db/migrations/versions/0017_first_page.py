"""Finding the refused deployments of a project without reading the others; addresses that a provider has verified."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_REFUSED = sa.text("refusal IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_deployments_refused",
        "deployments",
        ["project_id", "id"],
        sqlite_where=_REFUSED,
        postgresql_where=_REFUSED,
    )
    op.add_column(
        "person_identities",
        sa.Column(
            "verified_email", sa.String(254), nullable=True, comment="as the last ID Token said; for claims alone"
        ),
    )
