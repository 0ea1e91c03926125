"""What a job asks for identity tokens with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column(
        "id_token_sha256", sa.LargeBinary(32), nullable=True, comment="of what the job asks for identity tokens with"
    )
    op.add_column("run_leases", column)
