"""Whether the run that a token was minted for goes on, by the record of minted tokens."""

from datetime import datetime

from sqlalchemy import select, union_all

from runpass.ids import OrganizationId, RunLeaseId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.vault_logins import identity_tokens, vault_logins
from runpass.server.deployments import lease_store
from runpass.server.deployments.asking import run_of


def goes_on(tx: Transaction, organization_id: OrganizationId, jti: str, now: datetime) -> bool:
    """Whether this organization's token is in the record, for a run whose lease is held at this moment.

    Tokens of connection tests and sweepers are in no such record: they belong to no run.
    """
    lease_id = _lease_of(tx, organization_id, jti)
    lease = None if lease_id is None else lease_store.get_lease(tx, lease_id)
    return lease is not None and lease.organization_id == organization_id and run_of(tx, lease, now) is not None


def _lease_of(tx: Transaction, organization_id: OrganizationId, jti: str) -> RunLeaseId | None:
    """Give the lease that a token was minted for: for its job, or for a login at a Vault."""
    places = (
        select(table.c.run_lease_id).where(table.c.organization_id == organization_id, table.c.jti == jti)
        for table in (identity_tokens, vault_logins)
    )
    found = tx.execute(union_all(*places)).scalars().first()
    return None if found is None else RunLeaseId(found)
