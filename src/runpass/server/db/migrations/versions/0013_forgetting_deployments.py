"""Finding what points at a deployment, so that one can be forgotten."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_vault_logins_deployment_id", "vault_logins", ["deployment_id"])
    op.create_index("ix_identity_tokens_deployment_id", "identity_tokens", ["deployment_id"])
    op.create_index("ix_identity_tokens_run_lease_id", "identity_tokens", ["run_lease_id"])
    op.create_index("ix_idempotency_keys_deployment_id", "idempotency_keys", ["deployment_id"])
